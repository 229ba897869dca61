package main

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// responder answers for a CA whether certificates are revoked (RFC 6960). It does not answer until up is set.
func responder(t *testing.T, ca identity, up *atomic.Bool, revoked func(serial string) bool) (url string) {
	t.Helper()
	return "http://" + serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		asked, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.URL.Path, "/")) // RFC 6960 §A.1
		if err != nil {
			t.Error(err)
		}
		request, err := ocsp.ParseRequest(asked)
		if err != nil {
			t.Errorf("the request cannot be read: %v", err)
			return
		}
		answer := ocsp.Response{Status: ocsp.Good, SerialNumber: request.SerialNumber, IssuerHash: crypto.SHA1, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
		if revoked(request.SerialNumber.String()) {
			answer.Status, answer.RevokedAt = ocsp.Revoked, time.Now().Add(-time.Hour)
		}
		signed, err := ocsp.CreateResponse(ca.certificate, ca.certificate, answer, ca.key)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/ocsp-response")
		w.Write(signed)
	}))
}

// With CLIENT_OCSP, a client is accepted only if its CA answers that the certificate is good.
func TestClientOCSP(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	var up atomic.Bool
	var withdrawn atomic.Value
	withdrawn.Store("")
	url := responder(t, ca, &up, func(serial string) bool { return serial == withdrawn.Load() })
	asking := func(c *x509.Certificate) { c.OCSPServer = []string{url} }
	good, revoked, early := ca.issue(t, "good", asking), ca.issue(t, "revoked", asking), ca.issue(t, "early", asking)
	withdrawn.Store(revoked.certificate.SerialNumber.String())
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files, "CLIENT_OCSP=on", "RESOLVER=127.0.0.1")
	s.wantRefused(t, early.tls(), http.StatusBadRequest, "certificate status request failed")
	up.Store(true)
	s.wantStored(t, good.tls())
	s.wantRefused(t, revoked.tls(), http.StatusBadRequest, "certificate revoked")
}

// With OCSP_STAPLING, handshakes contain the CA's answer about the server's certificate, after nginx has asked for it.
func TestStapling(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "root")
	ca := root.issue(t, "CA", authority)
	var up atomic.Bool
	up.Store(true)
	url := responder(t, ca, &up, func(string) bool { return false })
	server := ca.issue(t, "server", func(c *x509.Certificate) { c.OCSPServer = []string{url} })
	s := startLocal(t, anonymous, served(t, server), "OCSP_STAPLING=on")
	eventually(t, 10*time.Second, "a handshake has an answer of the CA", func() bool {
		connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		answer, err := ocsp.ParseResponse(connection.OCSPResponse(), ca.certificate)
		return err == nil && answer.Status == ocsp.Good
	})
}
