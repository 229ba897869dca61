package stow_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/stow"
)

// A client that stalls or trickles is cut, sees the answer at once, and is rid of,
// however little of its body is left (net/http would read a short rest first).
func TestSlowClientIsCutAndAnswered(t *testing.T) {
	tests := map[string]struct {
		limits  option
		trickle bool
	}{
		"stalls": {func(h *stow.Handler, _ *s3store.Config) { h.Config.StallTimeout = 50 * time.Millisecond }, false},
		"trickles": {func(h *stow.Handler, _ *s3store.Config) {
			h.Config.RateWindow, h.Config.MinRateBytes = 50*time.Millisecond, 1<<20
		}, true},
	}
	for name, test := range tests {
		for _, left := range []int{1000, 10 << 20} {
			for framing, header := range map[string]string{"length": "Content-Length: %d", "chunked": "Transfer-Encoding: chunked"} {
				t.Run(fmt.Sprintf("%s, %d bytes left, %s", name, left, framing), func(t *testing.T) {
					s := newService(t, test.limits)
					connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
					if err != nil {
						t.Fatal(err)
					}
					defer connection.Close()
					data := ct("1.1", left)
					if framing == "length" {
						header = fmt.Sprintf(header, len(data))
					}
					fmt.Fprintf(connection, "POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/dicom\r\n%s\r\n\r\n", header)
					send := func(p []byte) error {
						if framing == "chunked" {
							p = fmt.Appendf(nil, "%x\r\n%s\r\n", len(p), p)
						}
						_, err := connection.Write(p)
						return err
					}
					if err := send(data[:len(data)-left]); err != nil {
						t.Fatal(err)
					}
					if test.trickle {
						go func() {
							for send([]byte{0}) == nil {
								time.Sleep(time.Millisecond)
							}
						}()
					}
					if err := connection.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
						t.Fatal(err)
					}
					reader := bufio.NewReader(connection)
					answer, err := http.ReadResponse(reader, nil)
					if err != nil {
						t.Fatalf("no answer: %v", err)
					}
					defer answer.Body.Close()
					if answer.StatusCode != http.StatusRequestTimeout || !answer.Close {
						t.Errorf("got %d, close %v; want 408 and the end of the connection", answer.StatusCode, answer.Close)
					}
					if keys, uploads := s.s3.Keys(), s.s3.OpenUploads(); len(keys)+len(uploads) > 0 {
						t.Errorf("left in S3: %v %v", keys, uploads)
					}
				})
			}
		}
	}
}
