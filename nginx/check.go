package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
)

// pair is a server certificate that has passed the checks, in PEM.
type pair struct {
	certificate, key string    // the chain, leaf first; its private key
	notAfter         time.Time // the earliest of the chain
	ocsp             bool      // it names a responder, and its issuer is in the chain
	selfMade         bool      // made by newSelfSigned: its end needs no warning
}

// checkPair checks certificate.crt and certificate.key before nginx sees them. The
// error is a problem.
func checkPair(certificate, key []byte, now time.Time) (pair, error) {
	chain, odd, err := parseCertificates(certificateFile, certificate)
	if err == nil && len(odd) > 0 {
		err = odd[0]
	}
	if err != nil {
		return pair{}, err
	}
	keyPEM, err := findKey(key)
	if err != nil {
		return pair{}, err
	}
	if _, err := tls.X509KeyPair(encodeCertificates(chain[:1]), keyPEM); err != nil {
		return pair{}, problem{keyFile, fmt.Sprintf("it is not the key of the first certificate in %s, %s (%v)", certificateFile, name(chain[0]), err),
			"put the key that the certificate was made with, and the server's certificate first in " + certificateFile}
	}
	checked := pair{certificate: string(encodeCertificates(chain)), key: string(keyPEM), notAfter: chain[0].NotAfter, ocsp: len(chain) > 1 && len(chain[0].OCSPServer) > 0}
	for i, c := range chain {
		if i+1 < len(chain) && !issued(chain[i+1], c) {
			return pair{}, problem{certificateFile, fmt.Sprintf("its chain is not in order: certificate %d, %s, was not issued by certificate %d, %s", i+1, name(c), i+2, name(chain[i+1])),
				"put the server's certificate first, then the CA certificate that issued it, then that CA's issuer"}
		}
		if err := checkTime(certificateFile, c, now); err != nil {
			return pair{}, err
		}
		if c.NotAfter.Before(checked.notAfter) {
			checked.notAfter = c.NotAfter
		}
	}
	return checked, nil
}

// issued says whether child names parent as its issuer. Signatures are not checked here; clients check them.
func issued(parent, child *x509.Certificate) bool {
	if !sameName(parent.RawSubject, child.RawIssuer) {
		return false
	}
	return len(child.AuthorityKeyId) == 0 || len(parent.SubjectKeyId) == 0 || bytes.Equal(child.AuthorityKeyId, parent.SubjectKeyId)
}

func checkTime(file string, c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return problem{file, fmt.Sprintf("%s has expired on %s", name(c), day(c.NotAfter)), "put a new certificate"}
	case now.Before(c.NotBefore):
		return problem{file, fmt.Sprintf("%s is not valid before %s", name(c), c.NotBefore.UTC().Format(time.RFC3339)), "check the clock of this machine, or put a certificate that is valid now"}
	}
	return nil
}

// parseCertificates reads all certificates of a file in PEM; without any, it fails. odd
// names the certificates that cannot be parsed. A file that was cut is refused as a whole.
func parseCertificates(file string, content []byte) (certificates []*x509.Certificate, odd []problem, err error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return nil, nil, problem{file, "it is empty", "put certificates in PEM"}
	}
	blocks, err := pemBlocks(file, content)
	if err != nil {
		return nil, nil, err
	}
	var others []string
	number := 0
	for _, block := range blocks {
		if !strings.HasSuffix(block.Type, "CERTIFICATE") || strings.HasPrefix(block.Type, "ATTRIBUTE") {
			others = append(others, block.Type)
			continue
		}
		number++
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			odd = append(odd, problem{file, fmt.Sprintf("certificate %d in it cannot be parsed (%v)", number, err), "export it again, in PEM (X.509, Base64), or take it out"})
			continue
		}
		certificates = append(certificates, c)
	}
	switch {
	case len(certificates) > 0:
		return certificates, odd, nil
	case len(odd) > 0:
		return nil, odd[1:], odd[0]
	case isDER(content):
		return nil, nil, problem{file, "it is in DER, not in PEM", fmt.Sprintf("convert it: openssl x509 -inform der -in %s -out new.crt", file)}
	case len(others) > 0:
		return nil, nil, problem{file, "it has no certificate, but " + strings.Join(others, ", "), "put certificates in PEM: blocks that begin with -----BEGIN CERTIFICATE-----"}
	}
	return nil, nil, problem{file, "it has no certificate in PEM", "put blocks that begin with -----BEGIN CERTIFICATE-----"}
}

// pemBlocks returns the blocks of a file in PEM. Explanatory text between them is allowed (RFC 7468 §2); the rest
// of an incomplete block shows that the file was cut.
func pemBlocks(file string, content []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for rest := withoutMark(content); ; {
		block, behind := pem.Decode(rest)
		marks := pemMarks(rest[:len(rest)-len(behind)])
		if block == nil {
			marks = pemMarks(rest) + 2
		}
		if marks != 2 {
			return nil, problem{file, fmt.Sprintf("it is damaged behind block %d: another has its beginning or its end alone, or is not in Base64", len(blocks)), "it was cut, perhaps while it was copied: put the whole file"}
		}
		if block == nil {
			return blocks, nil
		}
		blocks, rest = append(blocks, block), behind
	}
}

// pemMarks counts the lines that can only be the beginning or the end line of a block, or the rest of such a line (RFC 7468 §2).
func pemMarks(text []byte) int {
	n := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		word := strings.TrimLeft(line, "-")
		dashes := len(line) - len(word)
		for _, mark := range []string{"BEGIN", "END"} {
			if dashes > 1 && (strings.HasPrefix(word, mark) || word != "" && strings.HasPrefix(mark, word)) {
				n++
			}
		}
		if word == "" && dashes > 1 && dashes <= len("-----") {
			n++
		}
	}
	return n
}

func isDER(content []byte) bool {
	_, err := x509.ParseCertificate(content)
	return err == nil
}

// findKey returns the first private key of a file in PEM. A key with a passphrase is refused, because nginx could not ask for it.
func findKey(content []byte) ([]byte, error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return nil, problem{keyFile, "it is empty", "put the private key in PEM"}
	}
	for rest := withoutMark(content); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, problem{keyFile, "it has no private key in PEM", "put a block that begins with -----BEGIN PRIVATE KEY-----"}
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if strings.HasPrefix(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, problem{keyFile, "it is protected by a passphrase, and nobody is there to type it", "remove it: openssl pkey -in certificate.key -out new.key"}
		}
		return pem.EncodeToMemory(block), nil
	}
}

func encodeCertificates(certificates []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certificates {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a write to a buffer never fails
	}
	return b.Bytes()
}

// withoutMark removes the byte order mark that some editors write.
func withoutMark(content []byte) []byte { return bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")) }

// name of a certificate for people: its subject.
func name(c *x509.Certificate) string {
	if s := c.Subject.String(); s != "" {
		return s
	}
	return "serial number " + c.SerialNumber.String()
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
