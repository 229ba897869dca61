package e2e

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// A client that leaves in the middle of an instance harms only this instance.
func TestCutConnectionLeavesNothingOfTheInstance(t *testing.T) {
	tests := []struct {
		name       string
		pixelBytes int64 // of the instance that is cut
		multipart  bool  // it does not fit into one buffer
	}{
		{"in a small instance", 64 << 10, false},
		{"in a multipart upload", 30 * mib, true},
	}
	b := startGateway(t)
	s := startService(t, b)
	var whole []instance
	for n, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := []instance{{serial: int64(10*n + 1), pixelBytes: 1000}, {serial: int64(10*n + 2), pixelBytes: 300_000}}
			whole = append(whole, before...)
			cut := instance{serial: int64(10*n + 3), pixelBytes: test.pixelBytes}
			body, lengthBytes := multipart(append(before, cut)...)
			connection, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			fmt.Fprintf(connection, "POST /studies HTTP/1.1\r\nHost: e2e\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, lengthBytes)
			if _, err := io.CopyN(connection, body, lengthBytes-cut.sizeBytes()/2); err != nil {
				t.Fatal(err)
			}
			if test.multipart {
				eventually(t, 10*time.Second, "the multipart upload is open", func() bool { return len(b.uploads(t)) == 1 })
			}
			connection.Close()

			record := s.transactions(t, n+1)[n]
			if record["stored"] != 2.0 || record["failed"] != 1.0 {
				t.Errorf("stored %v, failed %v; want 2 and 1", record["stored"], record["failed"])
			}
			b.wantNoUploads(t)
			b.wantExactly(t, whole...)
		})
	}
}
