package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"
)

// upload is a request that stops in the middle of its body until it is released.
type upload struct {
	*gate
	instance instance
	done     chan struct{}
	reply    reply
	err      error
}

// startUpload returns when half of the body has been sent.
func (s *sidecar) startUpload(t *testing.T, client *http.Client, i instance) *upload {
	t.Helper()
	u := &upload{gate: newGate(i), instance: i, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		u.reply, u.err = s.send(ctx, client, "/studies", u.gate, i.sizeBytes)
		close(u.done)
	}()
	select {
	case <-u.passed:
	case <-u.done:
		t.Fatalf("the upload ended early: status %d, error %v: %s", u.reply.status, u.err, u.reply.body)
	case <-time.After(2 * time.Minute):
		t.Fatal("half of the upload was not taken within two minutes")
	}
	return u
}

// wantStored releases the upload, which must succeed.
func (u *upload) wantStored(t *testing.T, s *sidecar) {
	t.Helper()
	close(u.open)
	<-u.done
	if u.err != nil || u.reply.status != http.StatusOK {
		t.Fatalf("the upload ended with status %d, error %v: %s", u.reply.status, u.err, u.reply.body)
	}
	s.s3.wantStored(t, u.instance)
}

// A renewed certificate is served within the refresh time, without a restart, and
// an upload that began with the old one continues.
func TestRotationDuringAnUpload(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	old, renewed := ca.issue(t, "old"), ca.issue(t, "renewed")
	for name, start := range map[string]func(testing.TB, string, map[string]string, ...string) *sidecar{"FROMS3": startFromS3, "LOCAL": startLocal} {
		t.Run(name, func(t *testing.T) {
			files := served(t, old)
			files[truststoreFile] = ca.pem()
			s := start(t, clientAuth, files)
			s.wantServes(t, old)
			u := s.startUpload(t, s.client(ca.issue(t, "modality-1").tls()), newInstance(t, 500*mib))
			for name, content := range served(t, renewed) {
				s.certificates(name, content) // one file after the other: in between, they do not match
			}
			s.wantServes(t, renewed)
			s.wantStored(t, ca.issue(t, "modality-2").tls())
			select {
			case <-u.done:
				t.Fatalf("the upload ended with the reload: %v", u.err)
			default:
			}
			u.wantStored(t, s)
			if got := u.reply.state.PeerCertificates[0].Subject.CommonName; got != "old" {
				t.Errorf("the upload had certificate %q, so that it did not begin before the rotation", got)
			}
			s.wantMetric(t, fmt.Sprintf(`certsync_expiry_timestamp_seconds{file="certificate.crt"} %s`, prometheusNumber(renewed.certificate.NotAfter)))
			if n := len(s.records("serving")); n != 1 {
				t.Errorf("nginx was started %d times, want once", n)
			}
		})
	}
}

// prometheusNumber is a time as the Prometheus text format writes it.
func prometheusNumber(at time.Time) string {
	s := fmt.Sprintf("%.9e", float64(at.Unix()))
	mantissa, exponent, _ := strings.Cut(s, "e+")
	return strings.TrimRight(mantissa, "0") + "e+" + exponent
}

// If a certificate is invalid, the last good one stays in use, and the problem is reported with its remedy.
func TestBadCertificateLeavesTheGoodOne(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	intermediate := ca.issue(t, "intermediate", authority)
	good, other := intermediate.issue(t, "good"), ca.issue(t, "other")
	late, early := ca.issue(t, "late", expired), ca.issue(t, "early", notYetValid)
	s := startFromS3(t, anonymous, served(t, good))
	s.wantServes(t, good)
	for _, bad := range []struct{ name, certificate, key, file, problem string }{
		{"garbage", "garbage", good.keyPEM(t), certificateFile, "no certificate in PEM"},
		{"garbage key", good.chainPEM(), "garbage", keyFile, "no private key in PEM"},
		{"key of another certificate", good.chainPEM(), other.keyPEM(t), keyFile, "it is not the key of the first certificate"},
		{"chain in the wrong order", intermediate.pem() + good.pem(), good.keyPEM(t), keyFile, "put the key that the certificate was made with, and the server's certificate first"},
		{"chain of another CA", good.pem() + other.pem(), good.keyPEM(t), certificateFile, "its chain is not in order"},
		{"expired", late.pem(), late.keyPEM(t), certificateFile, "has expired"},
		{"not yet valid", early.pem(), early.keyPEM(t), certificateFile, "is not valid before"},
		{"removed", "", "", certificateFile, "it is not in the bucket"},
	} {
		s.certificates(certificateFile, bad.certificate)
		s.certificates(keyFile, bad.key)
		s.wantProblem(t, bad.file, bad.problem)
		if s.servedCertificate(t) != string(good.certificate.Raw) {
			t.Errorf("%s: the last good certificate is not served", bad.name)
		}
		s.wantStored(t, nil)
	}
	for name, content := range served(t, other) {
		s.certificates(name, content)
	}
	s.wantServes(t, other)
	s.wantGood(t)
}

// Without certificates the task is live, with a self-signed certificate, because the files can only be uploaded after the first deployment.
func TestCertificatesArePutLater(t *testing.T) {
	t.Parallel()
	server := newAuthority(t, "CA").issue(t, "server")
	for name, start := range map[string]func(testing.TB, string, map[string]string, ...string) *sidecar{"FROMS3": startFromS3, "LOCAL": startLocal} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, anonymous, nil)
			s.wantProblem(t, certificateFile, "it is not in the ")
			s.wantStored(t, nil)
			for name, content := range served(t, server) {
				s.certificates(name, content)
			}
			s.wantServes(t, server)
			s.wantGood(t)
		})
	}
}

// The whole chain is served, so that a client that knows only the root can verify it.
func TestTheChainIsServed(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	server := ca.issue(t, "intermediate", authority).issue(t, "server")
	s := startLocal(t, anonymous, served(t, server))
	client := s.client(nil)
	config := client.Transport.(*http.Transport).TLSClientConfig
	config.InsecureSkipVerify, config.RootCAs = false, x509.NewCertPool()
	config.RootCAs.AddCert(ca.certificate)
	if r, err := s.send(t.Context(), client, "/studies", bytes.NewReader(nil), 0); err != nil {
		t.Errorf("the chain is not verified: %v, %d", err, r.status)
	}
}

// A sidecar that starts without crl.pem does not know which clients are revoked. With CRL=required it refuses all of them
// until the lists exist, and continues with the last lists if they are removed later.
func TestRevocationListsAreRequired(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	client, revoked := ca.issue(t, "modality-1"), ca.issue(t, "modality-2")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files, "CRL=required")
	for range 2 {
		s.wantProblem(t, crlFile, "CRL is required")
		s.wantRefused(t, client.tls(), http.StatusServiceUnavailable, "cannot be verified at the moment")
		s.wantRefused(t, revoked.tls(), http.StatusServiceUnavailable, "cannot be verified at the moment")
		s.certificates(crlFile, "garbage")
		s.wantProblem(t, crlFile, "no revocation list in PEM")
		s.certificates(crlFile, "")
	}
	s.certificates(crlFile, ca.revoke(t, tomorrow, revoked))
	s.wantGood(t)
	s.wantStored(t, client.tls())
	if n := len(s.records("revocation lists are in use, but not required: whoever starts without them lets in whom they refuse")); n > 0 {
		t.Error("warned although lists are required")
	}
	s.certificates(crlFile, "")
	s.wantProblem(t, crlFile, "CRL is required")
	s.wantStored(t, client.tls())
	s.wantRefused(t, revoked.tls(), http.StatusBadRequest, "the client certificate was not verified")
}

// With an expired list, all clients of its CA are refused. This is reported at once, and a new list solves it.
func TestRevocationLists(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	client, revoked := ca.issue(t, "modality-1"), ca.issue(t, "modality-2")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	files[crlFile] = ca.revoke(t, time.Now().Add(-time.Hour))
	s := startLocal(t, clientAuth, files)
	s.wantProblem(t, crlFile, "has expired")
	s.record(t, "revocation lists are in use, but not required: whoever starts without them lets in whom they refuse", "WARNING", "set CRL=required")
	s.wantRefused(t, client.tls(), http.StatusBadRequest, "the client certificate was not verified")
	if hours := s.record(t, "certificate status", "crl_hours_left")["crl_hours_left"].(float64); hours > 0 {
		t.Errorf("crl_hours_left of an expired list is %v", hours)
	}
	soon := time.Now().Add(10 * time.Hour)
	s.certificates(crlFile, ca.revoke(t, soon))
	s.wantGood(t)
	s.wantStored(t, client.tls())
	s.wantStored(t, revoked.tls())
	s.wantMetric(t, fmt.Sprintf(`certsync_expiry_timestamp_seconds{file="crl.pem"} %s`, prometheusNumber(soon)))
	if record := s.record(t, "certificate status", `"crl_hours_left":9`); record["level"] != "WARNING" {
		t.Errorf("a list that is due within a day is no warning: %v", record)
	}

	s.certificates(crlFile, ca.revoke(t, tomorrow, revoked))
	eventually(t, 10*time.Second, "the revoked client is refused", func() bool {
		return s.post(t, revoked.tls(), newInstance(t, 0)).status == http.StatusBadRequest
	})
	s.wantStored(t, client.tls())
	// Lists that would allow revoked clients, or refuse all clients, are refused: the last good list stays in use.
	for _, bad := range []struct{ content, problem string }{
		{"garbage", "no revocation list in PEM"},
		{newAuthority(t, "another CA").revoke(t, tomorrow), "the list of CN=CA is missing"},
		{newAuthority(t, "CA").revoke(t, tomorrow), "was not signed by"},
		{ca.revoke(t, time.Now().Add(-time.Minute)), "has expired"},
		{ca.partly(t, deltaIndicator, 2, 1, 1), "is a delta list"},
		{ca.entry(t, revoked, 0, otherIssuer(t, "other")), "is an indirect one"},
		{ca.entry(t, revoked, 8), "takes the revocation of"},
		{ca.entry(t, client, 0, pkix.Extension{Id: unknown, Critical: true, Value: []byte{5, 0}}), "has an entry with the critical extension 1.3.6.1.4.1.99999.1"},
		{ca.revoke(t, tomorrow) + damaged(t, ca.revoke(t, tomorrow, revoked)), "is damaged"},
		{ca.list(t, func(list *x509.RevocationList) { list.Number = big.NewInt(1) }), "is older than the one in use"},
		{"", "is gone"},
	} {
		s.certificates(crlFile, bad.content)
		s.wantProblem(t, crlFile, bad.problem)
		s.wantStored(t, client.tls())
		s.wantRefused(t, revoked.tls(), http.StatusBadRequest, "the client certificate was not verified")
	}
}

// After a change of its key, a CA has clients of both keys: each is verified, and revoked, with the key that signed it (RFC 5280 §4.2.1.1). Neither
// an additional old list, nor a certificate that cannot be parsed, prevents the use of the others, not even at the start.
func TestClientsOfBothKeysOfACA(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t, "CA"), newAuthority(t, "CA")
	ended := old.list(t, func(list *x509.RevocationList) {
		list.Number, list.NextUpdate = big.NewInt(1), time.Now().Add(-time.Hour)
	})
	revoked := []identity{old.issue(t, "modality-3"), next.issue(t, "modality-4")}
	files := served(t, old.issue(t, "server"))
	files[truststoreFile] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + old.pem() + next.pem()
	files[crlFile] = ended + next.revoke(t, tomorrow, revoked[1]) + old.revoke(t, tomorrow, revoked[0])
	s := startLocal(t, clientAuth, files)
	s.wantProblem(t, truststoreFile, "certificate 1 in it cannot be parsed")
	for n, ca := range []identity{old, next} {
		s.wantStored(t, ca.issue(t, "modality").tls())
		s.wantRefused(t, revoked[n].tls(), http.StatusBadRequest, "the client certificate was not verified")
	}
	s.certificates(truststoreFile, old.pem()+next.pem())
	s.wantGood(t)
}
