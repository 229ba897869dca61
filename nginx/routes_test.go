package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// request sends a request without a body.
func (s *sidecar) request(t *testing.T, method, path string, header http.Header) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://"+s.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	r, err := do(s.client(nil), request)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Only /studies… and OPTIONS reach the app; nginx answers 404 to everything else.
func TestRoutes(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	for _, test := range []struct {
		method, path string
		status       int
		app          bool // the app has answered
		route        string
	}{
		{"OPTIONS", "/", 200, true, "/"},
		{"OPTIONS", "/studies", 200, true, "/studies"},
		{"OPTIONS", "/studies/2.25.1", 200, true, "/studies/{study}"},
		{"GET", "/studies", 405, true, "/studies"},
		{"GET", "/studies/2.25.1/series", 404, true, "/studies/{study}/..."},
		{"OPTIONS", "/commitment-requests/2.25.1", 200, true, "/commitment-requests/{transactionUID}"},
		{"GET", "/commitment-requests/2.25.1", 404, true, "/commitment-requests/{transactionUID}"},
		{"POST", "/commitment-requests/2.25.1", 415, true, "/commitment-requests/{transactionUID}"},
		{"POST", "/commitment-requests/2.25.1/x", 404, true, "other"},
		{"POST", "/commitment-requests", 404, false, "other"},
		{"GET", "/", 405, true, "/"},
		{"POST", "/", 405, true, "/"},
		{"POST", "/instances", 404, false, "other"},
		{"OPTIONS", "/instances", 404, false, "other"},
		{"POST", "/studiesx", 404, false, "other"},
		{"GET", "/metrics", 404, false, "other"},
		{"GET", "/livez", 404, false, "other"},
		{"GET", "/nginx.conf", 404, false, "other"},
		{"GET", "/studies/../certificate.key", 404, false, "other"},
	} {
		r := s.request(t, test.method, test.path, nil)
		if r.status != test.status {
			t.Errorf("%s %s: status %d, want %d: %s", test.method, test.path, r.status, test.status, r.body)
		}
		record := s.record(t, "request", r.header.Get("X-Request-Id"))
		if fromApp := record["app_status"] != ""; fromApp != test.app {
			t.Errorf("%s %s: answered by the app: %v, want %v", test.method, test.path, fromApp, test.app)
		}
		if record["route"] != test.route {
			t.Errorf("%s %s: route %q, want %q", test.method, test.path, record["route"], test.route)
		}
		if !test.app && !strings.Contains(r.body, "POST /studies") {
			t.Errorf("%s %s: the answer does not say what there is: %s", test.method, test.path, r.body)
		}
	}
}

// The study in the path reaches the app unchanged.
func TestPathAndStudyUIDAreIntact(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	for _, path := range []func(instance) string{
		func(i instance) string { return "/studies/" + i.study },
		func(i instance) string { return "/studies/" + i.study + "/" },
	} {
		i := newInstance(t, 0)
		if r, err := s.send(t.Context(), s.client(nil), path(i), i.reader(), i.sizeBytes); err != nil || r.status != http.StatusOK {
			t.Errorf("%s: status %d, error %v: %s", path(i), r.status, err, r.body)
			continue
		}
		s.s3.wantStored(t, i)
	}
	i := newInstance(t, 0)
	if r, err := s.send(t.Context(), s.client(nil), "/studies/"+i.study+"1", i.reader(), i.sizeBytes); err != nil || r.status != http.StatusConflict {
		t.Errorf("another study: status %d, want 409, error %v: %s", r.status, err, r.body)
	}
	s.s3.wantNotStored(t, i)
}

// Headers in which a client names itself are removed; those of nginx reach the app.
func TestSpoofedHeadersAreDropped(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	withClients, withoutClients := startLocal(t, clientAuth, files), startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	for _, test := range []struct {
		s     *sidecar
		shows *tls.Certificate
		dn    string
	}{{withClients, ca.issue(t, "modality-1").tls(), "CN=modality-1"}, {withoutClients, nil, ""}} {
		for _, name := range []string{"X-Client-DN", "x-client-dn", "X-Client-Dn"} {
			i := newInstance(t, 0)
			r := test.s.post(t, test.shows, i, name, "CN=admin", "X-Real-IP", "203.0.113.7", "X-Forwarded-For", "203.0.113.7", "X-Request-Id", "forged")
			id := r.header.Get("X-Request-Id")
			if r.status != http.StatusOK || id == "" || id == "forged" {
				t.Fatalf("status %d, request id %q", r.status, id)
			}
			record := test.s.app.transaction(t, id)
			if record["client_dn"] != test.dn || record["remote"] != "127.0.0.1" {
				t.Errorf("%s: the app has client_dn %q and remote %q, want %q and 127.0.0.1", name, record["client_dn"], record["remote"], test.dn)
			}
			if ids := r.header.Values("X-Request-Id"); len(ids) != 1 {
				t.Errorf("the answer has request ids %q", ids)
			}
			test.s.s3.wantStored(t, i)
		}
	}
}

// The base URI is https, as the client sees it, even if the client sends other headers.
func TestBaseURIIsHTTPS(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	r := s.request(t, http.MethodOptions, "/studies", http.Header{"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"evil.example"}})
	if want := "base=\"https://" + s.address + "/\""; r.status != http.StatusOK || !strings.Contains(r.body, want) {
		t.Errorf("status %d, want 200 and %s in %s", r.status, want, r.body)
	}
}

// TLS 1.2 and 1.3 with forward secrecy, and HTTP/1.1; no older version, and no HTTP/2, even if the client prefers it.
func TestProtocols(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	handshake := func(config *tls.Config) (tls.ConnectionState, error) {
		config.InsecureSkipVerify = true
		connection, err := tls.Dial("tcp", s.address, config)
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer connection.Close()
		return connection.ConnectionState(), nil
	}
	for version, accepted := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, err := handshake(&tls.Config{MinVersion: version, MaxVersion: version})
		if (err == nil) != accepted {
			t.Errorf("%s: error %v, want accepted: %v", tls.VersionName(version), err, accepted)
		}
	}
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !slices.Contains(suite.SupportedVersions, tls.VersionTLS12) || strings.Contains(suite.Name, "_ECDSA_") { // the server's key is RSA
			continue
		}
		_, err := handshake(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}})
		modern := strings.HasPrefix(suite.Name, "TLS_ECDHE_") && (strings.Contains(suite.Name, "_GCM_") || strings.Contains(suite.Name, "_CHACHA20_"))
		if (err == nil) != modern {
			t.Errorf("%s: error %v, want accepted: %v", suite.Name, err, modern)
		}
	}
	for _, prefers := range []bool{false, true} {
		client := s.client(nil)
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = prefers
		i := newInstance(t, 20*mib)
		r, err := s.send(t.Context(), client, "/studies", i.reader(), i.sizeBytes)
		if err != nil || r.status != http.StatusOK {
			t.Fatalf("prefers HTTP/2: %v: status %d, error %v: %s", prefers, r.status, err, r.body)
		}
		s.s3.wantStored(t, i)
		if got := s.record(t, "request", r.header.Get("X-Request-Id"))["protocol"]; got != "HTTP/1.1" {
			t.Errorf("protocol %v, want HTTP/1.1", got)
		}
	}
}

// A chunked body, whose length is unknown, is streamed as well.
func TestChunkedUpload(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	i := newInstance(t, 20*mib)
	r, err := s.send(t.Context(), s.client(nil), "/studies", i.reader(), -1)
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("status %d, error %v: %s", r.status, err, r.body)
	}
	s.s3.wantStored(t, i)
}

// Metric filters read the fields of the access log, so their names and types must not change.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files)
	i := newInstance(t, 0)
	client := ca.issue(t, "modality-1")
	r, err := s.send(t.Context(), s.client(client.tls()), "/studies/"+i.study+"?PatientName=Doe", i.reader(), i.sizeBytes, "Referer", "https://example.org/Doe", "User-Agent", "Doe/1.0")
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("status %d, error %v: %s", r.status, err, r.body)
	}
	s.s3.wantStored(t, i)
	got := s.record(t, "request", r.header.Get("X-Request-Id"))
	want := map[string]any{
		"level": "INFO", "msg": "request", "request_id": r.header.Get("X-Request-Id"), "remote": "127.0.0.1",
		"method": "POST", "route": "/studies/{study}", "protocol": "HTTP/1.1", "status": 200.0, "app_status": "200",
		"tls": "TLSv1.3", "client_dn": "CN=modality-1", "client_issuer": "CN=CA", "client_sha256": fingerprint(client.certificate),
		"client_serial": fmt.Sprintf("%X", client.certificate.SerialNumber.Bytes()),
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	for _, name := range []string{"time", "cipher", "bytes_received", "bytes_sent", "duration_s", "client_days_left"} {
		if got[name] == nil || got[name] == "" {
			t.Errorf("%s is missing", name)
		}
		delete(got, name)
	}
	if len(got) != len(want) {
		t.Errorf("the record has fields beside %v and the variable ones: %v", want, got)
	}
	if bytesReceived := s.records("request")[0]["bytes_received"].(float64); int64(bytesReceived) < i.sizeBytes {
		t.Errorf("bytes_received is %v, want more than the body's %d", bytesReceived, i.sizeBytes)
	}
}

// Neither log contains a UID, a query, a header or a body, even after errors; each line is a JSON record.
func TestLogsHaveNoPHI(t *testing.T) {
	t.Parallel()
	program := nginxProgram(t)
	s3, _ := startSystem(t)
	gone := &app{address: freeAddress(t), admin: freeAddress(t)} // the app is down, so nginx logs errors
	s := startSidecarOf(t, program, s3, gone, "CERT_MODE=ACM", "AUTH_MODE=anonymous", "CLIENT_MAX_BODY_SIZE=1m")
	const secret = "Doe^John"
	i := newInstance(t, 0)
	path := "/studies/" + i.study + "?PatientName=" + secret
	r, err := s.send(t.Context(), s.client(nil), path, i.reader(), i.sizeBytes, "Referer", "https://example.org/"+secret, "X-Name", secret)
	if err != nil || r.status != http.StatusServiceUnavailable {
		t.Fatalf("status %d, want 503 without the app, error %v", r.status, err)
	}
	if r, err := s.send(t.Context(), s.client(nil), path, io.LimitReader(&pattern{}, 2*mib), 2*mib); err != nil || r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413, error %v", r.status, err)
	}
	for _, raw := range []string{
		"POST /studies/" + i.study + "/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /studies/" + i.study + " HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
		"POST /studies/" + i.study + " HTTP/1.1\r\nBad Header " + secret + ": x\r\nHost: " + secret + "\r\n\r\n",
		"GET /studies/" + i.study + " HTTP/9.9\r\n\r\n",
		"GET /studies/" + i.study + "/" + strings.Repeat("x", 80<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /" + secret + "/studies/" + i.study + "\r\n",
		secret + " " + i.study + "\r\n\r\n",
	} {
		connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		connection.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprint(connection, raw)
		bytes.NewBuffer(nil).ReadFrom(connection)
		connection.Close()
	}
	s.record(t, "nginx", "connect() failed")
	s.record(t, "request", `"app_status":"502"`)
	s.signal(t, stopSignal)
	s.exitCode(t, 10*time.Second)
	log := s.stderr.String()
	for _, forbidden := range []string{i.study, i.uid, "Doe", "PatientName", "xxxx", "example.org"} {
		if strings.Contains(log, forbidden) {
			t.Errorf("the log has %q:\n%s", forbidden, log)
		}
	}
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, `{"time":"`) || !strings.HasSuffix(line, "}\n") {
			t.Errorf("this line is no record: %s", line)
		}
	}
}

// With a bucket that does not answer, or that may not be read, the task is live and degraded, and names the remedy.
func TestProblemsOfTheSource(t *testing.T) {
	t.Parallel()
	nginxProgram(t)
	s3, _ := startSystem(t)
	for name, test := range map[string]struct {
		variables     []string
		file, problem string
	}{
		"S3 is gone":         {s3.environment("AWS_ENDPOINT_URL_S3=http://"+freeAddress(t), "RETRYTIME=1s"), "nowhere", "check the network, the VPC endpoint"},
		"no such bucket":     {s3.environment(), "nowhere", "create it, or correct CERT_BUCKETNAME"},
		"wrong keys":         {s3.environment("AWS_SECRET_ACCESS_KEY=wrong"), "nowhere/certificate.crt", "grant s3:GetObject"},
		"folder not mounted": {[]string{"CERT_MODE=LOCAL", "CERT_FOLDER=/nowhere"}, "/nowhere", "mount the folder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSidecar(t, append([]string{"AUTH_MODE=clientauth", "CERT_MODE=FROMS3", "CERT_BUCKETNAME=nowhere"}, test.variables...)...)
			s.wantProblem(t, test.file, test.problem)
			s.wantRefused(t, nil, http.StatusServiceUnavailable, "client certificates cannot be verified")
			time.Sleep(3 * refreshTime)
			if n := len(s.records("certificate problem")); n > 2 {
				t.Errorf("%d records of one problem", n)
			}
		})
	}
}
