package server

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/stow"
)

// A client that stalls or sends slowly gets its answer at once, and its connection is closed,
// even if only a little of its body is left (net/http would first read such a rest).
func TestSlowClientIsCutAndAnswered(t *testing.T) {
	sample, err := os.ReadFile("../../dcm-samples/slice-1.dcm")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		limits  stow.Config
		trickle bool
	}{
		"stalls":   {stow.Config{StallTimeout: 50 * time.Millisecond}, false},
		"trickles": {stow.Config{RateWindow: 50 * time.Millisecond, MinRateBytes: 1 << 20}, true},
	}
	for name, test := range tests {
		for _, left := range []int{1000, 10 << 20} {
			for framing, header := range map[string]string{"length": fmt.Sprintf("Content-Length: %d", len(sample)+left), "chunked": "Transfer-Encoding: chunked"} {
				t.Run(fmt.Sprintf("%s, %d bytes left, %s", name, left, framing), func(t *testing.T) {
					s3 := s3test.Start(t, "dicom")
					connection := dialService(t, s3, test.limits)
					fmt.Fprintf(connection, "POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/dicom\r\n%s\r\n\r\n", header)
					send := func(p []byte) error {
						if framing == "chunked" {
							p = fmt.Appendf(nil, "%x\r\n%s\r\n", len(p), p)
						}
						_, err := connection.Write(p)
						return err
					}
					if err := send(sample); err != nil {
						t.Fatal(err)
					}
					if test.trickle {
						go func() {
							for send([]byte{0}) == nil {
								time.Sleep(time.Millisecond)
							}
						}()
					}
					answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
					if err != nil {
						t.Fatalf("no answer: %v", err)
					}
					defer answer.Body.Close()
					if answer.StatusCode != http.StatusRequestTimeout || !answer.Close {
						t.Errorf("got %d, close %v; want 408 and the end of the connection", answer.StatusCode, answer.Close)
					}
					if keys, uploads := s3.Keys(), s3.OpenUploads(); len(keys)+len(uploads) > 0 {
						t.Errorf("left in S3: %v %v", keys, uploads)
					}
				})
			}
		}
	}
}

// dialService connects to a service with these limits, which stores into s3.
func dialService(t *testing.T, s3 *s3test.Server, limits stow.Config) net.Conn {
	t.Helper()
	limits.HeadWindowBytes, limits.MaxRequests = 1<<20, 1
	log := slog.New(slog.DiscardHandler)
	ledger := memory.New(64<<20, 16<<20, 16<<20)
	handler := stow.NewHandler(stow.Handler{
		Config: limits, Log: log, Audit: log, Ledger: ledger, Stop: t.Context(), Observe: func(stow.Transaction) {},
		Store: s3store.New(s3store.Config{Bucket: "dicom", Threads: 4, LargestPartBytes: 16 << 20, RetryTime: time.Second}, s3.Client(t), ledger, log),
	})
	c, err := config.Load(map[string]string{"BUCKETNAME": "dicom"})
	if err != nil {
		t.Fatal(err)
	}
	x := exchange{answer: time.Minute, linger: time.Second, stall: time.Second, stop: t.Context()}
	s := httptest.NewServer(newEcho(c, handler, nil, x, log))
	t.Cleanup(s.Close)
	connection, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(20 * time.Second))
	return connection
}
