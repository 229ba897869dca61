package s3test_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/s3test"
)

func TestInjectedStatus(t *testing.T) {
	for _, tc := range []struct {
		status int
		code   string
	}{
		{http.StatusServiceUnavailable, "SlowDown"},
		{http.StatusInternalServerError, "InternalError"},
		{http.StatusForbidden, "AccessDenied"},
		{http.StatusConflict, "ConditionalRequestConflict"},
	} {
		t.Run(tc.code, func(t *testing.T) {
			both(t, func(t *testing.T, srv *s3test.Server) {
				srv.Inject(s3test.Fault{Operation: "PutObject", Status: tc.status, Code: tc.code})
				_, err := srv.Client(t, once).PutObject(t.Context(), putInput("k", noise(3<<20, 1)))
				wantCode(t, err, tc.code)
				var answer *awshttp.ResponseError
				if !errors.As(err, &answer) || answer.HTTPStatusCode() != tc.status {
					t.Errorf("got %v, want status %d", err, tc.status)
				}
				wantKeys(t, srv)
			})
		})
	}
}

// CompleteMultipartUpload may say 200 and then fail (S3 API reference, CompleteMultipartUpload).
func TestInjectedErrorInsideASuccess(t *testing.T) {
	srv := s3test.Start(t, bucket)
	srv.Inject(s3test.Fault{Operation: "CompleteMultipartUpload", Status: http.StatusOK, Code: "InternalError"})
	m := begin(t, srv.Client(t, once), "k", nil)
	m.add(t, noise(10, 1))
	_, err := m.complete(t, nil)
	wantCode(t, err, "InternalError")
	wantKeys(t, srv)
}

func TestInjectedStatusOfHeadHasNoBody(t *testing.T) {
	srv := s3test.Start(t, bucket)
	srv.Inject(s3test.Fault{Operation: "HeadBucket", Status: http.StatusForbidden, Code: "AccessDenied", Times: 1})
	client := srv.Client(t, once)
	_, err := client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)})
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() != http.StatusForbidden {
		t.Errorf("got %v, want status 403", err)
	}
	must[*s3.HeadBucketOutput](t)(client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)}))
}

func TestCutConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		fault  s3test.Fault
		stored bool
	}{
		"in the middle of the body":                {s3test.Fault{Operation: "PutObject", Cut: true, Times: 1}, false},
		"after the object was stored, no ack sent": {s3test.Fault{Operation: "PutObject", CutAfter: true, Times: 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, srv *s3test.Server) {
				srv.Inject(tc.fault)
				body := noise(3<<20, 1)
				_, err := srv.Client(t, once).PutObject(t.Context(), putInput("k", body))
				var refused smithy.APIError
				if err == nil || errors.As(err, &refused) {
					t.Fatalf("got %v, want a broken connection", err)
				}
				if tc.stored {
					wantObject(t, srv, "k", body)
				} else {
					wantKeys(t, srv)
				}
				// The SDK's own retry succeeds.
				srv.Inject(tc.fault)
				must[*s3.PutObjectOutput](t)(srv.Client(t).PutObject(t.Context(), putInput("k", body)))
				wantObject(t, srv, "k", body)
				if got, want := len(srv.Requests()), 3; got != want {
					t.Errorf("%d requests, want %d", got, want)
				}
			})
		})
	}
}

// endless counts the bytes that are read of it.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read.Add(int64(len(p)))
	return len(p), nil
}

func TestCutLeavesTheRestOfTheBodyUnread(t *testing.T) {
	srv := s3test.Start(t, bucket)
	srv.Inject(s3test.Fault{Cut: true})
	const size = 256 << 20 // half of it is far more than sockets buffer
	var body endless
	request := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL()+"/"+bucket+"/k", io.LimitReader(&body, size)))
	request.ContentLength = size
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
		t.Errorf("got status %d, want a broken connection", response.StatusCode)
	}
	if got := body.read.Load(); got < size/2 || got > size*3/4 {
		t.Errorf("%d bytes were sent, want about half of %d", got, size)
	}
}

func TestHeldRequestsGoOnWhenReleased(t *testing.T) {
	srv := s3test.Start(t, bucket)
	const writers = 5
	release := make(chan struct{})
	var arrived sync.WaitGroup
	arrived.Add(writers)
	srv.Inject(s3test.Fault{Operation: "PutObject", Hold: release, OnHit: func(s3test.Request) { arrived.Done() }})
	client := srv.Client(t, once)
	var want []string
	var group sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		want = append(want, numbered(i))
		group.Go(func() { _, errs[i] = client.PutObject(t.Context(), putInput(numbered(i), noise(100, byte(i)))) })
	}
	arrived.Wait()
	wantKeys(t, srv)
	must[*s3.HeadBucketOutput](t)(client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)}))
	close(release)
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	wantKeys(t, srv, want...)
	for _, tc := range []struct {
		operation string
		want      int
	}{
		{"PutObject", writers},
		{"HeadBucket", 1},
		{"", writers + 1},
		{"UploadPart", 0},
	} {
		if got := srv.MaxInFlight(tc.operation); got != tc.want {
			t.Errorf("MaxInFlight(%q) = %d, want %d", tc.operation, got, tc.want)
		}
	}
}

func TestHeldRequestIsDroppedWhenItsClientGoesAway(t *testing.T) {
	var srv *s3test.Server
	// Runs after the server has stopped and so has served all requests.
	t.Cleanup(func() { wantKeys(t, srv) })
	srv = s3test.Start(t, bucket)
	ctx, cancel := context.WithCancel(t.Context())
	srv.Inject(s3test.Fault{Hold: make(chan struct{}), OnHit: func(s3test.Request) { cancel() }})
	if _, err := srv.Client(t, once).PutObject(ctx, putInput("k", noise(1000, 1))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestHoldThenFail(t *testing.T) {
	srv := s3test.Start(t, bucket)
	release := make(chan struct{})
	srv.Inject(s3test.Fault{Hold: release, Status: http.StatusServiceUnavailable, Code: "SlowDown", OnHit: func(s3test.Request) { close(release) }})
	_, err := srv.Client(t, once).PutObject(t.Context(), putInput("k", noise(10, 1)))
	wantCode(t, err, "SlowDown")
	wantKeys(t, srv)
}

func TestFaultSelection(t *testing.T) {
	slow := func(f s3test.Fault) s3test.Fault {
		f.Status, f.Code = http.StatusServiceUnavailable, "SlowDown"
		return f
	}
	for _, tc := range []struct {
		name   string
		faults []s3test.Fault
		want   []int // requests that fail, of 6 puts of object-00 and object-01 in turn
	}{
		{"none", nil, nil},
		{"any operation, for ever", []s3test.Fault{slow(s3test.Fault{})}, []int{0, 1, 2, 3, 4, 5}},
		{"other operation", []s3test.Fault{slow(s3test.Fault{Operation: "UploadPart"})}, nil},
		{"skip two, hit twice", []s3test.Fault{slow(s3test.Fault{Skip: 2, Times: 2})}, []int{2, 3}},
		{"skip three, for ever", []s3test.Fault{slow(s3test.Fault{Skip: 3})}, []int{3, 4, 5}},
		{"one key, once", []s3test.Fault{slow(s3test.Fault{Key: func(k string) bool { return k == numbered(1) }, Times: 1})}, []int{1}},
		{"the second counts what the first lets pass", []s3test.Fault{slow(s3test.Fault{Times: 1}), slow(s3test.Fault{Skip: 1, Times: 1})}, []int{0, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := s3test.Start(t, bucket)
			for _, f := range tc.faults {
				srv.Inject(f)
			}
			client := srv.Client(t, once)
			var got []int
			for i := range 6 {
				if _, err := client.PutObject(t.Context(), putInput(numbered(i%2), noise(10, 1))); err != nil {
					got = append(got, i)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("failed requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCorruptPartIsRefusedAndSentAgain(t *testing.T) {
	srv := s3test.StartTLS(t, bucket)
	srv.Inject(s3test.Fault{Operation: "UploadPart", Corrupt: true, Times: 1})
	m := begin(t, srv.Client(t, once), "k", nil)
	_, err := m.client.UploadPart(t.Context(), m.partInput(1, bytes.NewReader(noise(100, 1))))
	wantCode(t, err, "BadDigest")
	m.add(t, noise(100, 1))
	must[*s3.CompleteMultipartUploadOutput](t)(m.complete(t, nil))
	wantObject(t, srv, "k", noise(100, 1))
	want := []string{"CreateMultipartUpload", "UploadPart", "UploadPart", "CompleteMultipartUpload"}
	if got := operations(srv); !slices.Equal(got, want) {
		t.Errorf("requests %v, want %v", got, want)
	}
}
