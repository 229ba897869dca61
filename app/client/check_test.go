package client

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
)

// checked returns the output of Check for a service with these answers.
func checked(t *testing.T, start func(*httptest.Server), handler http.HandlerFunc, change func(*CheckOptions)) (text string, code int) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(server)
	t.Cleanup(server.Close)
	o := CheckOptions{URL: server.URL}
	if certificate := server.Certificate(); certificate != nil {
		o.CACert = filepath.Join(t.TempDir(), "ca.pem")
		writeFile(t, o.CACert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	}
	if change != nil {
		change(&o)
	}
	var stdout, stderr bytes.Buffer
	summary, err := Check(t.Context(), o, &stdout, &stderr)
	return stdout.String() + stderr.String(), ExitCode(summary, err)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(code)
		}
	}
}

func TestCheckTellsHowAServiceAnswers(t *testing.T) {
	t.Parallel()
	keys, pool := keyPair(t)
	plainHTTP, withTLS := (*httptest.Server).Start, (*httptest.Server).StartTLS
	withClients := func(pool *x509.CertPool) func(*httptest.Server) {
		return func(s *httptest.Server) {
			s.TLS = &tls.Config{ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
			s.StartTLS()
		}
	}
	own := func(o *CheckOptions) { o.Cert = filepath.Join(keys, "both.pem") }
	for name, test := range map[string]struct {
		start  func(*httptest.Server)
		answer http.HandlerFunc
		change func(*CheckOptions)
		code   int
		want   []string
	}{
		"without TLS":         {plainHTTP, status(400), nil, 0, []string{"TLS          none", "OPTIONS      HTTP 200", "latency", "it takes instances"}},
		"with TLS":            {withTLS, status(400), nil, 0, []string{"TLS          TLS 1.3", "of service   O=Acme Co", "does not ask for a certificate"}},
		"authority":           {withTLS, status(400), func(o *CheckOptions) { o.CACert = "" }, 3, []string{"--cacert names the authorities to trust"}},
		"certificate, shown":  {withClients(pool), status(400), own, 0, []string{"certificate  CN=modality", "renew it soon", "was shown that of --cert"}},
		"certificate, none":   {withClients(pool), status(400), nil, 3, []string{"the service asks for a client certificate: --cert and --key"}},
		"certificate, other":  {withClients(x509.NewCertPool()), status(400), own, 3, []string{"it does not take instances"}},
		"certificate, unused": {withTLS, status(400), own, 0, []string{"that of --cert is not shown"}},
		"401":                 {plainHTTP, status(401), nil, 3, []string{"--token-file, --header or --cert say who sends"}},
		"404":                 {plainHTTP, status(404), nil, 3, []string{"is --url right?"}},
		"500":                 {plainHTTP, status(500), nil, 0, []string{"POST         HTTP 500 Internal Server Error: the service may fail with instances, too"}},
		"503":                 {plainHTTP, status(503), nil, 3, []string{"not available"}},
		"secrets": {plainHTTP, status(403), func(o *CheckOptions) {
			o.Header = []string{"Authorization: Basic hunter2"}
		}, 3, []string{"HTTP 403"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, code := checked(t, test.start, test.answer, test.change)
			wantEqual(t, "exit code", test.code, code)
			wantContains(t, "output", text, test.want...)
			if bytes.Contains([]byte(text), []byte("hunter2")) {
				t.Errorf("the output tells the value of a header:\n%s", text)
			}
		})
	}
}

// Check also shows what would be sent, and instances of which a service keeps only one.
func TestCheckFindsDuplicates(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1", "1.2", "1.3")
	writeFile(t, filepath.Join(folder, "x", "copy.dcm"), instanceBytes("1.1", 586))
	writeFile(t, filepath.Join(folder, "x", "longer.dcm"), instanceBytes("1.2", 604))
	other := instanceBytes("1.3", 586)
	other[len(other)-20] ^= 1
	writeFile(t, filepath.Join(folder, "x", "other.dcm"), other)
	text, code := checked(t, (*httptest.Server).Start, status(400), func(o *CheckOptions) { o.Paths = []string{folder} })
	wantEqual(t, "exit code", 0, code)
	wantContains(t, "output", text, "6 instances, ", " of 1 study would be sent", "1 of them has the UIDs and, as far as was looked, the bytes of another",
		"2 of them have the UIDs of another, and other bytes: a service keeps one of them", "dcm: another file has the same UIDs and other bytes")
}
