package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/stow"
)

// An answer that is not read ends, and the resources of its request are freed.
func TestAnswerThatIsNotRead(t *testing.T) {
	e := echo.New()
	e.Pre(exchange{answer: 100 * time.Millisecond, minRate: 1 << 30, stop: t.Context()}.bound)
	written := make(chan error, 1)
	e.POST("/", func(c echo.Context) error {
		c.Response().WriteHeader(200)
		for {
			if _, err := c.Response().Write(make([]byte, 1<<20)); err != nil {
				written <- err
				return err
			}
		}
	})
	s := httptest.NewServer(e)
	defer s.Close()
	connection, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-written:
		if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() {
			t.Errorf("the answer ended with %v, want a timeout", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the answer is still being written")
	}
}

// A long answer may take as long as its length takes at MINRATE: 8 MiB at 1 MiB/s, read after 300 ms.
func TestLongAnswer(t *testing.T) {
	const length = 8 << 20
	e := echo.New()
	e.Pre(exchange{answer: time.Millisecond, minRate: 1 << 20, stop: t.Context()}.bound)
	e.GET("/", func(c echo.Context) error {
		c.Response().Header().Set("Content-Length", "8388608")
		return c.Blob(200, "text/plain", make([]byte, length))
	})
	s := httptest.NewServer(e)
	defer s.Close()
	response, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	time.Sleep(300 * time.Millisecond)
	if n, err := io.Copy(io.Discard, response.Body); n != length || err != nil {
		t.Errorf("got %d bytes, error %v", n, err)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A panic is answered with 500, is logged once with its stack, and closes the connection; the
// service continues. An answer that has begun does not look complete.
func TestPanic(t *testing.T) {
	var logged syncBuffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	c, err := config.Load(map[string]string{"BUCKETNAME": "b"})
	if err != nil {
		t.Fatal(err)
	}
	e := newEcho(c, stow.NewHandler(stow.Handler{}), nil, exchange{answer: time.Minute, stop: t.Context()}, log)
	e.POST("/before", func(echo.Context) error { panic("in the handler\u009b" + strings.Repeat("x", 1000)) })
	e.POST("/within", func(c echo.Context) error {
		c.Response().WriteHeader(200)
		_, _ = io.WriteString(c.Response(), "half")
		c.Response().Flush()
		panic("in the answer")
	})
	s := httptest.NewServer(e)
	defer s.Close()
	send := func(path string) (*http.Response, string, error) {
		connection, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		_ = connection.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(connection, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		return response, string(body), err
	}
	response, body, err := send("/before")
	if response.StatusCode != 500 || !response.Close || response.Header.Get("Content-Type") != "application/problem+json" || err != nil || strings.Contains(body, "handler") {
		t.Errorf("got %s, close %t, %q, error %v", response.Status, response.Close, body, err)
	}
	if got := logged.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "in the handler?xxx") || !strings.Contains(got, "TestPanic") ||
		strings.Contains(got, strings.Repeat("x", 301)) || !strings.Contains(got, response.Header.Get("X-Request-Id")) {
		t.Errorf("logged is %s", got)
	}
	if response, body, err := send("/within"); err == nil {
		t.Errorf("a broken answer looks whole: %s %q", response.Status, body)
	}
	if got := logged.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "in the answer") {
		t.Errorf("logged is %s", got)
	}
	if response, _, _ := send("/other"); response.StatusCode != 404 {
		t.Errorf("afterwards: got %s", response.Status)
	}
}

// refusing answers every request with 404.
func refusing(t *testing.T, x exchange) net.Conn {
	t.Helper()
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) { answerError(err, c, slog.New(slog.DiscardHandler)) }
	e.Pre(x.bound)
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	connection, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(20 * time.Second))
	return connection
}

// RFC 9112 §9.6: a client that reads only after it has sent its whole body still sees why it was refused.
func TestRefusalOfALargeBodyIsSeen(t *testing.T) {
	for _, length := range []int{1 << 10, 1 << 20, 64 << 20} {
		connection := refusing(t, exchange{answer: time.Minute, linger: time.Minute, stall: time.Minute, stop: t.Context()})
		if _, err := fmt.Fprintf(connection, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", length); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // the answer comes first
		if _, err := connection.Write(make([]byte, length)); err != nil {
			t.Errorf("%d bytes: %v", length, err)
			continue
		}
		if got, err := io.ReadAll(connection); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 404 ") {
			t.Errorf("%d bytes: got %.60q, error %v", length, got, err)
		}
	}
}

// The service waits a limited time for a refused body that does not arrive, or does not end, so that the client can read the
// answer; it does not wait when it stops.
func TestRefusedBodyIsNotWaitedForForEver(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, stop)
	for name, test := range map[string]struct {
		exchange
		endless bool
	}{
		"does not come":     {exchange: exchange{answer: time.Minute, linger: time.Hour, stall: 50 * time.Millisecond, stop: t.Context()}},
		"does not end":      {exchange: exchange{answer: time.Minute, linger: 50 * time.Millisecond, stall: time.Hour, stop: t.Context()}, endless: true},
		"the service stops": {exchange: exchange{answer: time.Minute, linger: time.Hour, stall: time.Hour, stop: stopped}, endless: true},
	} {
		t.Run(name, func(t *testing.T) {
			connection := refusing(t, test.exchange)
			if _, err := io.WriteString(connection, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			if err != nil || response.StatusCode != http.StatusNotFound || !response.Close {
				t.Fatalf("got %v, error %v", response, err)
			}
			response.Body.Close()
			for block := make([]byte, 1<<16); test.endless && err == nil; {
				_, err = connection.Write(block)
			}
			if !test.endless {
				_, err = io.Copy(io.Discard, connection)
			}
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Errorf("the connection stays open: %v", err)
			}
		})
	}
}
