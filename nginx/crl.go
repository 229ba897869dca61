package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"
)

// checkCRL adds the revocation lists of crl.pem to a trust that has passed
// checkTruststore. With lists, nginx wants one of every CA up to the root. An
// expired one refuses all clients of its CA, which is a problem beside a usable
// file; but it does not replace a list in use that is still valid.
func (t trust) checkCRL(content []byte, inUse trust, now time.Time) (trust, []problem, error) {
	lists, err := parseLists(content)
	if err != nil {
		return trust{}, nil, err
	}
	if t.updates, err = t.matchLists(lists); err != nil {
		return trust{}, nil, err
	}
	var problems []problem
	var encoded bytes.Buffer
	for _, list := range lists {
		_ = pem.Encode(&encoded, &pem.Block{Type: "X509 CRL", Bytes: list.Raw}) // a buffer takes all
		if list.ThisUpdate.After(now) {
			return trust{}, nil, problem{crlFile, fmt.Sprintf("the list of %s is not valid before %s", list.Issuer, list.ThisUpdate.UTC().Format(time.RFC3339)), "check the clock of this machine, or put a list that is valid now"}
		}
		if list.NextUpdate.IsZero() {
			continue
		}
		if now.After(list.NextUpdate) {
			expired := expiredList(list.Issuer.String(), list.NextUpdate)
			if inUse.updates[string(list.RawIssuer)].After(now) {
				return trust{}, nil, expired
			}
			problems = append(problems, expired)
		}
		if t.nextUpdate.IsZero() || list.NextUpdate.Before(t.nextUpdate) {
			t.nextUpdate = list.NextUpdate
		}
	}
	t.crl = encoded.String()
	return t, problems, nil
}

// matchLists finds the list of every CA, and returns when the next one is due, by raw subject.
func (t trust) matchLists(lists []*x509.RevocationList) (map[string]time.Time, error) {
	certificates, err := parseCertificates(truststoreFile, []byte(t.certificates))
	if err != nil {
		return nil, err
	}
	updates := map[string]time.Time{}
	for _, c := range certificates {
		if !c.IsCA && !selfIssued(c) {
			continue // a client's, below one of the CAs
		}
		list, err := listOf(c, lists)
		if err != nil {
			return nil, err
		}
		updates[string(c.RawSubject)] = list.NextUpdate
	}
	return updates, nil
}

func expiredList(issuer string, at time.Time) problem {
	return problem{crlFile, fmt.Sprintf("the list of %s has expired on %s: all clients of this CA are refused", issuer, at.UTC().Format(time.RFC3339)), "put the CA's current list"}
}

func parseLists(content []byte) ([]*x509.RevocationList, error) {
	var lists []*x509.RevocationList
	for rest := withoutMark(content); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, problem{crlFile, fmt.Sprintf("list %d in it cannot be parsed (%v)", len(lists)+1, err), "export it from the CA again, in PEM"}
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 {
		return nil, problem{crlFile, "it has no revocation list in PEM", "put blocks that begin with -----BEGIN X509 CRL-----; from DER: openssl crl -inform der -in crl.der -out crl.pem"}
	}
	return lists, nil
}

// listOf finds the list of a CA, which must have signed it.
func listOf(ca *x509.Certificate, lists []*x509.RevocationList) (*x509.RevocationList, error) {
	for _, list := range lists {
		if !bytes.Equal(list.RawIssuer, ca.RawSubject) {
			continue
		}
		if err := list.CheckSignatureFrom(ca); err != nil {
			return nil, problem{crlFile, fmt.Sprintf("the list of %s was not signed by the certificate in %s (%v)", list.Issuer, truststoreFile, err), "put the list that this CA has issued"}
		}
		return list, nil
	}
	if !ca.IsCA {
		return nil, problem{crlFile, fmt.Sprintf("%s has the self-signed client certificate %s, for which there can be no list: with revocation lists nginx refuses it", truststoreFile, name(ca)),
			"remove crl.pem and revoke this client by taking it out of " + truststoreFile + ", or issue its certificate by a CA"}
	}
	return nil, problem{crlFile, fmt.Sprintf("the list of %s is missing: nginx would refuse all its clients", name(ca)), "append the list of every CA in " + truststoreFile + ", root included"}
}
