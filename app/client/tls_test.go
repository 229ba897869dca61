package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// keyPair writes a self-signed client certificate and its key: cert.pem, key.pem, and both in both.pem.
func keyPair(t *testing.T) (folder string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "modality"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder, pool = t.TempDir(), x509.NewCertPool()
	pool.AddCert(certificate)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	writeFile(t, filepath.Join(folder, "cert.pem"), certPEM)
	writeFile(t, filepath.Join(folder, "key.pem"), keyPEM)
	writeFile(t, filepath.Join(folder, "both.pem"), append(certPEM, keyPEM...))
	return folder, pool
}

// newTLSService requires a client certificate if clients is not nil. ca is the file with the CA of the service.
func newTLSService(t *testing.T, clients *x509.CertPool) (s *service, ca string) {
	t.Helper()
	s = &service{replies: []reply{storedAll}}
	s.Server = httptest.NewUnstartedServer(s.handler(t))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if clients != nil {
		s.TLS = &tls.Config{ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	return s, ca
}

func TestTLS(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1")
	s, ca := newTLSService(t, nil)
	t.Run("trusted by --cacert", func(t *testing.T) {
		t.Parallel()
		wantCounts(t, sendWith(t, s.URL, folder, func(o *Options) { o.CACert = ca }), 1, 0)
	})
	t.Run("not verified by --insecure", func(t *testing.T) {
		t.Parallel()
		r := sendWith(t, s.URL, folder, func(o *Options) { o.Insecure = true })
		wantCounts(t, r, 1, 0)
		wantContains(t, "stderr", r.stderr, "warning: --insecure")
	})
	t.Run("not trusted", func(t *testing.T) {
		t.Parallel()
		r := sendWith(t, s.URL, folder, nil)
		wantCounts(t, r, 0, 0)
		wantEqual(t, "exit code", 3, ExitCode(r.summary, r.err))
		wantContains(t, "stdout", r.stdout, "certificate", "--cacert names the authorities to trust")
	})
	t.Run("no TLS there", func(t *testing.T) {
		t.Parallel()
		unencrypted := newService(t, storedAll)
		r := sendWith(t, "https"+unencrypted.URL[len("http"):], folder, nil)
		wantCounts(t, r, 0, 0)
		wantEqual(t, "exit code", 3, ExitCode(r.summary, r.err))
		wantContains(t, "stdout", r.stdout, "does --url begin with http:// instead?")
	})
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1")
	keys, pool := keyPair(t)
	s, ca := newTLSService(t, pool)
	tests := map[string]struct {
		cert, key string
		stored    int
	}{
		"in two files": {"cert.pem", "key.pem", 1},
		"in one file":  {"both.pem", "", 1},
		"none":         {"", "", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sendWith(t, s.URL, folder, func(o *Options) {
				o.CACert = ca
				if test.cert != "" {
					o.Cert = filepath.Join(keys, test.cert)
				}
				if test.key != "" {
					o.Key = filepath.Join(keys, test.key)
				}
			})
			wantCounts(t, r, test.stored, 0)
			wantEqual(t, "exit code", 3*(1-test.stored), ExitCode(r.summary, r.err))
		})
	}
}

func TestUnusableCertificates(t *testing.T) {
	t.Parallel()
	keys, _ := keyPair(t)
	text := filepath.Join(keys, "text")
	writeFile(t, text, []byte("no PEM"))
	tests := map[string]struct {
		change func(*Options)
		want   string
	}{
		"authority missing":   {func(o *Options) { o.CACert = filepath.Join(keys, "none") }, "--cacert: "},
		"authority not PEM":   {func(o *Options) { o.CACert = text }, "--cacert: no certificate in PEM"},
		"key missing":         {func(o *Options) { o.Cert = filepath.Join(keys, "cert.pem") }, "--cert and --key: "},
		"certificate missing": {func(o *Options) { o.Key = filepath.Join(keys, "key.pem") }, "--key without --cert"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sendWith(t, "https://127.0.0.1:1", os.TempDir(), test.change)
			if r.err == nil {
				t.Fatal("got no error")
			}
			wantContains(t, "error", r.err.Error(), test.want)
		})
	}
}
