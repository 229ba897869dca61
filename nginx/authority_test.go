package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// identity is a certificate with its key, and the chain above it.
type identity struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	chain       []*x509.Certificate // its issuers, up to the root
}

// template changes a certificate before it is signed.
type template func(*x509.Certificate)

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
}

func notYetValid(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)
}

func authority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	c.ExtKeyUsage = nil
}

// newAuthority makes a root CA.
func newAuthority(t testing.TB, name string, changes ...template) identity {
	t.Helper()
	return identity{}.issue(t, name, append([]template{authority}, changes...)...)
}

// issue signs a certificate for client and server, valid for a day. With the zero
// identity, the certificate is self-signed.
func (i identity) issue(t testing.TB, name string, changes ...template) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	for _, change := range changes {
		change(c)
	}
	issued := identity{key: key}
	parent, signer := c, key
	if i.certificate != nil {
		parent, signer = i.certificate, i.key
		issued.chain = append([]*x509.Certificate{i.certificate}, i.chain...)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if issued.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return issued
}

// pem is the certificate alone, in PEM.
func (i identity) pem() string { return string(encodeCertificates([]*x509.Certificate{i.certificate})) }

// chainPEM is the content of certificate.crt: without the root, as is usual.
func (i identity) chainPEM() string {
	chain := []*x509.Certificate{i.certificate}
	if len(i.chain) > 1 {
		chain = append(chain, i.chain[:len(i.chain)-1]...)
	}
	return string(encodeCertificates(chain))
}

func (i identity) keyPEM(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// tls is the identity of a client: with its chain, without the root.
func (i identity) tls() *tls.Certificate {
	c := &tls.Certificate{PrivateKey: i.key, Certificate: [][]byte{i.certificate.Raw}}
	for n, issuer := range i.chain {
		if n < len(i.chain)-1 {
			c.Certificate = append(c.Certificate, issuer.Raw)
		}
	}
	return c
}

// revoke makes a revocation list of the CA with this NextUpdate.
func (i identity) revoke(t testing.TB, nextUpdate time.Time, revoked ...identity) string {
	t.Helper()
	return i.list(t, func(list *x509.RevocationList) {
		list.NextUpdate = nextUpdate
		for _, r := range revoked {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
				SerialNumber: r.certificate.SerialNumber, RevocationTime: time.Now().Add(-time.Hour)})
		}
	})
}

// list makes a revocation list, which edit changes before it is signed.
func (i identity) list(t testing.TB, edit func(*x509.RevocationList)) string {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-48 * time.Hour), NextUpdate: tomorrow}
	edit(list)
	der, err := x509.CreateRevocationList(rand.Reader, list, i.certificate, i.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// partly makes a list that does not contain all revocations: with the extension id and its value in DER.
func (i identity) partly(t testing.TB, id asn1.ObjectIdentifier, value ...byte) string {
	t.Helper()
	return i.list(t, func(list *x509.RevocationList) {
		list.ExtraExtensions = []pkix.Extension{{Id: id, Critical: true, Value: value}}
	})
}

// entry makes a list with one entry, with this reason (RFC 5280 §5.3.1; 0: none) and these extensions.
func (i identity) entry(t testing.TB, revoked identity, reason int, extensions ...pkix.Extension) string {
	t.Helper()
	return i.list(t, func(list *x509.RevocationList) {
		list.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: revoked.certificate.SerialNumber, RevocationTime: time.Now().Add(-time.Hour),
			ReasonCode: reason, ExtraExtensions: extensions}}
	})
}

// otherIssuer is a Certificate Issuer that names a CA (RFC 5280 §5.3.3).
func otherIssuer(t testing.TB, name string) pkix.Extension {
	t.Helper()
	inner, err := asn1.Marshal(pkix.Name{CommonName: name}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	value, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: inner}})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: value}
}

// damaged flips one bit in the signature of a list.
func damaged(t testing.TB, list string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(list))
	block.Bytes[len(block.Bytes)-1] ^= 1
	return string(pem.EncodeToMemory(block))
}

var (
	unknown           = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	deltaIndicator    = asn1.ObjectIdentifier{2, 5, 29, 27}
	distributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
)

var tomorrow = time.Now().Add(24 * time.Hour)
