package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// Answers of S3 are lost, before or after the request was carried out. An instance is
// reported as stored if and only if it is stored, and no multipart upload stays open.
func TestLostAnswersOfS3(t *testing.T) {
	long(t)
	t.Parallel()
	large, small := instance{serial: 1, pixelBytes: 20 * mib}, instance{serial: 2, pixelBytes: 1000}
	for _, test := range []struct {
		operation string
		instance  instance
	}{{"PutObject", small}, {"CreateMultipartUpload", large}, {"UploadPart", large}, {"CompleteMultipartUpload", large}} {
		for _, onDuplicate := range []string{"overwrite", "reject"} {
			for _, lost := range []struct {
				name  string
				fault fault
			}{
				{"carried out", fault{cutAfter: true, times: 1}}, {"not carried out", fault{cut: true, times: 1}},
				{"carried out, three times", fault{cutAfter: true, times: 3}},
			} {
				t.Run(fmt.Sprintf("%s, %s, %s", test.operation, lost.name, onDuplicate), func(t *testing.T) {
					t.Parallel()
					s3 := startS3(t)
					s := startService(t, s3, "ONDUPLICATE="+onDuplicate)
					lost.fault.operation = test.operation
					s3.inject(lost.fault)
					got := s.mustDo(t, "/studies", contentType, whole(t, test.instance))
					if want := "stored " + test.instance.uid(); got.status != http.StatusOK || got.outcomes() != want {
						t.Errorf("status %d, %s; want 200, %s", got.status, got.outcomes(), want)
					}
					s3.wantExactly(t, test.instance)
					s3.wantNoUploadsWithin(t, time.Minute)
				})
			}
		}
	}
}

// The same for an abort: a client leaves in the middle of a multipart upload.
func TestLostAnswersOfAborts(t *testing.T) {
	long(t)
	t.Parallel()
	for _, lost := range []struct {
		name  string
		fault fault
	}{
		{"carried out", fault{cutAfter: true, times: 1}}, {"not carried out", fault{cut: true, times: 1}},
		{"not carried out for 10 s", fault{status: 500, code: "InternalError"}},
	} {
		t.Run(lost.name, func(t *testing.T) {
			t.Parallel()
			s3 := startS3(t)
			s := startService(t, s3)
			lost.fault.operation = "AbortMultipartUpload"
			lift := s3.inject(lost.fault)
			c := s.beginChunked(t, contentType)
			c.chunk(whole(t, instance{serial: 1, pixelBytes: 30 * mib})[:20*mib])
			eventually(t, 20*time.Second, "a part arrives", func() bool { return s3.count("UploadPart") > 0 })
			c.Close()
			<-time.After(10 * time.Second)
			lift()
			s3.wantNoUploadsWithin(t, time.Minute)
			s3.wantExactly(t)
		})
	}
}

// CompleteMultipartUpload can return an error inside a success (S3: "200 OK with an error inside").
func TestErrorInsideASuccessIsNoSuccess(t *testing.T) {
	t.Parallel()
	s3 := startS3(t)
	s := startService(t, s3, "RETRYTIME=2s")
	i := instance{serial: 1, pixelBytes: 20 * mib}
	lift := s3.inject(fault{operation: "CompleteMultipartUpload", status: 200, code: "InternalError"})
	got := s.mustDo(t, "/studies", contentType, whole(t, i))
	if got.status != http.StatusServiceUnavailable || got.reportsStored(i.uid()) {
		t.Errorf("status %d, %s; want 503, and nothing stored", got.status, got.outcomes())
	}
	s3.wantExactly(t)
	s3.wantNoUploadsWithin(t, time.Minute)
	lift()
	s3.inject(fault{operation: "CompleteMultipartUpload", times: 1, status: 200, code: "InternalError"})
	body, lengthBytes := multipart(i)
	s.wantAllStored(t, body, lengthBytes, i)
	s3.wantExactly(t, i)
}
