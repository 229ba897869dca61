package server_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/server"
)

func TestHealthAndMetrics(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	r.awaitReady(t, 200)
	if status, _ := r.get(t, "/livez"); status != 200 {
		t.Errorf("/livez: got %d", status)
	}
	if status, _ := r.get(t, "/debug/pprof/"); status != 404 {
		t.Errorf("profiles without PPROF: got %d, want 404", status)
	}
	r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), nil)
	r.request(t, "POST", "/studies", strings.NewReader("garbage"), nil)
	_, metrics := r.get(t, "/metrics")
	for _, want := range []string{
		`stowrs_requests_total{status="200"} 1`, `stowrs_requests_total{status="400"} 1`, `stowrs_instances_total{reason="",result="stored"} 1`,
		`stowrs_instances_total{reason="C000",result="failed"} 1`, "stowrs_ready 1", "stowrs_degraded 0", "stowrs_buffered_bytes 0",
		`stowrs_s3_request_duration_seconds_count{operation="PutObject",result="ok"} 1`, `stowrs_build_info{version="test"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("metrics have no %q", want)
		}
	}
}

// The service is not ready until S3 answers; the log and the body say what to correct, and the process lives.
func TestBucketIsMissing(t *testing.T) {
	s3 := s3test.Start(t, "dicom")
	s3.Inject(s3test.Fault{Operation: "HeadBucket", Status: 404, Code: "NoSuchBucket", Times: 1})
	r := start(t, s3, nil)
	r.awaitLog(t, "does not exist")
	status, body := r.get(t, "/readyz")
	if status != 503 || !strings.Contains(body, "bucket dicom does not exist") {
		t.Errorf("/readyz: got %d %s", status, body)
	}
	if status, _ := r.get(t, "/livez"); status != 200 {
		t.Errorf("/livez: got %d", status)
	}
	r.awaitReady(t, 200) // the bucket was made
}

// The role may read the bucket, but not write to it: /readyz reports this after the first store
// that fails, and is well again after the first that succeeds.
func TestReadinessKnowsStores(t *testing.T) {
	s3 := s3test.Start(t, "dicom")
	s3.Inject(s3test.Fault{Operation: "PutObject", Status: 403, Code: "AccessDenied", Times: 1})
	r := start(t, s3, nil)
	r.awaitReady(t, 200)
	if response := r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), nil); response.StatusCode != 503 {
		t.Errorf("a store that S3 denies: got %d, want 503", response.StatusCode)
	}
	status, body := r.get(t, "/readyz")
	if status != 200 || !strings.Contains(body, `"degraded":true`) || !strings.Contains(body, "s3:PutObject") {
		t.Errorf("after a store that failed: got %d %s", status, body)
	}
	if _, metrics := r.get(t, "/metrics"); !strings.Contains(metrics, "stowrs_degraded 1\n") {
		t.Error("the gauge says that nothing is degraded")
	}
	if response := r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), nil); response.StatusCode != 200 {
		t.Errorf("the next store: got %d, want 200", response.StatusCode)
	}
	if status, body := r.get(t, "/readyz"); status != 200 || strings.Contains(body, "reason") {
		t.Errorf("after a store that succeeded: got %d %s", status, body)
	}
}

// SIGTERM: not ready at once; requests in flight are finished; the end is not an error.
func TestGracefulStop(t *testing.T) {
	s3 := s3test.Start(t, "dicom")
	hold := make(chan struct{})
	s3.Inject(s3test.Fault{Operation: "PutObject", Hold: hold})
	r := start(t, s3, nil)
	r.awaitReady(t, 200)
	answers := make(chan int)
	go func() { answers <- r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), nil).StatusCode }()
	for s3.MaxInFlight("PutObject") == 0 {
		time.Sleep(time.Millisecond)
	}
	r.stop()
	r.awaitReady(t, 503)
	close(hold)
	if status := <-answers; status != 200 {
		t.Errorf("the request in flight got %d, want 200", status)
	}
	if err := <-r.done; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// After a second signal, or after STOPTIMEOUT, uploads are aborted, even if S3 fails for a while; the senders get an answer, and the end is an error.
func TestCut(t *testing.T) {
	for _, how := range []string{"second signal", "timeout"} {
		t.Run(how, func(t *testing.T) {
			s3 := s3test.Start(t, "dicom")
			r := start(t, s3, map[string]string{"STOPTIMEOUT": map[string]string{"timeout": "100ms", "second signal": "1h"}[how]})
			reading, writing := io.Pipe()
			answers := make(chan int)
			go func() { answers <- r.request(t, "POST", "/studies", reading, nil).StatusCode }()
			_, _ = writing.Write(sample(t))
			_, _ = writing.Write(make([]byte, 20<<20)) // and the client stalls
			for len(s3.OpenUploads()) == 0 {
				time.Sleep(time.Millisecond)
			}
			s3.Inject(s3test.Fault{Operation: "AbortMultipartUpload", Status: 500, Code: "InternalError", Times: 4})
			r.stop()
			if how == "second signal" {
				r.cut()
			}
			if status := <-answers; status != 503 {
				t.Errorf("the sender got %d, want 503", status)
			}
			if err := <-r.done; !errors.Is(err, server.ErrCut) {
				t.Errorf("ended with %v, want %v", err, server.ErrCut)
			}
			if len(s3.Keys())+len(s3.OpenUploads()) > 0 {
				t.Errorf("left in S3: %v, open uploads %v", s3.Keys(), s3.OpenUploads())
			}
		})
	}
}

// An upload that a kill left behind is aborted at the start of the next process; one that
// is left behind later is aborted after some time, without a restart.
func TestSweep(t *testing.T) {
	s3 := s3test.Start(t, "dicom")
	leaveBehind := func() {
		key := "1.2/1.3/1.4"
		if _, err := s3.Client(t).CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String("dicom"), Key: &key}); err != nil {
			t.Fatal(err)
		}
		s3.AgeUploads(time.Hour)
	}
	leaveBehind()
	start(t, s3, map[string]string{"SWEEPAGE": "1s"})
	for _, when := range []string{"before the start", "after it"} {
		for deadline := time.Now().Add(20 * time.Second); len(s3.OpenUploads()) > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("left behind %s: %v", when, s3.OpenUploads())
			}
		}
		leaveBehind()
	}
}

func TestAddressIsTaken(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	for _, variable := range []string{"LISTENADDRESS", "ADMINADDRESS"} {
		c, err := config.Load(map[string]string{"BUCKETNAME": "b", "LISTENADDRESS": "127.0.0.1:0", "ADMINADDRESS": "127.0.0.1:0", variable: r.stow})
		if err != nil {
			t.Fatal(err)
		}
		err = server.Run(c, server.Process{Log: io.Discard, Stop: t.Context(), Cut: t.Context()})
		if err == nil || !strings.Contains(err.Error(), variable) {
			t.Errorf("got error %v, want one that names %s", err, variable)
		}
	}
}
