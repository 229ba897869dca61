package main

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// trust contains the checked certificates, in PEM, by which nginx verifies clients. Without
// certificates, no client can be verified.
type trust struct {
	certificates string
	parsed       []*x509.Certificate             // the same certificates
	hasOwn       bool                            // at least one is a client's own certificate, which must not issue others
	crl          string                          // empty: nothing is revoked
	notAfter     time.Time                       // the earliest of the usable certificates
	nextUpdate   time.Time                       // the earliest of the revocation lists; zero: there are none
	lists        map[string]*x509.RevocationList // by keyName
}

// maxNames limits the names of CAs in a CertificateRequest, in bytes: 65,535 (RFC 8446 §4.2.4), less some room for its other fields.
const maxNames = 64_000

// checkTruststore checks truststore.crt. It is usable if at least one of its certificates
// is: a CA certificate whose issuers up to the root are all in the file, or a self-signed one.
// The problems of a usable store name the certificates that cannot be used. If
// none can be used, the last problem is the error.
func checkTruststore(content []byte, now time.Time) (trust, []problem, error) {
	blocks, err := pemBlocks(truststoreFile, content)
	if err != nil {
		return trust{}, nil, err
	}
	for _, block := range blocks {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return trust{}, nil, problem{truststoreFile, "it holds a private key", "take the key out: the store is for certificates alone; whoever could read the file has the key now, so make a new one"}
		}
	}
	certificates, problems, err := parseCertificates(truststoreFile, content)
	if err != nil {
		return trust{}, problems, err
	}
	names := map[string]bool{}
	size := 0
	for _, c := range certificates {
		if !names[string(c.RawSubject)] {
			names[string(c.RawSubject)] = true
			size += 2 + len(c.RawSubject)
		}
	}
	if size > maxNames {
		return trust{}, problems, problem{truststoreFile, fmt.Sprintf("the names of its %d certificates have %d bytes, and nginx could send a client no more than %d: no handshake would succeed", len(certificates), size, maxNames),
			"issue the clients' certificates by a CA, and put that there instead of each client's own"}
	}
	checked := trust{certificates: string(encodeCertificates(certificates)), parsed: certificates}
	var useless []problem
	for _, c := range certificates {
		checked.hasOwn = checked.hasOwn || !mayVouch(c)
		if err := usable(c, certificates, now); err != nil {
			useless = append(useless, *err)
			continue
		}
		if checked.notAfter.IsZero() || c.NotAfter.Before(checked.notAfter) {
			checked.notAfter = c.NotAfter
		}
	}
	problems = append(problems, useless...)
	if checked.notAfter.IsZero() {
		return trust{}, problems[:len(problems)-1], problems[len(problems)-1]
	}
	return checked, problems, nil
}

// usable says why nginx could not verify any client with c; nil: it can. OpenSSL needs all certificates
// up to a self-signed one.
func usable(c *x509.Certificate, store []*x509.Certificate, now time.Time) *problem {
	at := c
	cas := 0 // number of CAs below at
	for range store {
		if now.After(at.NotAfter) || now.Before(at.NotBefore) {
			p := problem{truststoreFile, fmt.Sprintf("%s is valid from %s to %s only", name(at), day(at.NotBefore), day(at.NotAfter)), "put the certificate that follows it, and take this one out"}
			return &p
		}
		if why := unfit(at, cas); why != "" {
			p := problem{truststoreFile, fmt.Sprintf("%s %s, so that nginx verifies nobody by %s", name(at), why, name(c)), "have the CA make a certificate that may issue those of TLS clients"}
			return &p
		}
		if selfIssued(at) {
			return nil
		}
		if at.IsCA {
			cas++
		}
		var parent *x509.Certificate
		for _, candidate := range store {
			if issued(candidate, at) {
				parent = candidate
			}
		}
		if parent == nil {
			break
		}
		at = parent
	}
	p := problem{truststoreFile, fmt.Sprintf("%s was issued by %s, which is not in the file, so that nobody can be verified with it", name(at), at.Issuer),
		"append the certificates of its issuers, up to the root; ALLOWED_CLIENTS then narrows the CA to the clients that are meant"}
	return &p
}

// unfit says why OpenSSL would not verify clients by a certificate with so many CAs below it (RFC 5280 §4.2.1.9, §4.2.1.12); empty: it would.
func unfit(c *x509.Certificate, cas int) string {
	forAny := slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
	switch {
	case len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && !forAny:
		return "is for other purposes than TLS clients (extended key usage)"
	case c.IsCA && c.MaxPathLen >= 0 && cas > c.MaxPathLen:
		return fmt.Sprintf("allows %d CAs below it (path length), and there are %d", c.MaxPathLen, cas)
	}
	return ""
}
