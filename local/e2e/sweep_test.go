package e2e

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
)

// No multipart upload stays open for longer than 1.5 times SWEEPAGE, even if
// the service is not restarted. An upload that still grows is not aborted, however old it
// is, nor an upload of another program.
func TestForgottenUploadsGoWithoutARestart(t *testing.T) {
	long(t)
	t.Parallel()
	store := startS3(t)
	client, bucketName := store.store.Client(t), "dicom"
	open := func(key string) {
		if _, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucketName, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	const foreign = "backup/2026/photos.tar"
	before, during := instance{serial: 1, pixelBytes: gib}, instance{serial: 2, pixelBytes: gib}
	open(foreign)
	open(before.key())
	s := startService(t, store, "SWEEPAGE=8s")

	// This one grows by 4 MiB per second, for longer than 1.5 times SWEEPAGE.
	growing := instance{serial: 3, pixelBytes: 80 * mib}
	done := make(chan struct{})
	go func() { // ends with the request
		defer close(done)
		body, _ := multipart(growing)
		s.wantAllStored(t, io.Reader(&paced{source: body, blockBytes: mib, pause: 250 * time.Millisecond}), -1, growing)
	}()
	open(during.key()) // like a process that was killed while this one runs
	eventually(t, 30*time.Second, "forgotten uploads are aborted", func() bool {
		uploads := store.store.OpenUploads()
		return !slices.Contains(uploads, before.key()) && !slices.Contains(uploads, during.key())
	})
	<-done
	if diff := cmp.Diff([]string{foreign}, store.store.OpenUploads()); diff != "" {
		t.Errorf("multipart uploads (-want +got):\n%s", diff)
	}
	store.wantExactly(t, growing)
}
