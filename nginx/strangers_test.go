package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serveHTTP returns the address of a server of the test.
func serveHTTP(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

// stranger opens a connection without a certificate, and sends this text.
func (s *sidecar) stranger(t *testing.T, text string) *tls.Conn {
	t.Helper()
	connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	connection.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprint(connection, text)
	return connection
}

const longRequest = "POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/dicom\r\nContent-Length: 1073741824\r\n\r\n"

// A client that is refused gets the reason, and its connection ends within two seconds, even if it continues to send.
func TestRefusedStrangersAreGone(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	strict := startLocal(t, clientAuth, files)
	refusing := startLocal(t, clientAuth, served(t, ca.issue(t, "server")))
	for name, test := range map[string]struct {
		s      *sidecar
		status int
		words  string
	}{
		"without a certificate":  {strict, 400, "no client certificate was sent, and none is let in without"},
		"nobody can be verified": {refusing, 503, "client certificates cannot be verified"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			connection := test.s.stranger(t, longRequest)
			go func() { // sends byte by byte until the connection ends
				for {
					if _, err := connection.Write([]byte{0}); err != nil {
						return
					}
					time.Sleep(300 * time.Millisecond)
				}
			}()
			reader := bufio.NewReader(connection)
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != test.status || !strings.Contains(string(body), test.words) || !response.Close {
				t.Errorf("%s, close %v: %s", response.Status, response.Close, body)
			}
			io.Copy(io.Discard, reader)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the connection was held for %s", took)
			}
		})
	}
}

// Strangers that use all connections make nginx busy, not dead, and it serves again after they have left.
func TestFullServerIsNotDead(t *testing.T) {
	t.Parallel()
	program := nginxProgram(t)
	b := build(t)
	s3, app := startSystem(t)
	few := writeFile(t, "few.sh", fmt.Sprintf("ulimit -n 256\nexec %s\n", b.certsync))
	s := &sidecar{s3: s3, app: app, address: freeAddress(t), health: freeAddress(t), runFolder: newRunFolder(t)}
	s.process = start(t, append([]string{"AUTH_MODE=anonymous", "CERT_MODE=ACM", "RUN_FOLDER=" + s.runFolder, "NGINX_PROGRAM=" + program,
		"TLS_ADDRESS=" + s.address, "HEALTH_ADDRESS=" + s.health}, app.variables()...), "/bin/sh", few)
	eventually(t, 30*time.Second, "the sidecar serves", func() bool { return len(s.records("serving")) > 0 })
	var open []net.Conn
	defer func() {
		for _, connection := range open {
			connection.Close()
		}
	}()
	busy := false
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && !busy; {
		for range 20 {
			connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				break // no connection is left
			}
			fmt.Fprint(connection, "POST /studies HTTP/1.1\r\nHost: x\r\n") // nginx waits for the rest
			open = append(open, connection)
		}
		status, state := s.state(t)
		if status != http.StatusOK || !state.Live {
			t.Fatalf("with %d connections: status %d, %+v", len(open), status, state)
		}
		busy = state.Busy
	}
	if !busy {
		t.Fatalf("with %d connections it is not busy", len(open))
	}
	for _, connection := range open {
		connection.Close()
	}
	open = nil
	eventually(t, 20*time.Second, "it serves again", func() bool {
		_, state := s.state(t)
		return state.Nginx && !state.Busy
	})
	s.wantStored(t, nil)
}

// A flood of strangers causes only a few records: the first at once, and later how many followed.
func TestFloodIsSampled(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files)
	const flood = 300
	var all sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		all.Go(func() {
			for next.Add(1) <= flood {
				connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					continue
				}
				fmt.Fprint(connection, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				io.Copy(io.Discard, connection)
				connection.Close()
				tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10})
			}
		})
	}
	all.Wait()
	s.record(t, "refused", "no client certificate was sent", "TLSv1.3", `"count":1`)
	s.record(t, "refused", "TLS handshake: unsupported protocol", `"count":1`)
	s.wantStored(t, ca.issue(t, "modality-1").tls())
	if n := len(s.records("refused")); n > 10 {
		t.Errorf("%d records of %d refusals", n, 2*flood)
	}
	s.wantMetric(t, fmt.Sprintf("certsync_refusals_total %d", 2*flood))
	s.signal(t, stopSignal)
	s.exitCode(t, 10*time.Second)
	s.record(t, "refused", "no client certificate was sent", fmt.Sprintf(`"count":%d`, flood-1))
	s.record(t, "refused", "TLS handshake: unsupported protocol", fmt.Sprintf(`"count":%d`, flood-1))
}

// Bytes that are not a request are refused and counted like a client without a certificate, and the log contains only their first bytes, if any.
func TestGarbageIsSampled(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files)
	garbage := []string{strings.Repeat("G", 15_000) + " / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n", "\x00\xff\r\n\r\n"}
	overTLS := []string{"GET /studies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "GET / HTTP/1.1\r\nHost"}
	for n := range 10 {
		connection := s.stranger(t, overTLS[n%2])
		if n%2 == 1 { // and closes the connection
			connection.CloseWrite()
		}
		io.Copy(io.Discard, connection)
	}
	for n := range 50 {
		connection, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(connection, garbage[n%len(garbage)])
		io.Copy(io.Discard, connection)
		connection.Close()
	}
	s.record(t, "refused", "it is not HTTP as nginx reads it", `"count":1`)
	s.wantStored(t, ca.issue(t, "modality-1").tls())
	s.wantMetric(t, "certsync_refusals_total 60")
	if log := s.stderr.String(); strings.Contains(log, "GGGGGGGGGGGGGGGGGGGG") || len(s.records("refused")) > 8 || len(s.records("request")) != 1 {
		t.Errorf("it is told as %s", s.stderr.tail())
	}
}

// A certificate of a stranger can be very large. It neither damages the records of others, nor is it copied into the log.
func TestLargeSubjectIsCut(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	files := served(t, ca.issue(t, "server"))
	files[truststoreFile] = ca.pem()
	s := startLocal(t, clientAuth, files)
	large := newAuthority(t, "stranger", func(c *x509.Certificate) {
		c.Subject.OrganizationalUnit = slices.Repeat([]string{strings.Repeat("\\\"", 30)}, 300)
	})
	s.wantRefused(t, large.tls(), http.StatusBadRequest, "the client certificate was not verified")
	s.record(t, "refused", "the client certificate was not verified")
	s.wantStored(t, ca.issue(t, "modality-1").tls())
	for _, r := range s.records("refused") {
		if dn, _ := r["client_dn"].(string); len(dn) > 500 {
			t.Errorf("client_dn has %d bytes", len(dn))
		}
	}
}

// A log that nobody reads delays neither requests nor a stop.
func TestLogThatIsNotRead(t *testing.T) {
	t.Parallel()
	program := nginxProgram(t)
	b := build(t)
	s3, app := startSystem(t)
	s := &sidecar{s3: s3, app: app, address: freeAddress(t), health: freeAddress(t), runFolder: newRunFolder(t)}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	full := bytes.Repeat([]byte("\n"), 1<<16) // as much as fits into a pipe
	if err := writer.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	writer.Write(full)
	s.process = startWith(t, writer, append([]string{"AUTH_MODE=anonymous", "CERT_MODE=ACM", "RUN_FOLDER=" + s.runFolder, "NGINX_PROGRAM=" + program,
		"TLS_ADDRESS=" + s.address, "HEALTH_ADDRESS=" + s.health}, app.variables()...), b.certsync)
	eventually(t, 30*time.Second, "it serves", func() bool {
		connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			connection.Close()
		}
		return err == nil
	})
	for range 50 {
		s.wantStored(t, nil)
	}
	s.signal(t, stopSignal)
	s.exitCode(t, 10*time.Second)
}

func TestLinesDropRefusalsFirst(t *testing.T) {
	t.Parallel()
	stuck := &stuckWriter{free: make(chan struct{})}
	l := newLines(stuck)
	record := append(bytes.Repeat([]byte("x"), 1<<10-1), '\n')
	const many = 2 * maxQueued / (1 << 10)
	for range many {
		l.refusals().Write(record)
	}
	for range maxQueued / (1 << 11) { // half of the remaining room
		l.Write([]byte(strings.Repeat("r", 1<<10-1) + "\n"))
	}
	close(stuck.free)
	l.close()
	<-l.done // on a busy machine, this takes longer than close would wait
	if got := strings.Count(stuck.String(), "r\n"); got != maxQueued/(1<<11) {
		t.Errorf("%d records of requests, want all %d", got, maxQueued/(1<<11))
	}
	if refusals := strings.Count(stuck.String(), "x\n"); refusals < many/8-2 || refusals > many/8+2 || !strings.Contains(stuck.String(), fmt.Sprintf(`"records":%d`, many-refusals)) {
		t.Errorf("%d refusals of %d are told, and that the others are lost: %.200s", refusals, many, stuck.String()[len(stuck.String())-200:])
	}
}

// stuckWriter blocks until it is released.
type stuckWriter struct {
	free chan struct{}
	output
}

// Write implements io.Writer.
func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.free
	return w.output.Write(p)
}
