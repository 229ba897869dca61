package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Each rule of the files, with the text of its problem and its remedy.
func TestCheckPair(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	intermediate := ca.issue(t, "intermediate", authority)
	leaf, other := intermediate.issue(t, "leaf"), ca.issue(t, "other")
	shortLived := ca.issue(t, "intermediate", authority, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Hour) })
	below := shortLived.issue(t, "leaf")
	key := leaf.keyPEM(t)
	for name, test := range map[string]struct {
		certificate, key string
		words            []string // of the problem; none: there is no problem
	}{
		"whole chain":          {leaf.chainPEM() + ca.pem(), key, nil},
		"without the root":     {leaf.chainPEM(), key, nil},
		"leaf alone":           {leaf.pem(), key, nil},
		"self-signed":          {ca.pem(), ca.keyPEM(t), nil},
		"line ends of Windows": {strings.ReplaceAll(leaf.chainPEM(), "\n", "\r\n"), strings.ReplaceAll(key, "\n", "\r\n"), nil},
		"byte order mark":      {"\xef\xbb\xbf" + leaf.chainPEM(), "\xef\xbb\xbf" + key, nil},
		"text between":         {"subject=leaf\n" + leaf.pem() + "subject=intermediate\n" + intermediate.pem(), "comment\n" + key, nil},
		"key in both files":    {key + leaf.chainPEM(), key, nil},
		"empty":                {"", key, []string{certificateFile, "it is empty"}},
		"empty key":            {leaf.pem(), " \n", []string{keyFile, "it is empty"}},
		"files exchanged":      {key, leaf.pem(), []string{certificateFile, "it has no certificate, but PRIVATE KEY"}},
		"no key":               {leaf.pem(), leaf.pem(), []string{keyFile, "no private key"}},
		"key of another":       {leaf.pem(), other.keyPEM(t), []string{keyFile, "not the key of the first certificate", "CN=leaf"}},
		"passphrase":           {leaf.pem(), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", []string{keyFile, "passphrase", "openssl pkey"}},
		"old passphrase":       {leaf.pem(), "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", []string{keyFile, "passphrase"}},
		"DER":                  {string(leaf.certificate.Raw), key, []string{certificateFile, "in DER", "openssl x509 -inform der"}},
		"root before issuer":   {leaf.pem() + ca.pem() + intermediate.pem(), key, []string{certificateFile, "not in order", "certificate 1, CN=leaf, was not issued by certificate 2, CN=CA"}},
		"stranger at the end":  {leaf.pem() + intermediate.pem() + other.pem(), key, []string{certificateFile, "not in order", "certificate 2, CN=intermediate"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := checkPair([]byte(test.certificate), []byte(test.key), time.Now())
			wantProblemWords(t, err, test.words)
		})
	}
	t.Run("ends with the first of the chain", func(t *testing.T) {
		checked, err := checkPair([]byte(below.chainPEM()), []byte(below.keyPEM(t)), time.Now())
		if err != nil || !checked.notAfter.Equal(shortLived.certificate.NotAfter) {
			t.Errorf("notAfter %s, error %v, want that of the intermediate, %s", checked.notAfter, err, shortLived.certificate.NotAfter)
		}
	})
	t.Run("expired intermediate", func(t *testing.T) {
		_, err := checkPair([]byte(below.chainPEM()), []byte(below.keyPEM(t)), time.Now().Add(2*time.Hour))
		wantProblemWords(t, err, []string{certificateFile, "CN=intermediate has expired on"})
	})
}

func wantProblemWords(t *testing.T, err error, words []string) {
	t.Helper()
	if len(words) == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var p problem
	if !errors.As(err, &p) || p.Reason == "" || p.Remedy == "" {
		t.Fatalf("error %v, want a problem with reason and remedy", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

// A store is usable if one of its certificates is; the others are named.
func TestCheckTruststoreNamesWhatIsOfNoUse(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	late := newAuthority(t, "late", expired)
	lonely := newAuthority(t, "unknown").issue(t, "lonely", authority)
	servers := newAuthority(t, "for servers", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	short := newAuthority(t, "short", func(c *x509.Certificate) { c.MaxPathLenZero = true })
	store := late.pem() + lonely.pem() + ca.pem() + ca.issue(t, "below", authority).pem() + servers.pem() + short.pem() + short.issue(t, "too far below", authority).pem()
	checked, problems, err := checkTruststore([]byte(store), time.Now())
	if err != nil || len(problems) != 4 {
		t.Fatalf("problems %v, error %v, want four problems of a usable store", problems, err)
	}
	for n, words := range [][]string{{"CN=late", "is valid from"}, {"CN=lonely", "was issued by CN=unknown, which is not in the file"},
		{"CN=for servers is for other purposes than TLS clients"}, {"CN=short allows 0 CAs below it", "nobody by CN=too far below"}} {
		wantProblemWords(t, problems[n], words)
	}
	if !checked.notAfter.Equal(ca.certificate.NotAfter) {
		t.Errorf("notAfter %s, want that of the usable one, %s", checked.notAfter, ca.certificate.NotAfter)
	}
}

// RFC 8446 §4.2.4: a CertificateRequest contains the names of all trusted CAs, in at most 65,535 bytes.
func TestCheckTruststoreOfTooManyNames(t *testing.T) {
	t.Parallel()
	long := func(n int) string {
		return newAuthority(t, strings.Repeat("x", 60), func(c *x509.Certificate) {
			c.Subject.OrganizationalUnit = slices.Repeat([]string{strings.Repeat(strconv.Itoa(n%10), 60)}, 40+n)
		}).pem()
	}
	var store string
	for n := range 10 {
		store += long(n)
	}
	if _, _, err := checkTruststore([]byte(store+store), time.Now()); err != nil { // each name counts only once
		t.Error(err)
	}
	for n := range 20 {
		store += long(10 + n)
	}
	_, _, err := checkTruststore([]byte(store), time.Now())
	wantProblemWords(t, err, []string{"no handshake would succeed", "by a CA"})
}

func TestParseErrorLine(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]errorLine{
		`2026/11/24 10:00:00 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.1, server: , request: "POST /studies/1.2.3 HTTP/1.1", upstream: "http://127.0.0.1:8080/studies/1.2.3", host: "x"`: {
			slog.LevelError, "connect() failed (111: Connection refused) while connecting to upstream", "192.0.2.1", false},
		`2026/11/24 10:00:00 [warn] 7#7: a client request body is buffered`: {slog.LevelWarn, "a client request body is buffered", "", false},
		`nginx: [emerg] bind() to 0.0.0.0:8443 failed`:                      {slog.LevelError, "bind() to 0.0.0.0:8443 failed", "", false},
		`2026/11/24 10:00:00 [notice] 7#7: signal process started`:          {slog.LevelInfo, "signal process started", "", false},
		`2026/11/24 10:00:00 [error] 7#7: open() "/studies/1.2.3" failed`:   {slog.LevelError, `open() "…" failed`, "", false},
		"2026/11/24 10:00:00 [error] 7#7: *1 broken header: \"GET\n2026/11/24 [error] 7#7: forged\" while reading PROXY protocol, client: 192.0.2.1": {
			slog.LevelError, "broken header while reading PROXY protocol", "192.0.2.1", true},
		`2026/11/24 10:00:00 [error] 7#7: *1 broken header: "GET /x" while reading PROXY protocol, client: 9.9.9.9 HTTP/1.1" while reading PROXY protocol, client: 192.0.2.1, server: 0.0.0.0:8443`: {
			slog.LevelError, "broken header while reading PROXY protocol", "192.0.2.1", true},
		`2026/11/24 10:00:00 [error] 7#7: *1 broken header: "any, client: 9.9.9.9`: {slog.LevelError, "broken header", "", false},
		`2026/11/24 10:00:00 [crit] 7#7: *1 SSL_read() failed (SSL: error:0A0003E9:SSL routines::reason(1001):SSL alert number 1) while waiting for request, client: 192.0.2.1, server: 0.0.0.0:8443`: {
			slog.LevelError, "SSL_read() failed (SSL: error:0A0003E9:SSL routines::reason(1001):SSL alert number 1) while waiting for request", "192.0.2.1", true},
		`what 2.25.12.1.2.3.4 is`: {slog.LevelError, "what … is", "", false},
	} {
		if got := parseErrorLine(line); got != want {
			t.Errorf("%s\ngot  %+v\nwant %+v", line, got, want)
		}
	}
}

// A certificate that cannot be parsed does not prevent the use of the others; a file that was cut is refused as a whole.
func TestOddAndCutStores(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "CA").pem(), newAuthority(t, "other CA").pem()
	odd := "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	trusted := strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: append(newAuthority(t, "aux").certificate.Raw, 0x30, 0)})), "\r", "")
	for name, test := range map[string]struct {
		store string
		named []string // of each problem
		words []string // of the error
	}{
		"odd in front":           {odd + ca, []string{"certificate 1 in it cannot be parsed"}, nil},
		"odd behind":             {ca + odd, []string{"certificate 2 in it cannot be parsed"}, nil},
		"trusted by OpenSSL":     {ca + trusted, []string{"certificate 2 in it cannot be parsed"}, nil},
		"odd alone":              {odd, nil, []string{"certificate 1 in it cannot be parsed"}},
		"words behind dashes":    {"---------------------\n-- CA of the hospital --\n" + ca + "\n--- the other one, since ENDE 2026\n" + other, nil, nil},
		"words between":          {"# CA of the hospital\nsubject=CN=CA\n" + ca + "\nthe other one:\n" + other, nil, nil},
		"cut in the last":        {ca + other[:len(other)/2], nil, []string{"damaged behind block 1", "put the whole file"}},
		"cut in its last line":   {ca + other[:len(other)-3], nil, []string{"damaged behind block 1"}},
		"cut in its first line":  {ca + other[:4], nil, []string{"damaged behind block 1"}},
		"cut in front":           {ca[len(ca)/2:] + other, nil, []string{"damaged behind block 0"}},
		"not Base64 in the last": {ca + strings.Replace(other, "M", "*", 1), nil, []string{"damaged behind block 1"}},
		"cut in the middle":      {ca[:len(ca)/2] + other, nil, []string{"damaged behind block 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			checked, problems, err := checkTruststore([]byte(test.store), time.Now())
			wantProblemWords(t, err, test.words)
			if len(problems) != len(test.named) {
				t.Fatalf("problems %v, want %d", problems, len(test.named))
			}
			for n, words := range test.named {
				wantProblemWords(t, problems[n], []string{words})
			}
			if wanted := test.words == nil; wanted != (checked.certificates != "") {
				t.Errorf("usable: %v, want %v", !wanted, wanted)
			}
		})
	}
	trust, _, err := checkTruststore([]byte(ca), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	list := newAuthority(t, "CA").revoke(t, tomorrow)
	_, _, err = trust.checkCRL([]byte(list+list[:len(list)/2]), trust.lists, time.Now())
	wantProblemWords(t, err, []string{"crl.pem", "damaged behind block 1"})
}
