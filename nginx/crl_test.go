package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"
)

// A list of every CA is needed, up to the root; the list of an intermediate CA revokes its clients.
func TestCheckCRLWantsAListOfEveryCA(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	intermediate := ca.issue(t, "intermediate", authority)
	selfSigned := identity{}.issue(t, "self-signed")
	both := ca.revoke(t, tomorrow) + intermediate.revoke(t, tomorrow)
	next := newAuthority(t, "CA") // the same CA with a new key
	for name, test := range map[string]struct {
		store, lists string
		words        []string
	}{
		"all":                {ca.pem() + intermediate.pem(), both, nil},
		"one too many":       {ca.pem(), both, nil},
		"one is missing":     {ca.pem() + intermediate.pem(), ca.revoke(t, tomorrow), []string{"the list of CN=intermediate is missing"}},
		"self-signed client": {ca.pem() + selfSigned.pem(), both, []string{"CN=self-signed", "remove crl.pem and revoke this client by taking it out"}},
		"broken":             {ca.pem(), "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", []string{"list 1 in it cannot be parsed"}},
		"a certificate":      {ca.pem(), ca.pem(), []string{"has a block \"CERTIFICATE\", which is no revocation list"}},
		"in DER":             {ca.pem(), "0\x82", []string{"no revocation list in PEM", "openssl crl -inform der"}},
		// RFC 5280 §5.2.4, §5.2.5: these do not contain all revocations.
		"a delta list":              {ca.pem(), both + ca.partly(t, deltaIndicator, 2, 1, 1), []string{"list 3 in it, of CN=CA, is a delta list"}},
		"an indirect list":          {ca.pem(), ca.partly(t, distributionPoint, 0x30, 3, 0x84, 1, 0xFF), []string{"is an indirect one"}},
		"a list of some reasons":    {ca.pem(), ca.partly(t, distributionPoint, 0x30, 4, 0x83, 2, 6, 0x40), []string{"is one of some reasons only"}},
		"a list of CA certificates": {ca.pem(), ca.partly(t, distributionPoint, 0x30, 3, 0x82, 1, 0xFF), []string{"is one of CA certificates only"}},
		// RFC 5280 §5.3.1, §5.3.3: OpenSSL applies such entries, and refuses a list with an entry that is critical and unknown to it.
		"an entry of another CA": {ca.pem(), ca.entry(t, selfSigned, 0, otherIssuer(t, "other")), []string{"is an indirect one"}},
		"an entry that lets in":  {ca.pem(), ca.entry(t, selfSigned, 8), []string{"is a delta list", "takes the revocation of"}},
		"a critical entry":       {ca.pem(), ca.entry(t, selfSigned, 0, pkix.Extension{Id: unknown, Critical: true, Value: []byte{5, 0}}), []string{"an entry with the critical extension 1.3.6.1.4.1.99999.1", "would refuse all clients"}},
		"an entry with a reason": {ca.pem(), ca.entry(t, selfSigned, 1), nil},
		"a damaged list beside":  {ca.pem(), ca.revoke(t, tomorrow) + damaged(t, ca.revoke(t, tomorrow)), []string{"is damaged: it names the key of that CA"}},
		"a list by another name": {ca.pem(), ca.revoke(t, tomorrow) + strings.ReplaceAll(ca.revoke(t, tomorrow), "X509 CRL", "CRL"), []string{"has a block \"CRL\""}},
		"a list of all":          {ca.pem(), ca.partly(t, distributionPoint, 0x30, 3, 0x84, 1, 0), nil},
		// nginx makes OpenSSL check the root's own certificate as well, with the root's list.
		"a root's list of users":         {ca.pem(), ca.partly(t, distributionPoint, 0x30, 3, 0x81, 1, 0xFF), []string{"for certificates of users", "would refuse all clients"}},
		"a root's list of one point":     {ca.pem(), ca.partly(t, distributionPoint, 0x30, 9, 0xA0, 7, 0xA0, 5, 0x86, 3, 'u', ':', 'x'), []string{"for one distribution point"}},
		"a list of users of another CA":  {ca.pem() + intermediate.pem(), ca.revoke(t, tomorrow) + intermediate.partly(t, distributionPoint, 0x30, 3, 0x81, 1, 0xFF), nil},
		"an extension nobody knows":      {ca.pem(), ca.partly(t, unknown, 5, 0), []string{"has the critical extension 1.3.6.1.4.1.99999.1"}},
		"the CA's next key":              {ca.pem() + next.pem(), ca.revoke(t, tomorrow) + next.revoke(t, tomorrow), nil},
		"the CA's next key, other order": {ca.pem() + next.pem(), next.revoke(t, tomorrow) + ca.revoke(t, tomorrow), nil},
		"no list of the next key":        {ca.pem() + next.pem(), ca.revoke(t, tomorrow), []string{"the list of CN=CA was not signed by"}},
	} {
		t.Run(name, func(t *testing.T) {
			trusted, _, err := checkTruststore([]byte(test.store), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = trusted.checkCRL([]byte(test.lists), nil, time.Now())
			wantProblemWords(t, err, test.words)
		})
	}
}

// Of several lists of a key, the newest one that is valid is used, and no list replaces a newer one.
func TestNewestListCounts(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	trusted, _, err := checkTruststore([]byte(ca.pem()), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	made := func(number int64, hoursAgo, hoursLeft float64) string {
		hours := func(n float64) time.Time { return time.Now().Add(time.Duration(n * float64(time.Hour))) }
		return ca.list(t, func(list *x509.RevocationList) {
			list.Number, list.ThisUpdate, list.NextUpdate = big.NewInt(number), hours(-hoursAgo), hours(hoursLeft)
		})
	}
	old, current, ended := made(1, 50, 5), made(2, 20, 20), made(3, 10, -1)
	_, problems, err := trusted.checkCRL([]byte(current+made(4, -1, 20)), nil, time.Now())
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Reason, "is not valid before") {
		t.Errorf("beside one of the future: error %v, problems %v", err, problems)
	}
	inUse, problems, err := trusted.checkCRL([]byte(ended+old+current), nil, time.Now())
	if err != nil || len(problems) > 0 || inUse.crl != current {
		t.Fatalf("error %v, problems %v, list\n%s, want\n%s", err, problems, inUse.crl, current)
	}
	for name, test := range map[string]struct {
		list  string
		words []string
	}{
		"the same":         {current, nil},
		"a newer one":      {made(4, 5, 30), nil},
		"an older one":     {old, []string{"is older than the one in use"}},
		"a lower number":   {made(1, 5, 30), []string{"is older than the one in use"}},
		"an earlier time":  {made(9, 30, 30), []string{"is older than the one in use"}},
		"one that is over": {ended, []string{"has expired"}},
	} {
		_, _, err := trusted.checkCRL([]byte(test.list), inUse.lists, time.Now())
		if err == nil && test.words != nil {
			t.Errorf("%s is taken", name)
			continue
		}
		wantProblemWords(t, err, test.words)
	}
}
