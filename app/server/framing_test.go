package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/s3test"
)

// raw sends a request unchanged, and returns everything until the connection ends, even with a reset:
// the service does not read what was sent after the request.
func (r *running) raw(t *testing.T, request string) string {
	t.Helper()
	connection := r.dial(t)
	go func() { _, _ = io.WriteString(connection, request) }()
	got, err := io.ReadAll(connection)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Errorf("the connection stays open behind %q", got)
	}
	return string(got)
}

func (r *running) dial(t *testing.T) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", r.stow)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return connection
}

func chunked(body string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(len(body), 4096)
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

// RFC 9112 §6.1: after Content-Length together with Transfer-Encoding, and after
// Transfer-Encoding in HTTP/1.0, the connection is closed. So bytes that a proxy may have
// taken for a part of the body are not served as a request. The answer arrives complete.
func TestHiddenRequest(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	const hidden = "OPTIONS /studies HTTP/1.1\r\nHost: x\r\n\r\n"
	post := func(version, headers, body string) string {
		return "POST /studies HTTP/" + version + "\r\nHost: x\r\nContent-Type: application/dicom\r\n" + headers + "\r\n" + body
	}
	data := string(sample(t))
	for name, test := range map[string]struct {
		request, status string
	}{
		"Content-Length and Transfer-Encoding": {post("1.1", fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(chunked(data))+len(hidden)), chunked(data)), "200 OK"},
		"Transfer-Encoding alone":              {post("1.1", "Transfer-Encoding: chunked\r\n", chunked(data)), "200 OK"},
		"refused, 200 kB to come":              {post("1.1", "Content-Encoding: br\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked(strings.Repeat("x", 200_000))), "415 Unsupported Media Type"},
		"HTTP/1.0":                             {post("1.0", fmt.Sprintf("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n", len(data)), data), "200 OK"},
		"OPTIONS *":                            {fmt.Sprintf("OPTIONS * HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 5+len(hidden)), "200 OK"},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.raw(t, test.request+hidden)
			response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
			if err != nil {
				t.Fatalf("%v: %q", err, got)
			}
			if response.Status != test.status || !response.Close {
				t.Errorf("got %s, close %t; want %s, close", response.Status, response.Close, test.status)
			}
			if body, err := io.ReadAll(response.Body); err != nil || len(body) == 0 {
				t.Errorf("body %q, error %v", body, err)
			}
			if strings.Count(got, "X-Request-Id:") != 1 {
				t.Errorf("more than one answer:\n%s", got)
			}
		})
	}
	t.Run("Content-Length alone keeps the connection", func(t *testing.T) {
		got := r.raw(t, post("1.1", fmt.Sprintf("Content-Length: %d\r\n", len(data)), data)+strings.Replace(hidden, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
		if strings.Count(got, "X-Request-Id:") != 2 {
			t.Errorf("want two answers, got\n%s", got)
		}
	})
}

// A header has at most 16 KiB; a longer one gets 431, and unfinished headers of strangers need little memory.
func TestHeaderIsBounded(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	field := "X-A: " + strings.Repeat("a", 1000) + "\r\n"
	got := r.raw(t, "OPTIONS /studies HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+strings.Repeat(field, 15)+"\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("15 kB: got %.100q", got)
	}
	got = r.raw(t, "OPTIONS /studies HTTP/1.1\r\nHost: x\r\n"+strings.Repeat(field, 30)+"\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("30 kB: got %.100q", got)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 100 {
		connection := r.dial(t)
		go func() {
			_, _ = io.WriteString(connection, "POST /studies HTTP/1.1\r\nHost: x\r\n"+strings.Repeat(field, 900))
		}()
	}
	time.Sleep(300 * time.Millisecond)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 100<<20 { // under the race detector; with the default MaxHeaderBytes it was 900 MiB
		t.Errorf("100 unfinished headers of 900 kB hold %d MiB", grown>>20)
	}
}
