package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/local/gateway"
)

// bucket is a bucket of an S3 server that runs for one test.
type bucket struct {
	*process
	config gateway.Config
	client *s3.Client
}

func startGateway(t *testing.T) *bucket {
	t.Helper()
	config := gateway.Config{
		Dir: t.TempDir(), Listen: freeAddress(t), Bucket: "dicom",
		AccessKey: "e2e-access-key", SecretKey: "e2e-secret-key",
	}
	b := &bucket{config: config, client: gateway.Client(config)}
	b.startAgain(t)
	return b
}

// startAgain starts the S3 server again, with the data from before it was killed. Versity's gateway first writes an object to a
// temporary file. After a kill this file would be an object of its own, unlike in S3, so it is removed.
func (b *bucket) startAgain(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(b.path("*/*/.*" + temporary + "*"))
	for _, file := range left {
		err = errors.Join(err, os.Remove(file))
	}
	if err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(b.config)
	if err != nil {
		t.Fatal(err)
	}
	b.process = start(t, []string{gatewayVariable + "=" + string(value)}, binaries.gateway)
	eventually(t, time.Minute, "the S3 server is ready", func() bool {
		if b.hasExited() {
			t.Fatal("the S3 server has ended")
		}
		return strings.Contains(b.stdout.String(), "ready\n")
	})
}

// path is the file of the object.
func (b *bucket) path(key string) string {
	return filepath.Join(b.config.Dir, "s3", b.config.Bucket, filepath.FromSlash(key))
}

// temporary marks a file of Versity's gateway, which has this name for the moment in which it replaces an object.
const temporary = ".sgwtmp."

// keys returns the keys of all objects.
func (b *bucket) keys(t *testing.T) []string {
	t.Helper()
	var keys []string
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.config.Bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range page.Contents {
			if key := aws.ToString(object.Key); !strings.Contains(key, temporary) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// uploads returns the keys of the open multipart uploads.
func (b *bucket) uploads(t *testing.T) []string {
	t.Helper()
	var keys []string
	pages := s3.NewListMultipartUploadsPaginator(b.client, &s3.ListMultipartUploadsInput{Bucket: &b.config.Bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, upload := range page.Uploads {
			keys = append(keys, aws.ToString(upload.Key))
		}
	}
	return keys
}

// createUpload opens a multipart upload with this key, and does not complete it.
func (b *bucket) createUpload(t *testing.T, key string) {
	t.Helper()
	if _, err := b.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &b.config.Bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
}

// wantNoUploads waits a moment until no multipart upload is open.
func (b *bucket) wantNoUploads(t *testing.T) {
	t.Helper()
	eventually(t, 10*time.Second, "no multipart upload is open", func() bool { return len(b.uploads(t)) == 0 })
}

// wantExactly checks that the bucket contains exactly these instances, byte for byte.
func (b *bucket) wantExactly(t *testing.T, instances ...instance) {
	t.Helper()
	var want []string //nolint:prealloc // nil when there are none, as keys has it
	for _, i := range instances {
		want = append(want, i.key())
		b.wantObject(t, i)
	}
	got := b.keys(t)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys in the bucket (-want +got):\n%s", diff)
	}
}

// wantObject checks that the object contains the bytes of the instance.
func (b *bucket) wantObject(t *testing.T, i instance) {
	t.Helper()
	file, err := os.Open(b.path(i.key()))
	if errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is not in the bucket", i.key())
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if at, same := sameBytes(t, file, i.reader()); !same {
		t.Errorf("%s (%d bytes) differs from what was sent from byte %d on", i.key(), i.sizeBytes(), at)
	}
}

// sameBytes compares block by block; at is the first block that differs.
func sameBytes(t *testing.T, got, want io.Reader) (at int64, same bool) {
	t.Helper()
	const block = 256 << 10
	gotBlock, wantBlock := make([]byte, block), make([]byte, block)
	for {
		g, gotErr := io.ReadFull(got, gotBlock)
		w, wantErr := io.ReadFull(want, wantBlock)
		for _, err := range []error{gotErr, wantErr} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(gotBlock[:g], wantBlock[:w]) {
			return at, false
		}
		if gotErr != nil {
			return at, true
		}
		at += block
	}
}
