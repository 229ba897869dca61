package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// While a request waits for a slot, it does not wait for S3: only the client's time limit runs, and
// the probe does not report a busy service as a fault of S3.
func TestWaitingForASlotIsNobodysTimeout(t *testing.T) {
	long(t)
	t.Parallel()
	s3 := startS3(t)
	s := startService(t, s3, "THREADCOUNT=1")
	answerNow := make(chan struct{})
	s3.inject(fault{operation: "PutObject", times: 1, hold: answerNow})
	c := &senders{s: s}
	c.send(t, 1000) // uses the only slot
	eventually(t, 20*time.Second, "the slot is taken", func() bool { return s3.count("PutObject") == 1 })
	c.send(t, 9*mib)
	c.send(t, 2000)

	const takes = 55 * time.Second // the time of two probes
	over := time.After(takes)
	for waiting := true; waiting; {
		select {
		case <-over:
			waiting = false
		case <-time.After(time.Second):
			if status, body := s.get("/readyz"); status != http.StatusOK || strings.Contains(body, "does not answer") || strings.Contains(body, "network") {
				t.Errorf("/readyz answers %d %s, though S3 answers all but one request", status, body)
				waiting = false
			}
		}
	}
	close(answerNow)
	c.wg.Wait()
	s3.wantExactly(t, c.all...)
	s3.wantNoUploadsWithin(t, 10*time.Second)
	s.wantServed(t, 5*time.Second)
}

// A client that leaves causes an abort, even while all slots are in use.
func TestAbortsNeedNoSlot(t *testing.T) {
	t.Parallel()
	s3 := startS3(t)
	s := startService(t, s3, "THREADCOUNT=1")
	i := instance{serial: 1, pixelBytes: 30 * mib}
	cut := s.beginChunked(t, contentType)
	cut.chunk(whole(t, i)[:12*mib])
	eventually(t, 20*time.Second, "a part arrives", func() bool { return s3.count("UploadPart") > 0 })
	<-time.After(500 * time.Millisecond) // meanwhile it is stored

	answerNow := make(chan struct{})
	s3.inject(fault{operation: "PutObject", times: 1, hold: answerNow})
	c := &senders{s: s, serial: 10}
	c.send(t, 1000)
	eventually(t, 20*time.Second, "the slot is taken", func() bool { return s3.count("PutObject") == 1 })
	cut.Close()
	eventually(t, 15*time.Second, "the upload that was cut is aborted", func() bool {
		return !slices.Contains(s3.store.OpenUploads(), i.key())
	})
	close(answerNow)
	c.wg.Wait()
	s3.wantExactly(t, c.all...)
}
