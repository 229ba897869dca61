package client

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A service that does not read the body does not keep its sender waiting for ever.
func TestWritesGetOn(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() { // it accepts the connection, and reads nothing
		connection, err := listener.Accept()
		if err == nil {
			defer connection.Close()
			time.Sleep(10 * time.Second)
		}
	}()
	connection, err := dial(200*time.Millisecond)(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	begun := time.Now()
	for err == nil && time.Since(begun) < 8*time.Second {
		_, err = connection.Write(make([]byte, 64<<10))
	}
	if timeout, is := err.(net.Error); !is || !timeout.Timeout() {
		t.Errorf("error %v, want a timeout", err)
	}
}

// An answer that comes very slowly, or stops in the middle, still ends.
func TestAnswersEnd(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]time.Duration{"a drip": 10 * time.Millisecond, "silence": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					_, _ = io.WriteString(w, "x")
					_ = http.NewResponseController(w).Flush()
					select {
					case <-time.After(pause):
					case <-r.Context().Done():
					}
				}
			}))
			defer server.Close()
			response, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			_, err = readWithin(300*time.Millisecond, response.Body, 1<<20)
			if err == nil || !strings.Contains(err.Error(), "not complete within") || time.Since(begun) > 5*time.Second {
				t.Errorf("error %v after %s", err, time.Since(begun))
			}
		})
	}
}
