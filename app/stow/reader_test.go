package stow_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/dicomtest"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/stow"
)

// Promise 4: an answer about thousands of instances holds memory until it is read. While others need it, it must be read as fast as a body must
// be sent, and while nobody does, as slowly as MINRATE.
func TestAnswersThatAreNotReadHoldNoMemoryOfOthers(t *testing.T) {
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) {
		h.Ledger = memory.New(64<<20, 16<<20, 8<<20)
		h.Config.StallTimeout, h.Config.RateWindow = time.Hour, 3*time.Second
	})
	const many = 60_000 // so that the answer is longer than what the system keeps of it
	connection := s.dial(t, "Transfer-Encoding: chunked")
	if err := connection.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(connection, 64<<10)
	for n := range many {
		instance := dicomtest.Instance{SOP: "1.2." + strings.Repeat("3", 50) + fmt.Sprintf("%06d", n+100_000), Study: dicomtest.Absent, Series: "1.2"}
		part := "--" + boundary + "\r\n\r\n" + string(instance.Dataset()) + "\r\n"
		fmt.Fprintf(w, "%x\r\n%s\r\n", len(part), part)
	}
	fmt.Fprintf(w, "%x\r\n--%s--\r\n0\r\n\r\n", len(boundary)+4, boundary)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	answered := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.records) > 0
	}
	time.Sleep(4 * time.Second)
	if answered() {
		t.Fatal("the answer was given up though nobody needs what it holds")
	}
	metadata := `{"00080016":{"vr":"UI","Value":["` + classUID + `"]},"00080018":{"vr":"UI","Value":["1.1"]},"0020000D":{"vr":"UI","Value":["` + study +
		`"]},"0020000E":{"vr":"UI","Value":["` + series + `"]},"00104000":{"vr":"LT","Value":["` + strings.Repeat("x", 2<<20) + `"]}}`
	ask := func() int { return s.post(t, "/studies", "application/dicom+json", strings.NewReader(metadata)).status }
	if got := ask(); got != 503 {
		t.Fatalf("got %d, want 503: the answer holds the memory", got)
	}
	for began := time.Now(); ask() == 503; time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("the answer still holds the memory of others")
		}
	}
}
