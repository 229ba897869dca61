package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "CA"), newAuthority(t, "another CA")
	revoked := ca.issue(t, "revoked")
	selfSigned := identity{}.issue(t, "self-signed")
	intermediate := ca.issue(t, "intermediate", authority)
	below := func(depth int) identity { // a client certificate with so many CAs between it and the root
		issuer := ca
		for n := range depth {
			issuer = issuer.issue(t, fmt.Sprintf("intermediate %d of %d", n+1, depth), authority)
		}
		return issuer.issue(t, "leaf")
	}
	withoutChain := intermediate.issue(t, "leaf without its CA")
	withoutChain.chain = nil
	type client struct {
		name   string
		shows  *tls.Certificate
		status int
		words  string
	}
	const refused = "the client certificate was not verified"
	run := func(t *testing.T, store map[string]string, clients []client) {
		t.Parallel()
		files := served(t, ca.issue(t, "server"))
		for name, content := range store {
			files[name] = content
		}
		s := startLocal(t, clientAuth, files)
		s.wantGood(t)
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				if c.status == http.StatusOK {
					s.wantStored(t, c.shows)
				} else {
					s.wantRefused(t, c.shows, c.status, c.words)
				}
			})
		}
	}
	t.Run("of a CA", func(t *testing.T) {
		run(t, map[string]string{truststoreFile: ca.pem()}, []client{
			{"right", ca.issue(t, "right").tls(), 200, ""},
			{"absent", nil, 400, "no client certificate was sent"},
			{"of another CA", other.issue(t, "stranger").tls(), 400, refused},
			{"of another CA of the same name", newAuthority(t, "CA").issue(t, "right").tls(), 400, refused},
			{"self-signed", selfSigned.tls(), 400, refused},
			{"expired", ca.issue(t, "expired", expired).tls(), 400, refused},
			{"not yet valid", ca.issue(t, "early", notYetValid).tls(), 400, refused},
			{"for servers only", ca.issue(t, "server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }).tls(), 400, refused},
			{"revoked, without a list", revoked.tls(), 200, ""},
			{"of an intermediate CA", intermediate.issue(t, "leaf").tls(), 200, ""},
			{"of an intermediate CA that is not shown", withoutChain.tls(), 400, refused},
			{"three CAs deep", below(3).tls(), 200, ""},
			{"four CAs deep", below(4).tls(), 400, refused},
		})
	})
	t.Run("of a store with intermediate and self-signed certificates", func(t *testing.T) {
		run(t, map[string]string{truststoreFile: ca.pem() + intermediate.pem() + selfSigned.pem()}, []client{
			{"of an intermediate CA that is not shown", withoutChain.tls(), 200, ""},
			{"self-signed", selfSigned.tls(), 200, ""},
			{"another self-signed one of the same name", identity{}.issue(t, "self-signed").tls(), 400, refused},
			{"of another CA", other.issue(t, "stranger").tls(), 400, refused},
		})
	})
	t.Run("with a revocation list", func(t *testing.T) {
		run(t, map[string]string{truststoreFile: ca.pem(), crlFile: ca.revoke(t, tomorrow, revoked)}, []client{
			{"right", ca.issue(t, "right").tls(), 200, ""},
			{"revoked", revoked.tls(), 400, refused},
		})
	})
}

// ALLOWED_CLIENTS limits a CA to the named subjects, which must match completely.
func TestAllowedClients(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	odd := pkix.Name{CommonName: `röntgen "1"; $host {.*}, a\b`, Organization: []string{"Hospital"}}
	subject := func(name pkix.Name) template { return func(c *x509.Certificate) { c.Subject = name } }
	oddClient := ca.issue(t, "", subject(odd)).tls()

	// As an operator does: copy client_dn from the access log. RFC 4514 escapes semicolons in it.
	s := startLocal(t, clientAuth, files)
	s.wantStored(t, oddClient)
	oddDN, _ := s.record(t, "request", "Hospital")["client_dn"].(string)

	s = startLocal(t, clientAuth, files, `ALLOWED_CLIENTS=CN=modality-1; `+oddDN+` ;`)
	s.wantStored(t, ca.issue(t, "modality-1").tls())
	s.wantStored(t, oddClient)
	const words = "not on the list of allowed clients"
	for _, name := range []string{"modality-2", "modality-11", "MODALITY-1", "xCN=modality-1"} {
		s.wantRefused(t, ca.issue(t, name).tls(), http.StatusForbidden, words)
	}
	s.wantRefused(t, ca.issue(t, "", subject(pkix.Name{CommonName: "modality-1", Organization: []string{"Hospital"}})).tls(), http.StatusForbidden, words)
	s.wantRefused(t, newAuthority(t, "another CA").issue(t, "modality-1").tls(), http.StatusBadRequest, "the client certificate was not verified")
	s.wantRefused(t, nil, http.StatusBadRequest, "no client certificate was sent")
}

// Without a truststore every client is refused, with or without a certificate. When the truststore
// arrives, clients are accepted within the refresh time, without a restart.
func TestTruststoreIsPutLater(t *testing.T) {
	t.Parallel()
	ca, server := newAuthority(t, "CA"), newAuthority(t, "CA of the server").issue(t, "server")
	client := ca.issue(t, "modality-1").tls()
	lonely := ca.issue(t, "intermediate", authority)
	for name, test := range map[string]struct{ content, problem string }{
		"absent":             {"", "it is not in"},
		"empty":              {"\n", "it is empty"},
		"garbage":            {"this is no certificate", "it has no certificate in PEM"},
		"broken":             {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be parsed"},
		"key only":           {server.keyPEM(t), "it holds a private key"},
		"expired CA":         {newAuthority(t, "CA", expired).pem(), "is valid from"},
		"leaf without CA":    {ca.issue(t, "leaf").pem(), "which is not in the file"},
		"CA without its CA":  {lonely.pem(), "which is not in the file"},
		"more than a MiB":    {string(make([]byte, maxFileBytes+1)), "more than 1 MiB"},
		"a revocation list":  {ca.revoke(t, tomorrow), "but X509 CRL"},
		"CA in binary (DER)": {string(ca.certificate.Raw), "in DER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := startLocal
			if name == "absent" || name == "garbage" {
				start = startFromS3
			}
			files := served(t, server)
			if test.content != "" {
				files[truststoreFile] = test.content
			}
			s := start(t, clientAuth, files)
			s.wantProblem(t, truststoreFile, test.problem)
			s.wantMetric(t, "certsync_refusing 1")
			s.wantServes(t, server) // the server's own certificate does not wait for the truststore
			for _, shown := range []*tls.Certificate{nil, client} {
				r := s.wantRefused(t, shown, http.StatusServiceUnavailable, "client certificates cannot be verified")
				if r.header.Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
			}
			put := time.Now()
			s.certificates(truststoreFile, ca.pem())
			s.wantGood(t)
			if took := time.Since(put); took > refreshTime+5*time.Second {
				t.Errorf("the truststore was taken after %s", took)
			}
			s.wantStored(t, client)
			s.wantRefused(t, nil, http.StatusBadRequest, "no client certificate was sent")
			s.record(t, "certificate problem solved", truststoreFile)
			if len(s.records("serving")) != 1 {
				t.Error("the sidecar was started twice")
			}
		})
	}
}

// If the truststore becomes invalid, or is removed, the last good one stays in use.
func TestBadTruststoreLeavesTheGoodOne(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files)
	client := ca.issue(t, "modality-1").tls()
	servers := newAuthority(t, "for servers", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	for _, bad := range []struct{ content, problem string }{{"garbage", "no certificate in PEM"}, {"", "it is not in"}, {servers.pem(), "is for other purposes than TLS clients"}} {
		s.certificates(truststoreFile, bad.content)
		s.wantProblem(t, truststoreFile, bad.problem)
		s.wantStored(t, client)
		s.wantRefused(t, nil, http.StatusBadRequest, "no client certificate was sent")
	}
	// A client that is removed from the store is refused.
	other := newAuthority(t, "another CA")
	s.certificates(truststoreFile, other.pem())
	s.wantGood(t)
	s.wantRefused(t, client, http.StatusBadRequest, "the client certificate was not verified")
	s.wantStored(t, other.issue(t, "modality-1").tls())
}
