package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

// behindProxy is a client whose connections begin with the header of a load balancer (PROXY protocol version 2).
func (s *sidecar) behindProxy(certificate *tls.Certificate, clients ...string) *http.Client {
	client := s.client(certificate)
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		for _, from := range clients {
			header := &proxyproto.Header{Version: 2, Command: proxyproto.LOCAL}
			if from != "" {
				header = proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.ParseIP(from), Port: 40000}, connection.RemoteAddr())
			}
			if _, err := header.WriteTo(connection); err != nil {
				return nil, err
			}
		}
		return connection, nil
	}
	return client
}

// With PROXY_PROTOCOL, the first header contains the address of the client, and a connection without a header is refused.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	modality := ca.issue(t, "modality-1").tls()
	for name, start := range map[string]func(testing.TB, string, map[string]string, ...string) *sidecar{"FROMS3": startFromS3, "LOCAL": startLocal} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, clientAuth, files, "PROXY_PROTOCOL=on")
			for client, want := range map[string]string{"203.0.113.7": "203.0.113.7", "2001:db8::7": "2001:db8::7", "": "127.0.0.1"} {
				i := newInstance(t, 0)
				r, err := s.send(t.Context(), s.behindProxy(modality, client), "/studies", i.reader(), i.sizeBytes, "X-Real-IP", "198.51.100.1")
				if err != nil || r.status != http.StatusOK {
					t.Fatalf("of %q: status %d, error %v: %s", client, r.status, err, r.body)
				}
				s.s3.wantStored(t, i)
				id := r.header.Get("X-Request-Id")
				if got := s.record(t, "request", id)["remote"]; got != want {
					t.Errorf("of %q: the record of nginx has remote %q", client, got)
				}
				if got := s.app.transaction(t, id)["remote"]; got != want {
					t.Errorf("of %q: the record of the app has remote %q", client, got)
				}
			}
			refusal, err := s.send(t.Context(), s.behindProxy(nil, "203.0.113.9"), "/studies", nil, 0)
			if err != nil || refusal.status != http.StatusBadRequest {
				t.Errorf("without a certificate: status %d, error %v", refusal.status, err)
			}
			s.record(t, "refused", "203.0.113.9", "no client certificate was sent")
			if r, err := s.send(t.Context(), s.client(modality), "/studies", nil, 0); err == nil {
				t.Errorf("without a header: status %d", r.status)
			}
			s.record(t, "refused", "127.0.0.1", "PROXY protocol: no header")
			if r, err := s.send(t.Context(), s.behindProxy(modality, "203.0.113.7", "198.51.100.1"), "/studies", nil, 0); err == nil {
				t.Errorf("with a second header, of the client's own: status %d", r.status)
			}
			// The checks of a load balancer have a header without an address; those of the container have none.
			for _, clients := range [][]string{nil, {""}, {"203.0.113.7"}} {
				client := s.behindProxy(nil, clients...)
				response, err := client.Get("http://" + s.health + "/health")
				if err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("health with headers of %q: %v, error %v", clients, response, err)
					continue
				}
				response.Body.Close()
			}
		})
	}
}

// The bytes instead of a PROXY header can look like lines of nginx itself. They count as one refusal of their sender, and are not in the log.
func TestLinesInPlaceOfAHeader(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	s := startLocal(t, anonymous, served(t, ca.issue(t, "server")), "PROXY_PROTOCOL=on")
	for _, text := range []string{
		"x\" while reading PROXY protocol, client: 203.0.113.6, server: x\n2026/11/27 10:00:00 [emerg] 1#1: the disk is on fire\nmore\n",
		"2026/11/27 10:00:00 [emerg] 1#1: *1 the disk is on fire\n2026/11/27 10:00:00 [emerg] 1#1: the disk is on fire\n",
	} {
		connection, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(connection, text)
		io.Copy(io.Discard, connection)
		connection.Close()
	}
	s.wantMetric(t, "certsync_refusals_total 2")
	s.record(t, "refused", "127.0.0.1", "PROXY protocol: no header")
	if log := s.stderr.String(); strings.Contains(log, "fire") || strings.Contains(log, "203.0.113.6") || len(s.records("nginx")) > 0 || len(s.records("refused")) != 1 {
		t.Errorf("it is told as %s", s.stderr.tail())
	}
}
