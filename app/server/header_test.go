package server_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/s3test"
)

// Many short lines cost a hundred times their bytes in memory: they end the connection. A
// body may have as many as it likes, and so may the next request.
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
			time.Sleep(50 * time.Millisecond) // else the body is in the read of the header
		}
		_, _ = io.WriteString(connection, body)
		answer := make([]byte, 4096)
		if got, err := connection.Read(answer); err != nil || !strings.HasPrefix(string(answer[:got]), "HTTP/1.1 400") {
			t.Fatalf("request %d of a body of many lines: %.100q, error %v", n, answer[:got], err)
		}
	}
}
