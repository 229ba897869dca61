package e2e

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

// readiness is the body of /readyz.
type readiness struct {
	Ready    bool   `json:"ready"`
	Degraded bool   `json:"degraded"`
	Reason   string `json:"reason"`
}

func (s *service) readiness(t *testing.T) readiness {
	t.Helper()
	_, body := s.get("/readyz")
	var got readiness
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("/readyz: %v: %s", err, body)
	}
	return got
}

// /readyz depends on the results of stores. If instances are refused, it does not help the
// sender that the bucket answers HeadBucket.
func TestReadinessSaysWhatStoresMeet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		fault      fault
		pixelBytes int64
	}{
		{"access to objects is denied", fault{operation: "PutObject", status: http.StatusForbidden, code: "AccessDenied"}, 1000},
		{"access to uploads is denied", fault{operation: "CreateMultipartUpload", status: http.StatusForbidden, code: "AccessDenied"}, 20 * mib},
		{"the key for encryption is gone", fault{operation: "PutObject", status: http.StatusBadRequest, code: "KMS.NotFoundException"}, 1000},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s3 := startS3(t)
			s := startService(t, s3, "RETRYTIME=2s")
			if got := s.readiness(t); !got.Ready || got.Degraded {
				t.Fatalf("at the start /readyz says %+v", got)
			}
			i := instance{serial: 1, pixelBytes: test.pixelBytes}
			lift := s3.inject(test.fault)
			got := s.mustDo(t, "/studies", contentType, whole(t, i))
			if want := "failed " + i.uid() + " 0110"; got.status != http.StatusServiceUnavailable || got.outcomes() != want {
				t.Errorf("status %d, %s; want 503, %s", got.status, got.outcomes(), want)
			}
			eventually(t, 10*time.Second, "/readyz is degraded or not ready, with a reason", func() bool {
				got := s.readiness(t)
				return (got.Degraded || !got.Ready) && got.Reason != ""
			})
			lift()
			body, lengthBytes := multipart(i)
			s.wantAllStored(t, body, lengthBytes, i)
			eventually(t, 10*time.Second, "/readyz is well again after a store", func() bool {
				got := s.readiness(t)
				return got.Ready && !got.Degraded
			})
		})
	}
}

// Errors of the sender say nothing about S3.
func TestReadinessIgnoresWhatSendersDoWrong(t *testing.T) {
	t.Parallel()
	s3 := startS3(t)
	s := startService(t, s3)
	for range 20 {
		s.mustDo(t, "/studies", contentType, parts("no DICOM"))
		c := s.beginChunked(t, contentType)
		c.chunk(whole(t, instance{serial: 1, pixelBytes: 100_000})[:50_000])
		c.Close()
	}
	s.transactions(t, 40)
	if got := s.readiness(t); !got.Ready || got.Degraded {
		t.Errorf("/readyz says %+v", got)
	}
}
