package s3store_test

import (
	"context"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
)

// setS3 sets the environment of a client of the server.
func setS3(t *testing.T, server *httptest.Server) {
	t.Helper()
	bundle := ""
	if certificate := server.Certificate(); certificate != nil {
		bundle = filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for variable, value := range map[string]string{"AWS_ENDPOINT_URL_S3": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_CA_BUNDLE": bundle} {
		t.Setenv(variable, value)
	}
}

// Promise 6: over HTTP/2 all requests would have one connection, and each new request would use it when it is dead, until TCP gives it up after a quarter of an hour.
func TestOneConnectionForEachRequest(t *testing.T) {
	var protocol atomic.Value
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocol.Store(r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	setS3(t, server)
	client, err := s3store.NewClient(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := s3store.New(small(), client, memory.New(12*partBytes, headBytes, 0), slog.New(slog.DiscardHandler)).Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := protocol.Load(); got != "HTTP/1.1" {
		t.Errorf("S3 is asked over %s", got)
	}
}

// Promise 6: if a connection is dead, as after a failover of what lies between, the idle ones are, too. Each would cost an attempt half a minute.
func TestDeadConnectionsAreNotUsed(t *testing.T) {
	var opened atomic.Int64
	both, arrived := make(chan struct{}), make(chan struct{}, 2)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/together":
			arrived <- struct{}{}
			<-both
		case "/dead":
			<-r.Context().Done()
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	setS3(t, server)
	client, err := s3store.NewClient(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context, path string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
		if err != nil {
			return err
		}
		answer, err := client.Options().HTTPClient.Do(r)
		if err == nil {
			err = answer.Body.Close()
		}
		return err
	}
	done := make(chan error, 2)
	for range 2 {
		go func() { done <- ask(t.Context(), "/together") }()
	}
	<-arrived
	<-arrived
	close(both)
	if err := errors.Join(<-done, <-done); err != nil {
		t.Fatal(err)
	}
	if ask(s3store.Stalled(t.Context()), "/dead") == nil {
		t.Fatal("a dead connection has answered")
	}
	if err := ask(t.Context(), "/"); err != nil {
		t.Fatal(err)
	}
	if got := opened.Load(); got != 3 {
		t.Errorf("%d connections were opened, want a third after one of two was dead", got)
	}
}
