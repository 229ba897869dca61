package main

import (
	"net/http"
	"testing"
)

// All pairs of CERT_MODE and AUTH_MODE that work. ACM with clientauth is
// among the refusals in settings_test.go.
func TestModes(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	server := ca.issue(t, "server")
	client := ca.issue(t, "modality-1").tls()
	files := served(t, server)
	withStore := served(t, server)
	withStore[truststoreFile] = ca.pem()
	t.Run("ACM anonymous", func(t *testing.T) {
		t.Parallel()
		s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
		r := s.wantStored(t, nil)
		if c := r.state.PeerCertificates[0]; c.CheckSignatureFrom(c) == nil || c.Subject.CommonName != "stowrs-to-s3, self-signed" {
			t.Errorf("the certificate is %s, want a self-signed one that is no CA", c.Subject)
		}
		s.wantGood(t)
		other := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
		if other.servedCertificate(t) == s.servedCertificate(t) {
			t.Error("two sidecars have the same certificate: it is not made at start")
		}
	})
	for name, start := range map[string]func(testing.TB, string, map[string]string, ...string) *sidecar{"FROMS3": startFromS3, "LOCAL": startLocal} {
		t.Run(name+" anonymous", func(t *testing.T) {
			t.Parallel()
			s := start(t, anonymous, files)
			s.wantServes(t, server)
			if r := s.wantStored(t, nil); s.app.transaction(t, r.header.Get("X-Request-Id"))["client_dn"] != "" {
				t.Error("an anonymous client has a client_dn")
			}
			s.wantGood(t)
		})
		t.Run(name+" clientauth", func(t *testing.T) {
			t.Parallel()
			s := start(t, clientAuth, withStore)
			s.wantServes(t, server)
			r := s.wantStored(t, client)
			record := s.app.transaction(t, r.header.Get("X-Request-Id"))
			if record["client_dn"] != "CN=modality-1" || record["remote"] != "127.0.0.1" {
				t.Errorf("the audit record has client_dn %v and remote %v", record["client_dn"], record["remote"])
			}
			s.wantRefused(t, nil, http.StatusBadRequest, "no client certificate was sent")
			s.wantGood(t)
		})
	}
}
