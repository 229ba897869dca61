package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// raw sends text as a client with this certificate, and returns everything that it receives.
func (s *sidecar) raw(t *testing.T, certificate *tls.Certificate, text string) string {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true}
	if certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	connection, err := tls.Dial("tcp", s.address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(connection, text)
	got, _ := io.ReadAll(connection)
	return string(got)
}

// RFC 9112 §6, §11.2: a request cannot be hidden in the body of another, and a client cannot take the name of another.
func TestSmugglingAndForgedHeaders(t *testing.T) {
	t.Parallel()
	program := nginxProgram(t)
	s3, _ := startSystem(t)
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	own := startApp(t, s3)
	folder := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(folder+"/"+name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startSidecarOf(t, program, s3, own, "AUTH_MODE=clientauth", "CERT_MODE=LOCAL", "CERT_FOLDER="+folder)
	client := ca.issue(t, "modality-1").tls()
	const hidden = "POST /studies HTTP/1.1\r\nHost: hidden\r\nX-Request-Id: hidden\r\nContent-Type: text/hidden\r\nContent-Length: 0\r\n\r\n"
	head := "POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
	for name, text := range map[string]string{
		"length and chunked":      head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"chunked and length":      head + fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n", 5+len(hidden)) + hidden,
		"two lengths":             head + fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n", len(hidden)) + hidden,
		"a length of +0":          head + "Content-Length: +0\r\n\r\n" + hidden,
		"an unknown coding":       head + "Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		"two codings":             head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden,
		"a space before a colon":  head + fmt.Sprintf("Content-Length : %d\r\n\r\n", len(hidden)) + hidden,
		"a folded coding":         head + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		"a chunk too long":        head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n", len(hidden)-1) + hidden + "\r\n0\r\n\r\n",
		"a line feed in a header": head + "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + hidden,
	} {
		t.Run(name, func(t *testing.T) {
			got := s.raw(t, client, text)
			if strings.Contains(got, "text/hidden") {
				t.Errorf("the hidden request is answered: %s", got)
			}
		})
	}
	for _, record := range own.records("store transaction") {
		if strings.Contains(fmt.Sprint(record["refusal"]), "text/hidden") && record["client_dn"] != "CN=modality-1" {
			t.Errorf("a hidden request of nobody has reached the app: %v", record)
		}
	}
	for _, forged := range []string{"X-Client-DN: CN=admin\r\nX-Client-DN: CN=root\r\n", "X_Client_DN: CN=admin\r\n", "x-client-dn: CN=admin\r\n", "X-Client-DN:\r\n CN=admin\r\n",
		"X-Client-Name: CN=admin\r\n", "X-Client-Certificate: x\r\nX-Client-Subject: CN=admin\r\n", "Connection: X-Client-DN\r\n", "Connection: close, X-Client-DN, X-Real-IP\r\n"} {
		before := len(own.records("store transaction"))
		got := s.raw(t, client, head+forged+"Content-Length: 0\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 4") {
			t.Errorf("%q: %.100s", forged, got)
		}
		for _, record := range own.records("store transaction")[before:] {
			if record["client_dn"] != "CN=modality-1" || record["remote"] != "127.0.0.1" {
				t.Errorf("%q: the app has client_dn %q, remote %q", forged, record["client_dn"], record["remote"])
			}
		}
	}
}

// Methods and targets for proxies are refused (RFC 9110 §9.3.6, §9.3.8; RFC 9112 §3.2).
func TestMethodsAndTargetsOfProxies(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	for text, want := range map[string]string{
		"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n":                                  "400",
		"TRACE / HTTP/1.1\r\nHost: x\r\nX-Secret: y\r\nConnection: close\r\n\r\n":                        "405",
		"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":             "404",
		"GET https://example.org/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":               "404",
		"GET /.door HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":                                    "404",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":                                     "400",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                               "400",
		"OPTIONS https://example.org/studies HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n": "200",
	} {
		got := s.raw(t, nil, text)
		response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
		if err != nil || fmt.Sprint(response.StatusCode) != want || strings.Contains(got, "X-Secret") {
			t.Errorf("%q: want %s, got %.200q, error %v", text, want, got, err)
		}
	}
}

// With any subject that a CA can issue, each record remains one record, and the name one value.
func TestOddSubjects(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files)
	bmp := pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: asn1.RawValue{Tag: 30, Bytes: []byte{0, 'a', 0x20, 0x28, 0, '"'}}}}}
	for name, subject := range map[string]pkix.Name{
		"JSON":            {CommonName: `","client_dn":"CN=admin`},
		"a line":          {CommonName: "a\r\nX-Client-DN: CN=admin\r\n\r\n"},
		"a zero":          {CommonName: "modality-1\x00admin"},
		"a name in it":    {CommonName: "modality-1,CN=admin"},
		"several":         {CommonName: "a", OrganizationalUnit: []string{"b", "c"}, Organization: []string{"d;e", "f+g"}},
		"UTF-16":          bmp,
		"very long":       {CommonName: strings.Repeat("x", 8000)},
		"variables":       {CommonName: "$remote_addr ${host} %{x} \\u0022"},
		"issued by words": {CommonName: "a issued by CN=CA"},
	} {
		t.Run(name, func(t *testing.T) {
			client := ca.issue(t, "", func(c *x509.Certificate) { c.Subject = subject })
			r := s.post(t, client.tls(), newInstance(t, 0))
			if r.status != http.StatusOK {
				t.Fatalf("status %d: %s", r.status, r.body)
			}
			record := s.record(t, "request", r.header.Get("X-Request-Id"))
			dn, _ := record["client_dn"].(string)
			if dn == "" || dn == "CN=admin" || strings.ContainsAny(dn, "\r\n\x00") || record["client_sha256"] != fingerprint(client.certificate) {
				t.Errorf("the record has client_dn %q", dn)
			}
			if got, _ := s.app.transaction(t, r.header.Get("X-Request-Id"))["client_dn"].(string); got == "" || got == "CN=admin" || strings.ContainsAny(got, "\r\n\x00") {
				t.Errorf("the app has client_dn %q", got)
			}
		})
	}
	allowed, err := parseClients("CN=b")
	if err != nil || allowed.has("CN=a"+issuedBy+"CN=CA", "CN=x", "") {
		t.Errorf("a subject passes as another: error %v", err)
	}
}

// After a hundred reloads during uploads, memory and number of processes are still bounded.
func TestReloadStorm(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	s := startLocal(t, anonymous, served(t, ca.issue(t, "server 0")), "CERT_REFRESH=1h")
	var uploads []*upload
	const reloads = 100
	for n := 1; n <= reloads; n++ {
		if n%25 == 1 {
			uploads = append(uploads, s.startUpload(t, s.client(nil), newInstance(t, 20*mib)))
		}
		server := ca.issue(t, "server", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(int64(n)) })
		for name, content := range served(t, server) {
			s.certificates(name, content)
		}
		s.signal(t, syscall.SIGHUP)
		eventually(t, 10*time.Second, "the reload", func() bool { return len(s.records("certificates in use")) == n+1 })
	}
	if used := s.memory(t) + vmHWM(t, s.cmd.Process.Pid); used > 256*mib {
		t.Errorf("%d MiB in %d processes", used/mib, len(s.workers(t)))
	}
	for _, u := range uploads {
		u.wantStored(t, s)
	}
}
