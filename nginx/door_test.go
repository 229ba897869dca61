package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// withoutDuty makes a certificate like "openssl req -x509": a CA without the key usage keyCertSign.
func withoutDuty(c *x509.Certificate) {
	authority(c)
	c.KeyUsage = 0
}

// RFC 5280 §4.2.1.3: only a certificate with keyCertSign may issue others, although OpenSSL accepts them all.
func TestOwnCertificateVouchesForNobodyElse(t *testing.T) {
	t.Parallel()
	own := newAuthority(t, "device-A", withoutDuty)
	ca := newAuthority(t, "CA")
	below := own.issue(t, "CA of my own", authority)
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = own.pem() + ca.pem()
	for name, variables := range map[string][]string{
		"no list": nil, "a list": {"ALLOWED_CLIENTS=CN=device-A;CN=device-B"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startLocal(t, clientAuth, files, variables...)
			s.wantStored(t, own.tls())
			s.wantStored(t, ca.issue(t, "device-B").tls())
			const words = "is not a CA of truststore.crt that may vouch for clients"
			s.wantRefused(t, own.issue(t, "device-B").tls(), http.StatusForbidden, words)
			s.wantRefused(t, below.issue(t, "device-B").tls(), http.StatusForbidden, words)
			if record := s.record(t, "trusted", own.certificate.Subject.String()); record["vouches_for_clients"] != false || record["sha256"] != fingerprint(own.certificate) {
				t.Errorf("the record of the trust is %v", record)
			}
			s.record(t, "trusted", ca.certificate.Subject.String(), `"vouches_for_clients":true`)
			s.record(t, "refused", words, "CN=device-B")
		})
	}
}

// A name on the list means the client that a CA of the store has issued, not one with the same name by another CA of the same root.
func TestListIsNotPassedByAnotherCAOfTheRoot(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "root")
	trusted, sister := root.issue(t, "trusted", authority), root.issue(t, "sister", authority)
	imitation := sister.issue(t, "trusted", authority)
	files := served(t, root.issue(t, "server"))
	files[truststoreFile] = root.pem() + trusted.pem()
	client := trusted.issue(t, "device-A")
	one := trusted.issue(t, "device-C")
	s := startLocal(t, clientAuth, files, "ALLOWED_CLIENTS=CN=device-A issued by CN=trusted; sha256:"+strings.ToUpper(fingerprint(one.certificate)))
	s.wantStored(t, client.tls())
	s.wantStored(t, one.tls())
	for name, other := range map[string]identity{
		"of a sister":                             sister.issue(t, "device-A"),
		"of a sister's CA of the same name":       imitation.issue(t, "device-A"),
		"of the root, which is not the issuer":    root.issue(t, "device-A"),
		"of the name whose certificate is listed": trusted.issue(t, "device-C"),
	} {
		t.Run(name, func(t *testing.T) { s.wantRefused(t, other.tls(), http.StatusForbidden, "the client certificate") })
	}
}

// A client without a subject is not anonymous: it is named by the fingerprint of its certificate.
func TestClientWithoutSubject(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files)
	client := ca.issue(t, "", func(c *x509.Certificate) { c.Subject = pkix.Name{} })
	r := s.wantStored(t, client.tls())
	if got := s.app.transaction(t, r.header.Get("X-Request-Id"))["client_dn"]; got != "sha256:"+fingerprint(client.certificate) {
		t.Errorf("the app has client_dn %q", got)
	}
	record := s.record(t, "client certificate ends soon", fingerprint(client.certificate))
	if record["level"] != "WARNING" || record["days_left"] != 0.0 {
		t.Errorf("the notice is %v", record)
	}
	s.wantStored(t, client.tls())
	if n := len(s.records("client certificate ends soon")); n != 1 {
		t.Errorf("%d notices of one certificate in a minute", n)
	}
}

func TestParseClients(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0A", 32)
	for list, want := range map[string]int{
		"":                         0,
		"CN=a":                     1,
		"CN=a;CN=b":                2,
		"CN=a ;\n CN=b\n":          2,
		`CN=a\;b=c;CN=c`:           2,
		`CN=a\\;CN=c`:              2,
		"CN=modality-1,O=Hospital": 1,
		`CN=M\C3\BCller\, Arzt+UID=7,2.5.4.97=#0C,O=`:      1,
		"CN=a issued by CN=CA,O=Hospital":                  1,
		"SHA256:" + sum:                                    1,
		"sha256:" + strings.Repeat("0a:", 31) + "0a; CN=b": 2,
	} {
		got, err := parseClients(list)
		if n := len(got.fingerprints) + len(got.subjects) + len(got.of); err != nil || n != want {
			t.Errorf("%q: %d clients, error %v, want %d", list, n, err, want)
		}
	}
	for list, words := range map[string]string{
		`CN=M\\C3\\BCller`: "each backslash is two", `CN=a\\, b,O=c`: "each backslash is two", "CN=a, O=b": "no space follows a comma", "CN=a,b": "is no name", "CN=a issued by CN=b, O=c": "is no name",
		" ; ;": "has no client", "modality-1": "is none", "CN=a issued by CA": "is none", "sha256:0A": "64 hexadecimal digits", "CN=a;sha256:" + sum[1:] + "x": "64 hexadecimal digits",
	} {
		if _, err := parseClients(list); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: error %v, want %q", list, err, words)
		}
	}
	got, err := parseClients("CN=ä issued by CN=ö")
	if err != nil || !got.has(`CN=\C3\A4`, `CN=\C3\B6`, "") || got.has(`CN=\C3\A4`, "CN=o", "") {
		t.Errorf("names that are not ASCII: %v, error %v", got, err)
	}
}

// A public CA, which issues certificates to everybody, causes a warning.
func TestPublicCA(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "public CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	bundle := writeFile(t, "bundle.pem", newAuthority(t, "another").pem()+ca.pem())
	s := startLocal(t, clientAuth, files, "SSL_CERT_FILE="+bundle)
	s.record(t, "everybody may get a certificate of this public CA, and then store", "CN=public CA", "set ALLOWED_CLIENTS")
	s = startLocal(t, clientAuth, files, "SSL_CERT_FILE="+bundle, "ALLOWED_CLIENTS=CN=a")
	s.wantGood(t)
	if n := len(s.records("everybody may get a certificate of this public CA, and then store")); n > 0 {
		t.Error("warned although there is a list")
	}
}

// The memory for clients is bounded, even if their certificates are self-signed and large.
func TestVerdictsAreBounded(t *testing.T) { //nolint:paralleltest // it looks at the memory of all
	d := &door{now: time.Now}
	d.trusts(trust{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range maxVerdicts + maxVerdicts/2 {
		d.judge(strings.Repeat("x", 100_000+n), "", "")
		if len(d.verdicts) > maxVerdicts {
			t.Fatalf("%d.verdicts", len(d.verdicts))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 10*mib {
		t.Errorf("%d.verdicts have %d bytes", len(d.verdicts), grown)
	}
	runtime.KeepAlive(d)
}
