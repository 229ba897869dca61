package e2e

import (
	"strings"
	"testing"
	"time"
)

// An old S3-compatible server ignores CRC64NVME. The service must use another
// checksum that the server verifies: damaged data are never reported as stored.
func TestServerWithoutChecksumsStoresNothingDamaged(t *testing.T) {
	for _, test := range []struct {
		name, operation string
		pixelBytes      int64
		mode            string
	}{
		{"small instances", "PutObject", 50_000, "overwrite"}, {"parts", "UploadPart", 20 * mib, "overwrite"},
		{"small instances, no duplicates", "PutObject", 50_000, "reject"}, {"parts, no duplicates", "UploadPart", 20 * mib, "reject"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s3 := startS3(t)
			s3.forgetChecksums()
			s := startService(t, s3, "RETRYTIME=5s", "ONDUPLICATE="+test.mode)
			for n := range 6 {
				i := instance{serial: int64(n), pixelBytes: test.pixelBytes}
				if n%2 == 0 { // the first one as well
					s3.inject(fault{operation: test.operation, times: 1, flip: true})
				}
				got := s.mustDo(t, "/studies", contentType, whole(t, i))
				if got.reportsStored(i.uid()) {
					s3.wantObject(t, i)
				} else if n%2 == 1 {
					t.Errorf("instance %d: status %d %s; want it stored", n, got.status, got.outcomes())
				}
			}
			if t.Failed() {
				return
			}
			// With other bytes under the same UIDs: if the sender is told that they are stored, the bucket must contain them.
			i := instance{serial: 1, pixelBytes: test.pixelBytes}
			body := whole(t, i)
			other := body[:len(body)/2] + string(body[len(body)/2]^1) + body[len(body)/2+1:]
			if got := s.mustDo(t, "/studies", contentType, other); got.reportsStored(i.uid()) != (test.mode == "overwrite") {
				t.Errorf("other bytes: status %d %s", got.status, got.outcomes())
			}
			if test.mode == "reject" {
				s3.wantObject(t, i)
			}
			warned := 0
			for line := range strings.Lines(s.stderr.String()) {
				if strings.Contains(line, `"level":"WARNING"`) && strings.Contains(strings.ToLower(line), "checksum") {
					warned++
				}
			}
			if warned != 1 {
				t.Errorf("%d warnings about checksums in the log, want 1", warned)
			}
		})
	}
}

// With a server that verifies checksums, a bit that flips on the way is not reported as stored.
// Only the network is the cause, so the sender is asked to repeat the request if necessary.
func TestDamageOnTheWayToS3IsNoSuccess(t *testing.T) {
	s3 := startS3(t)
	s := startService(t, s3)
	small, large := instance{serial: 1, pixelBytes: 50_000}, instance{serial: 2, pixelBytes: 20 * mib}
	for _, test := range []struct {
		operation string
		instance  instance
	}{{"PutObject", small}, {"UploadPart", large}} {
		s3.inject(fault{operation: test.operation, times: 1, flip: true})
		got := s.mustDo(t, "/studies", contentType, whole(t, test.instance))
		if stored := got.reportsStored(test.instance.uid()); !stored && got.status != 503 {
			t.Errorf("%s: status %d %s, want 200 or 503", test.operation, got.status, got.outcomes())
		}
		body, lengthBytes := multipart(test.instance)
		s.wantAllStored(t, body, lengthBytes, test.instance)
	}
	s3.wantExactly(t, small, large)
	s3.wantNoUploadsWithin(t, 10*time.Second)
}
