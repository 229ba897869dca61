package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/s3test"
)

// Many short lines need a hundred times their bytes in memory, so they end the connection. The lines of a
// body are not limited, and do not count for the next request.
func TestHeaderLinesAreBounded(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	connection := r.dial(t)
	_ = connection.SetDeadline(time.Now().Add(5 * time.Second))
	go func() {
		_, _ = io.WriteString(connection, "POST /studies HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("a:\r\n", 1000))
	}()
	if answer, err := io.ReadAll(connection); strings.Contains(string(answer), "HTTP/1.1 2") || err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("a header of 1000 lines: %.100q, error %v", answer, err)
	}

	connection = r.dial(t)
	_ = connection.SetDeadline(time.Now().Add(5 * time.Second))
	body := strings.Repeat("\n", 20_000)
	for n := range 3 {
		_, _ = fmt.Fprintf(connection, "POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/dicom\r\nContent-Length: %d\r\n\r\n", len(body))
		if n == 0 {
			time.Sleep(50 * time.Millisecond) // otherwise the body arrives in the same read as the header
		}
		_, _ = io.WriteString(connection, body)
		answer := make([]byte, 4096)
		if got, err := connection.Read(answer); err != nil || !strings.HasPrefix(string(answer[:got]), "HTTP/1.1 400") {
			t.Fatalf("request %d of a body of many lines: %.100q, error %v", n, answer[:got], err)
		}
	}
}

// Lines that arrive together with the previous request count as well.
func TestPipelinedHeaderLinesAreBounded(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	connection := r.dial(t)
	_ = connection.SetDeadline(time.Now().Add(5 * time.Second))
	const request = "OPTIONS /studies HTTP/1.1\r\nHost: x\r\n"
	go func() {
		_, _ = io.WriteString(connection, request+"\r\n"+request+strings.Repeat("a:\n", 1000))
		time.Sleep(100 * time.Millisecond)
		_, _ = io.WriteString(connection, strings.Repeat("b:\r\n", 100)+"\r\n")
	}()
	answers, err := io.ReadAll(connection)
	if n := strings.Count(string(answers), "HTTP/1.1 200"); n != 1 {
		t.Errorf("%d answers, want one: %q, error %v", n, answers, err)
	}
}

// Promises 1 and 2: if a client leaves before its Content-Length is complete, nothing is stored, at whatever byte of the instance this happens.
func TestCutBodyIsNotStored(t *testing.T) {
	s3 := s3test.Start(t, "dicom")
	r := start(t, s3, nil)
	content := sample(t)
	for _, sent := range []int{300, 700, len(content) / 2, len(content) - 1} {
		connection := r.dial(t)
		_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = fmt.Fprintf(connection, "POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/dicom\r\nContent-Length: %d\r\n\r\n%s", len(content), content[:min(sent, len(content))])
		if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(connection)
		if !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
			t.Errorf("%d of %d bytes: %.300q, error %v", sent, len(content), answer, err)
		}
	}
	for _, request := range s3.Requests() {
		if request.Operation == "PutObject" || request.Operation == "CompleteMultipartUpload" {
			t.Errorf("S3 got %s", request.Operation)
		}
	}
}

// Lines that arrive together with the end of the previous body count as well.
func TestHeaderBehindABody(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	const post = "POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/dicom\r\nContent-Length: 3\r\n\r\n"
	const next = "OPTIONS /studies HTTP/1.1\r\nHost: x\r\n"
	const last = "Connection: close\r\n\r\n"
	for name, test := range map[string]struct {
		behind, later string
		answers       int
	}{
		"too many lines, in part": {next + strings.Repeat("a:\n", 900), strings.Repeat("b:\n", 100) + last, 1},
		"too many lines":          {next + strings.Repeat("a:\n", 900) + last, "", 1},
		"a line end":              {"\r\n", next + last, 2},
		"nothing":                 {"", next + last, 2},
		"the beginning":           {next[:20], next[20:] + last, 2},
		"all":                     {next + last, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection := r.dial(t)
			_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
			go func() {
				_, _ = io.WriteString(connection, post+"abc"+test.behind)
				time.Sleep(200 * time.Millisecond)
				_, _ = io.WriteString(connection, test.later)
			}()
			answers, err := io.ReadAll(connection)
			if n := strings.Count(string(answers), "HTTP/1.1 "); n != test.answers {
				t.Errorf("%d answers, want %d: %q, error %v", n, test.answers, answers, err)
			}
		})
	}
}

// Nor those behind the body of a request about the server as a whole (RFC 9110 §9.3.7).
func TestHeaderBehindABodyOfTheServer(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	connection := r.dial(t)
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		_, _ = io.WriteString(connection, "OPTIONS * HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
		time.Sleep(200 * time.Millisecond)
		_, _ = io.WriteString(connection, "xOPTIONS /studies HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("a:\n", 900)+"Connection: close\r\n\r\n")
	}()
	answers, err := io.ReadAll(connection)
	if n := strings.Count(string(answers), "HTTP/1.1 200"); n != 1 {
		t.Errorf("%d answers, want one: %q, error %v", n, answers, err)
	}
}

// RFC 9112 §9.3.2: a client may send its next request before it has the answer. Its header may then be read together with
// the previous request, and the lines of its body must not count as header lines.
func TestPipelinedBodyOfManyLines(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	connection := r.dial(t)
	lines := append(sample(t), 0x09, 0x00, 0x01, 0x10, 'O', 'B', 0, 0, 0x40, 0x9c, 0, 0) // a private element of 40,000 bytes at the end
	lines = append(lines, bytes.Repeat([]byte("\n\x00"), 20_000)...)
	both := fmt.Sprintf("OPTIONS /studies HTTP/1.1\r\nHost: x\r\n\r\nPOST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/dicom\r\nContent-Length: %d\r\n\r\n", len(lines))
	go func() { _, _ = io.WriteString(connection, both+string(lines)) }()
	reader := bufio.NewReader(connection)
	for n := range 2 {
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("request %d: status %d, error %v, want 200", n, answer.StatusCode, err)
		}
	}
}
