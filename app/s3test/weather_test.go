package s3test_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"stowrs-to-s3/app/s3test"
)

// wantBroken fails the test unless the connection broke before S3 had answered.
func wantBroken(t *testing.T, err error) {
	t.Helper()
	var refused smithy.APIError
	if err == nil || errors.As(err, &refused) {
		t.Errorf("got %v, want a broken connection", err)
	}
}

func head(t *testing.T, client *s3.Client) error {
	t.Helper()
	_, err := client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)})
	return err
}

// untilStored returns when the object is there.
func untilStored(t *testing.T, srv *s3test.Server, key string) {
	t.Helper()
	for !slices.Contains(srv.Keys(), key) {
		if t.Context().Err() != nil {
			t.Fatal("the object is not stored")
		}
		runtime.Gosched()
	}
}

func TestEachAnswerTakesItsTime(t *testing.T) {
	const latency = 50 * time.Millisecond
	for name, set := range map[string]func(*s3test.Server){
		"of all operations": func(srv *s3test.Server) { srv.SetLatency(latency) },
		"of one operation":  func(srv *s3test.Server) { srv.SetLatency(latency, "PutObject") },
		"of one but of no other": func(srv *s3test.Server) {
			srv.SetLatency(time.Hour)
			srv.SetLatency(latency, "PutObject")
		},
		"of a fault": func(srv *s3test.Server) { srv.Inject(s3test.Fault{Delay: latency}) },
		"of latency and of faults": func(srv *s3test.Server) {
			srv.SetLatency(latency / 2)
			srv.Inject(s3test.Fault{Delay: latency / 2})
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := s3test.Start(t, bucket)
			set(srv)
			begun := time.Now()
			must[*s3.PutObjectOutput](t)(srv.Client(t, once).PutObject(t.Context(), putInput("k", noise(10, 1))))
			if got := time.Since(begun); got < latency {
				t.Errorf("the answer took %v, want at least %v", got, latency)
			}
		})
	}
}

// S3 carries out an operation even if the client does not wait for the answer.
func TestAnOperationIsCarriedOutThoughItsClientDoesNotWait(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		srv.SetLatency(time.Hour)
		srv.SetLatency(0, "HeadBucket")
		client := srv.Client(t, once)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := client.PutObject(ctx, putInput("k", noise(10, 1)))
			done <- err
		}()
		untilStored(t, srv, "k")
		if err := head(t, client); err != nil {
			t.Errorf("an operation without latency: %v", err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		srv.SetLatency(0)
		must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), putInput("k", noise(20, 1))))
		wantObject(t, srv, "k", noise(20, 1))
	})
}

func TestMoreThanTheCapacityIsToldToSlowDown(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		client := srv.Client(t, once)
		srv.SetCapacity(2)
		release := make(chan struct{})
		var arrived, served sync.WaitGroup
		arrived.Add(2)
		srv.Inject(s3test.Fault{Times: 2, Hold: release, OnHit: func(s3test.Request) { arrived.Done() }})
		for i := range 2 {
			served.Go(func() { _, _ = client.PutObject(t.Context(), putInput(numbered(i), noise(10, 1))) })
		}
		arrived.Wait()
		_, err := client.PutObject(t.Context(), putInput("k", noise(3<<20, 1)))
		wantCode(t, err, "SlowDown")
		close(release)
		served.Wait()
		for range 3 { // one after the other
			must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), putInput("k", noise(10, 1))))
		}
		wantKeys(t, srv, "k", numbered(0), numbered(1))
		if got := srv.Counters(); got.Answers["PutObject 200"] != 5 || got.Answers["PutObject 503"] != 1 || got.InFlight[""] != 0 || got.MaxInFlight[""] != 3 {
			t.Errorf("got %+v, want five answers 200, one 503, and three at once", got)
		}
	})
}

func TestAnOutageHitsEveryRequestUntilItEnds(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		client := srv.Client(t, once)
		srv.Inject(s3test.Fault{Operation: "PutObject", Status: http.StatusForbidden, Code: "AccessDenied", Times: 1})
		srv.SetOutage(http.StatusServiceUnavailable, "SlowDown")
		for range 3 {
			_, err := client.PutObject(t.Context(), putInput("k", noise(3<<20, 1)))
			wantCode(t, err, "SlowDown")
			if head(t, client) == nil {
				t.Error("HeadBucket is answered, want an outage")
			}
		}
		srv.SetOutage(0, "")
		if err := head(t, client); err != nil {
			t.Error(err)
		}
		_, err := client.PutObject(t.Context(), putInput("k", noise(10, 1)))
		wantCode(t, err, "AccessDenied")
		wantKeys(t, srv)
	})
}

func TestAnUnreachableServerClosesConnections(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		client := srv.Client(t, once)
		if err := head(t, client); err != nil { // leaves a connection open
			t.Fatal(err)
		}
		srv.SetUnreachable(true)
		wantBroken(t, head(t, client))
		wantBroken(t, head(t, client)) // by a new connection
		_, address, _ := strings.Cut(srv.URL(), "://")
		if conn, err := net.Dial("tcp", address); err == nil { // it may be closed before Dial returns
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want a connection that is closed at once", err)
			}
			_ = conn.Close()
		}
		srv.SetUnreachable(false)
		if err := head(t, client); err != nil {
			t.Error(err)
		}
		if got := len(srv.Requests()); got != 2 {
			t.Errorf("%d requests reached the server, want 2", got)
		}
	})
}

func TestClearedFaultsHitNothing(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once)
	srv.Inject(s3test.Fault{Cut: true})
	wantBroken(t, head(t, client))
	srv.ClearFaults()
	if err := head(t, client); err != nil {
		t.Error(err)
	}
}

func TestCutAnswer(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		srv.Inject(s3test.Fault{CutAnswer: true})
		client := srv.Client(t, once)
		_, err := client.PutObject(t.Context(), putInput("put", noise(3<<20, 1)))
		wantBroken(t, err)
		wantBroken(t, head(t, client))
		_, err = client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("k")})
		wantBroken(t, err)
		if got := srv.OpenUploads(); !slices.Equal(got, []string{"k"}) {
			t.Errorf("open uploads %v, want [k]", got)
		}
		srv.ClearFaults()
		m := begin(t, client, "complete", nil)
		m.add(t, noise(10, 1))
		srv.Inject(s3test.Fault{CutAnswer: true})
		_, err = m.complete(t, nil)
		wantBroken(t, err)
		wantKeys(t, srv, "complete", "put")

		srv.ClearFaults()
		srv.Inject(s3test.Fault{Operation: "GetObject", CutAnswer: true})
		got := must[*s3.GetObjectOutput](t)(client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("put")}))
		defer got.Body.Close()
		if body, err := io.ReadAll(got.Body); err == nil || len(body) != 3<<20-1 {
			t.Errorf("read %d bytes and error %v, want all but one and an error", len(body), err)
		}
	})
}

func TestStallDelaysTheRestOfTheBody(t *testing.T) {
	const stall = 100 * time.Millisecond
	both(t, func(t *testing.T, srv *s3test.Server) {
		srv.Inject(s3test.Fault{Operation: "PutObject", Stall: stall})
		begun := time.Now()
		must[*s3.PutObjectOutput](t)(srv.Client(t, once).PutObject(t.Context(), putInput("k", noise(3<<20, 1))))
		if got := time.Since(begun); got < stall {
			t.Errorf("the answer took %v, want at least %v", got, stall)
		}
		wantObject(t, srv, "k", noise(3<<20, 1))
	})
}

// send puts an endless body with a declared length of size bytes, until ctx ends. It returns the status, or 0 without an answer.
func send(ctx context.Context, t *testing.T, srv *s3test.Server, body *endless, size int64) int {
	t.Helper()
	request := must[*http.Request](t)(http.NewRequestWithContext(ctx, http.MethodPut, srv.URL()+"/"+bucket+"/k", io.LimitReader(body, size)))
	request.ContentLength = size
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func TestStallStopsReading(t *testing.T) {
	srv := s3test.New(bucket)
	if err := srv.Listen("127.0.0.1:0", ""); err != nil {
		t.Fatal(err)
	}
	srv.Inject(s3test.Fault{Stall: time.Hour})
	const size = 64 << 20 // half of it is far more than sockets buffer
	var body endless
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan int)
	go func() { sent <- send(ctx, t, srv, &body, size) }()
	for body.read.Load() < size/2 {
		runtime.Gosched()
	}
	srv.Close()
	cancel()
	if status := <-sent; status != 0 || body.read.Load() > size*3/4 {
		t.Errorf("status %d after %d bytes, want none after about half of %d", status, body.read.Load(), size)
	}
}

func TestEarlyAnswerLeavesTheBodyUnread(t *testing.T) {
	const size = 64 << 20
	srv := s3test.Start(t, bucket)
	srv.Inject(s3test.Fault{Early: true, Status: http.StatusServiceUnavailable, Code: "SlowDown"})
	var body endless
	if status := send(t.Context(), t, srv, &body, size); status != http.StatusServiceUnavailable && status != 0 { // 0: the answer was lost
		t.Errorf("got status %d, want 503", status)
	}
	if got := body.read.Load(); got > size/4 {
		t.Errorf("%d bytes were sent, want a small part of %d", got, size)
	}
	_, err := srv.Client(t, once).PutObject(t.Context(), putInput("k", noise(100, 1)))
	wantCode(t, err, "SlowDown")
	wantKeys(t, srv)
}
