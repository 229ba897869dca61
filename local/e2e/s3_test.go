package e2e

import (
	"bytes"
	"net/http/httputil"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/local/gateway"
)

// faultyS3 is an S3 that keeps objects in the memory of the tests, with a front for
// faults. It can be in this process, because only the service's memory is measured.
type faultyS3 struct {
	*front
	store *s3test.Server
}

// startS3 serves an empty bucket until the test ends.
func startS3(t *testing.T) *faultyS3 {
	t.Helper()
	store := s3test.Start(t, "dicom")
	store.MinPartSize = 5 * mib // like S3
	return &faultyS3{front: newFront(t, store), store: store}
}

// environ returns the variables that make the service use this S3.
func (s *faultyS3) environ() []string {
	return append(s.store.Environ(), "AWS_ENDPOINT_URL_S3="+s.http.URL, "BUCKETNAME=dicom")
}

// environ returns the variables that make the service use the gateway.
func (b *bucket) environ() []string { return gateway.Environ(b.config) }

// frontedBucket is a gateway behind a front. Requests keep their Host, which is signed.
type frontedBucket struct {
	*bucket
	*front
}

func startFrontedGateway(t *testing.T) *frontedBucket {
	t.Helper()
	b := startGateway(t)
	target, err := url.Parse("http://" + b.config.Listen)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	f := newFront(t, proxy)
	proxy.ErrorLog = f.http.Config.ErrorLog
	return &frontedBucket{b, f}
}

func (b *frontedBucket) environ() []string {
	return append(b.bucket.environ(), "AWS_ENDPOINT_URL_S3="+b.http.URL)
}

// object returns the bytes under the key of an instance; ok is false if there is no object.
func (s *faultyS3) object(key string) (content []byte, ok bool) {
	content, _, ok = s.store.Object(key)
	return content, ok
}

// wantExactly checks that the bucket contains exactly these instances, byte for byte.
func (s *faultyS3) wantExactly(t *testing.T, instances ...instance) {
	t.Helper()
	want := []string{}
	for _, i := range instances {
		want = append(want, i.key())
		s.wantObject(t, i)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.store.Keys()); diff != "" {
		t.Errorf("keys in the bucket (-want +got):\n%s", diff)
	}
}

// wantObject checks that the object contains the bytes of the instance.
func (s *faultyS3) wantObject(t *testing.T, i instance) {
	t.Helper()
	content, ok := s.object(i.key())
	if !ok {
		t.Errorf("%s is not in the bucket", i.key())
		return
	}
	if at, same := sameBytes(t, bytes.NewReader(content), i.reader()); !same {
		t.Errorf("%s (%d bytes) differs from what was sent from byte %d on", i.key(), i.sizeBytes(), at)
	}
}

// wantNoUploadsWithin checks that no multipart upload stays open for longer, without a restart.
func (s *faultyS3) wantNoUploadsWithin(t *testing.T, within time.Duration) {
	t.Helper()
	eventually(t, within, "no multipart upload is open", func() bool { return len(s.store.OpenUploads()) == 0 })
}
