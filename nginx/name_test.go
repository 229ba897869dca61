package main

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"net/http"
	"testing"
	"time"
)

// nameDER is a name with one CN and one O, each a string of this type.
func nameDER(t *testing.T, tag int, cn, o string) []byte {
	t.Helper()
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type attributeSET []attribute
	der, err := asn1.Marshal([]attributeSET{
		{{asn1.ObjectIdentifier{2, 5, 4, 10}, asn1.RawValue{Tag: tag, Bytes: []byte(o)}}},
		{{asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.RawValue{Tag: tag, Bytes: []byte(cn)}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// RFC 5280 §7.1: the comparison of names ignores string types, upper and lower case, and white space.
func TestSameName(t *testing.T) {
	t.Parallel()
	name := nameDER(t, printableString, "Issuing CA", "Hospital")
	for what, test := range map[string]struct {
		other []byte
		same  bool
	}{
		"the same":        {name, true},
		"of another type": {nameDER(t, utf8String, "Issuing CA", "Hospital"), true},
		"in UTF-16":       {nameDER(t, bmpString, "\x00I\x00s\x00s\x00u\x00i\x00n\x00g\x00 \x00C\x00A", "\x00H\x00o\x00s\x00p\x00i\x00t\x00a\x00l"), true},
		"in capitals":     {nameDER(t, ia5String, "ISSUING CA", "hospital"), true},
		"with spaces":     {nameDER(t, visibleString, " Issuing  CA ", "Hospital"), true},
		"another":         {nameDER(t, printableString, "Issuing CA 2", "Hospital"), false},
		"run together":    {nameDER(t, printableString, "IssuingCA", "Hospital"), false},
		"moved":           {nameDER(t, printableString, "Hospital", "Issuing CA"), false},
		"no string":       {nameDER(t, asn1.TagOctetString, "Issuing CA", "Hospital"), false},
		"no name":         {[]byte{0x30, 1}, false},
	} {
		if got := sameName(name, test.other); got != test.same {
			t.Errorf("%s: %v, want %v", what, got, test.same)
		}
	}
}

// A CA that writes its name in another form in its certificates is still the same CA for OpenSSL, for the door and for the lists.
func TestIssuerIsWrittenOtherwise(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "Issuing CA", func(c *x509.Certificate) { c.Subject.Organization = []string{"Hospital"} })
	otherwise := ca
	copied := *ca.certificate
	copied.RawSubject = nameDER(t, utf8String, "ISSUING  ca", "hospital")
	otherwise.certificate = &copied
	client, revoked := otherwise.issue(t, "modality-1"), otherwise.issue(t, "modality-2")
	if string(client.certificate.RawIssuer) == string(ca.certificate.RawSubject) {
		t.Fatal("the issuer is written alike")
	}
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	files[crlFile] = otherwise.revoke(t, tomorrow, revoked)
	s := startLocal(t, clientAuth, files, "ALLOWED_CLIENTS=CN=modality-1;CN=modality-2")
	s.wantGood(t)
	s.wantStored(t, client.tls())
	s.wantRefused(t, revoked.tls(), http.StatusBadRequest, "the client certificate was not verified")
}

// For a CA that only clients send, the list is used as well, and a newer list is not replaced by an older one.
func TestListOfACABelow(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "root")
	below := root.issue(t, "below", authority)
	client, revoked := below.issue(t, "modality-1"), below.issue(t, "modality-2")
	files := served(t, root.issue(t, "server"))
	files[truststoreFile] = root.pem()
	listOfRoot, before := root.revoke(t, tomorrow), below.revoke(t, tomorrow)
	files[crlFile] = listOfRoot + below.revoke(t, tomorrow, revoked)
	s := startLocal(t, clientAuth, files)
	s.wantGood(t)
	s.wantStored(t, client.tls())
	s.wantRefused(t, revoked.tls(), http.StatusBadRequest, "the client certificate was not verified")
	s.certificates(crlFile, listOfRoot+before)
	s.wantProblem(t, crlFile, "is older than the one in use")
	s.wantRefused(t, revoked.tls(), http.StatusBadRequest, "the client certificate was not verified")
}

// A revocation remains in force even if the CA was not in the store for some time.
func TestNewestListIsRemembered(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "CA"), newAuthority(t, "another CA")
	revoked := ca.issue(t, "modality-2")
	old := ca.revoke(t, tomorrow)
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile], files[crlFile] = ca.pem(), ca.revoke(t, tomorrow, revoked)
	s := startLocal(t, clientAuth, files)
	s.wantRefused(t, revoked.tls(), http.StatusBadRequest, "the client certificate was not verified")
	s.certificates(crlFile, files[crlFile]+other.revoke(t, tomorrow))
	s.certificates(truststoreFile, other.pem())
	client := other.issue(t, "modality-1").tls()
	eventually(t, 10*time.Second, "the other CA is trusted", func() bool { return s.post(t, client, newInstance(t, 0)).status == http.StatusOK })
	s.certificates(crlFile, old+other.revoke(t, tomorrow))
	s.certificates(truststoreFile, other.pem()+ca.pem())
	s.wantProblem(t, crlFile, "is older than the one in use")
	s.wantRefused(t, revoked.tls(), http.StatusBadRequest, "the client certificate was not verified")
}

// OpenSSL would confuse the lists of two keys that do not contain an identifier of the key, so they are refused.
func TestListsOfTwoKeysWithoutIdentifier(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t, "CA"), newAuthority(t, "CA")
	without := func(i identity) string {
		copied := *i.certificate
		copied.SubjectKeyId = nil
		der, err := copied.CreateCRL(rand.Reader, i.key, nil, time.Now().Add(-time.Hour), tomorrow) // the only function of the library that can omit the identifier
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	}
	store, _, err := checkTruststore([]byte(old.pem()+next.pem()), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		lists string
		words []string
	}{
		"both say it":     {old.revoke(t, tomorrow) + next.revoke(t, tomorrow), nil},
		"one says it":     {old.revoke(t, tomorrow) + without(next), []string{"lists of two keys", "Authority Key Identifier"}},
		"neither says it": {without(old) + without(next), []string{"lists of two keys"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := store.checkCRL([]byte(test.lists), nil, time.Now())
			wantProblemWords(t, err, test.words)
		})
	}
	one, _, err := checkTruststore([]byte(old.pem()), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = one.checkCRL([]byte(without(old)), nil, time.Now()); err != nil {
		t.Errorf("of one key alone: %v", err)
	}
}
