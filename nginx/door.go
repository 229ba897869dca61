package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// doorName is the socket in RUN_FOLDER where nginx asks whether a client may store (auth_request).
const doorName = "door.sock"

// door decides whether a client whose certificate OpenSSL has verified may store. OpenSSL accepts every
// certificate of truststore.crt as an issuer if it could be a CA; the door accepts only certificates that
// are meant to issue others (see mayVouch), and knows the clients of ALLOWED_CLIENTS.
//
// A client may store if its certificate is in truststore.crt itself, or was issued by a CA of
// truststore.crt; and, if there is a list, if it is on the list.
type door struct {
	allowed clients
	log     *slog.Logger
	now     func() time.Time

	mu       sync.Mutex
	trust    trust
	verdicts map[[sha256.Size]byte]verdict // by the hash of the certificate as nginx sends it; it can have 300 KB
	ending   map[string]time.Time
}

// verdict is the decision about a client.
type verdict struct {
	refusal     string // empty: it may store
	fingerprint string
	notAfter    time.Time
}

const (
	// maxVerdicts limits the memory for clients, about 300 bytes each.
	maxVerdicts = 1000
	// endingEvery is how often the approaching end of a client's certificate is logged.
	endingEvery = 24 * time.Hour
)

// trusts makes the door decide with this trust from now on.
func (d *door) trusts(t trust) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trust, d.verdicts = t, map[[sha256.Size]byte]verdict{}
}

// ServeHTTP answers nginx: 204, or 403 with the reason in X-Refusal. The names of the client are in headers.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := func(name string) string { return r.Header.Get("X-Client-" + name) }
	subject, issuer := header("Subject"), header("Issuer")
	v := d.judge(header("Certificate"), subject, issuer)
	if subject == "" {
		subject = "sha256:" + v.fingerprint
	}
	w.Header().Set("X-Client-Name", subject)
	w.Header().Set("X-Client-Sha256", v.fingerprint)
	if v.refusal != "" {
		w.Header().Set("X-Refusal", v.refusal)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	d.noteEnd(r.Context(), subject, v)
	w.WriteHeader(http.StatusNoContent)
}

// judge decides about a certificate, in PEM and percent-encoded, with its names as nginx writes them.
func (d *door) judge(escaped, subject, issuer string) verdict {
	hash := sha256.Sum256([]byte(escaped))
	d.mu.Lock()
	defer d.mu.Unlock()
	if v, known := d.verdicts[hash]; known {
		return v
	}
	v := d.look(escaped, subject, issuer)
	if len(d.verdicts) >= maxVerdicts {
		clear(d.verdicts)
	}
	d.verdicts[hash] = v
	return v
}

func (d *door) look(escaped, subject, issuer string) verdict {
	text, err := url.PathUnescape(escaped)
	if err != nil {
		return verdict{refusal: "the client certificate cannot be read"}
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return verdict{refusal: "the client certificate cannot be read"}
	}
	v := verdict{}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil { // although OpenSSL could parse it
		return verdict{refusal: "the client certificate is of a kind that cannot be read here"}
	}
	v.fingerprint, v.notAfter = fingerprint(c), c.NotAfter
	switch {
	case !d.trust.vouchesFor(c, !d.allowed.all()):
		v.refusal = "the issuer of the client certificate is not a CA of " + truststoreFile + " that may vouch for clients"
	case !d.allowed.all() && !d.allowed.has(subject, issuer, v.fingerprint):
		v.refusal = "the client certificate is not on the list of allowed clients"
	}
	return v
}

// noteEnd logs once a day that a client's certificate ends soon.
func (d *door) noteEnd(ctx context.Context, client string, v verdict) {
	left := v.notAfter.Sub(d.now())
	if left > expiresSoon {
		return
	}
	d.mu.Lock()
	due := d.now().Sub(d.ending[v.fingerprint]) >= endingEvery
	if due {
		if d.ending == nil || len(d.ending) >= maxVerdicts {
			d.ending = map[string]time.Time{}
		}
		d.ending[v.fingerprint] = d.now()
	}
	d.mu.Unlock()
	if due {
		d.log.WarnContext(ctx, "client certificate ends soon", "client", client, "sha256", v.fingerprint, "days_left", int64(left/(24*time.Hour)),
			"remedy", "give the client a new certificate before it is refused")
	}
}

// listen opens the socket.
func (d *door) listen(ctx context.Context, runFolder string) (net.Listener, error) {
	path := filepath.Join(runFolder, doorName)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the door: %w", err)
	}
	if os.Getuid() == 0 { // then the workers of nginx run as nobody, and need access; the answers of the door are no secret
		if err := errors.Join(os.Chmod(runFolder, 0o711), os.Chmod(path, 0o666)); err != nil { //nolint:gosec // see above
			return nil, fmt.Errorf("open the door: %w", err)
		}
		for folder := filepath.Dir(runFolder); ; folder = filepath.Dir(folder) {
			if info, err := os.Stat(folder); err != nil || info.Mode()&0o001 == 0 {
				return nil, problem{runFolder, fmt.Sprintf("RUN_FOLDER is below %s, which others than root may not enter: the workers of nginx, who are others, could ask nobody", folder), "take a folder such as /run/certsync, or run certsync as another user"}
			}
			if folder == filepath.Dir(folder) {
				break
			}
		}
	}
	return listener, nil
}

// vouchesFor tells whether the trust accepts a certificate that OpenSSL has verified. strict: its
// issuer must be in the store itself, because an intermediate CA could issue a certificate with any name.
func (t trust) vouchesFor(c *x509.Certificate, strict bool) bool {
	for _, own := range t.parsed {
		if own.Equal(c) {
			return true
		}
	}
	for _, ca := range t.parsed {
		if mayVouch(ca) && issued(ca, c) && c.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return !strict && !t.hasOwn
}

// mayVouch tells whether a certificate is a CA with the key usage keyCertSign (RFC 5280 §4.2.1.3). "openssl req -x509" makes
// certificates without this usage, which could be a CA, but are meant for one client.
func mayVouch(c *x509.Certificate) bool {
	return c.IsCA && c.KeyUsage&x509.KeyUsageCertSign != 0
}

// clientAuthConf makes nginx ask clients for certificates, and the door whether they may store.
func (c settings) clientAuthConf(s setting) string {
	const names = "auth_request_set $client_name $upstream_http_x_client_name;\n" +
		"auth_request_set $client_sha256 $upstream_http_x_client_sha256;\n" +
		"auth_request_set $door_refusal $upstream_http_x_refusal;\n" +
		"set $unavailable 'the service cannot be reached at the moment, or this client has too many connections';\n"
	if c.AuthMode == anonymous {
		return names + "ssl_verify_client off;\n"
	}
	if c.refusing(s) {
		return names + `ssl_verify_client off;
set $unavailable 'client certificates cannot be verified at the moment, and nobody is let in without; the log of the service says why';
set $refusal 'client certificates cannot be verified';
return 503;
`
	}
	var conf strings.Builder
	conf.WriteString(names + "auth_request /.door;\nssl_verify_client on;\nssl_verify_depth 3;\nssl_client_certificate " + truststoreFile + ";\n")
	if s.trust.crl != "" {
		conf.WriteString("ssl_crl " + crlFile + ";\n")
	}
	if c.ClientOCSP == on {
		conf.WriteString("ssl_ocsp leaf;\nssl_ocsp_cache shared:ocsp:1m;\n")
	}
	return conf.String()
}
