package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
)

var multipart = []string{"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}

// sizeFor is the size of an instance whose store includes the operation.
func sizeFor(operation string) int {
	if operation == "PutObject" {
		return partBytes - 1
	}
	return 3*partBytes + 5
}

// Promise 6: an outage shorter than RETRYTIME costs only time, however
// many instances meet it; and an earlier outage makes later requests no less patient.
func TestOutageCostsTimeOnly(t *testing.T) {
	for name, fault := range map[string]s3test.Fault{
		"500": {Status: http.StatusInternalServerError, Code: "InternalError"}, "SlowDown": {Status: http.StatusServiceUnavailable, Code: "SlowDown"}, "cut": {Cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := s3test.Start(t, "dicom")
			config := small()
			config.Threads, config.RetryTime = 16, 10*time.Second
			store := newStore(t, server, config)
			over := time.Now().Add(700 * time.Millisecond)
			fault.Key = func(string) bool { return time.Now().Before(over) }
			server.Inject(fault)
			var all sync.WaitGroup
			for n := range 60 {
				all.Go(func() {
					if err := put(t.Context(), store, fmt.Sprintf("1/2/%d", n), reader(pseudoRandom(1000)), 1); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			over = time.Now().Add(50 * time.Millisecond)
			if err := put(t.Context(), store, "1/2/blip", reader(pseudoRandom(1000)), 1); err != nil {
				t.Errorf("one more: %v", err)
			}
			wantClean(t, server, store)
		})
	}
}

// Waiting for a slot counts towards no time limit: neither that of an instance, nor that of an abort.
func TestWaitingForASlotIsNoFailure(t *testing.T) {
	server := s3test.Start(t, "dicom")
	config := small()
	config.Threads, config.RetryTime = 1, 100*time.Millisecond
	store := newStore(t, server, config)
	reading, writing := io.Pipe()
	cut := make(chan error, 1)
	go func() { cut <- put(t.Context(), store, "1/2/3", s3store.Source{Reader: reading, DeclaredBytes: -1}, 1) }()
	if _, err := writing.Write(pseudoRandom(partBytes + 1)); err != nil {
		t.Fatal(err)
	}
	for len(server.OpenUploads()) == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond) // its first part is stored

	release, held := make(chan struct{}), make(chan struct{})
	server.Inject(s3test.Fault{Operation: "PutObject", Times: 1, Hold: release, OnHit: func(s3test.Request) { close(held) }})
	slow, waiting := make(chan error, 1), make(chan error, 1)
	go func() { slow <- put(t.Context(), store, "1/1/1", reader(pseudoRandom(100)), 1) }()
	<-held // the only slot is in use
	go func() { waiting <- put(t.Context(), store, "1/1/2", reader(pseudoRandom(3*partBytes)), 1) }()
	_ = writing.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-cut; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the client that left: %v", err)
	}
	if open := server.OpenUploads(); len(open) > 0 {
		t.Errorf("the abort waits for a slot: %v", open)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := store.Probe(ctx); err != nil {
		t.Errorf("the probe waits for a slot: %v", err)
	}
	time.Sleep(5 * config.RetryTime)
	close(release)
	for name, outcome := range map[string]chan error{"slow": slow, "waiting": waiting} {
		if err := <-outcome; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantClean(t, server, store)
}

// An answer that is lost is not a failure: the instance is reported as stored, because it is.
func TestLostAnswers(t *testing.T) {
	faults := map[string]s3test.Fault{"lost": {CutAfter: true}, "broken off": {CutAnswer: true}}
	for what, fault := range faults {
		for n, operation := range slices.Concat([]string{"PutObject"}, multipart, []string{"PutObject"}, multipart) {
			reject := n >= 1+len(multipart)
			t.Run(fmt.Sprintf("%s, %s, reject %v", operation, what, reject), func(t *testing.T) {
				server := s3test.Start(t, "dicom")
				config := small()
				config.RejectDuplicates, config.RetryTime = reject, 10*time.Second
				store := newStore(t, server, config)
				fault := fault
				fault.Operation, fault.Times = operation, 1
				server.Inject(fault)
				data := pseudoRandom(sizeFor(operation))
				if err := put(t.Context(), store, "1/2/3", reader(data), 1); err != nil {
					t.Error(err)
				}
				if got, _, _ := server.Object("1/2/3"); !bytes.Equal(got, data) {
					t.Error("other bytes are stored")
				}
				store.AbortSuspects(t.Context(), 0)
				wantClean(t, server, store)
			})
		}
	}
}

// If an object of another writer is under the key, a lost upload is not a success.
func TestLostUploadIsNotTakenForAnotherObject(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStore(t, server, small())
	data := pseudoRandom(3 * partBytes)
	server.Put("1/2/3", data[1:])
	server.Inject(s3test.Fault{Operation: "CompleteMultipartUpload", Status: http.StatusNotFound, Code: "NoSuchUpload"})
	if err := put(t.Context(), store, "1/2/3", reader(data), 1); err == nil || errors.Is(err, s3store.ErrDuplicate) {
		t.Errorf("got error %v, want a failure of S3", err)
	}
	wantClean(t, server, store)
}

// An upload that nobody knows is aborted, but not one under the same key that still grows.
func TestSuspectsAreTold(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStore(t, server, small())
	client, bucket, key, number := server.Client(t), "dicom", "1/2/3", int32(1)
	others, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: &bucket, Key: &key, UploadId: others.UploadId, PartNumber: &number, Body: bytes.NewReader([]byte("x")),
	}); err != nil {
		t.Fatal(err)
	}
	server.Inject(s3test.Fault{Operation: "CreateMultipartUpload", CutAfter: true})
	if err := put(t.Context(), store, key, reader(pseudoRandom(3*partBytes)), 1); err == nil {
		t.Error("got no error")
	}
	if len(server.OpenUploads()) < 2 {
		t.Fatalf("the test makes no sense: open are %v", server.OpenUploads())
	}
	store.AbortSuspects(t.Context(), 0)
	if open := server.OpenUploads(); len(open) != 1 {
		t.Errorf("open are %v, want the other's alone", open)
	}
}

// A process that has just begun an upload under the key of a lost one, this process included, has half a minute to send its first part.
func TestYoungUploadsAreSpared(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStore(t, server, small())
	client, bucket, key := server.Client(t), "dicom", "1/2/3"
	server.Inject(s3test.Fault{Operation: "CreateMultipartUpload", CutAfter: true, Times: 1})
	if err := put(t.Context(), store, key, reader(pseudoRandom(3*partBytes)), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
	store.AbortSuspects(t.Context(), time.Minute)
	if open := server.OpenUploads(); len(open) != 2 {
		t.Errorf("open are %v, want both, since they are young", open)
	}
	store.AbortSuspects(t.Context(), 0) // they were not forgotten
	wantClean(t, server, store)
}

// If uploads may not be listed, this causes only one request and one record, however many answers were lost.
func TestSuspectsThatMayNotBeListed(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStore(t, server, small())
	for _, key := range []string{"1/2/3", "1/2/4", "1/2/5"} {
		server.Inject(s3test.Fault{Operation: "CreateMultipartUpload", CutAfter: true, Times: 1})
		if err := put(t.Context(), store, key, reader(pseudoRandom(3*partBytes)), 1); err != nil {
			t.Fatal(err)
		}
	}
	server.Inject(s3test.Fault{Operation: "ListMultipartUploads", Status: http.StatusForbidden, Code: "AccessDenied"})
	if store.AbortSuspects(t.Context(), 0) {
		t.Error("S3 let it")
	}
	asked := 0
	for _, r := range server.Requests() {
		if r.Operation == "ListMultipartUploads" {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("S3 was asked %d times, want once", asked)
	}
	server.ClearFaults()
	store.AbortSuspects(t.Context(), 0)
	wantClean(t, server, store)
}

// Health depends on the results of stores, not on the answers of the bucket itself.
func TestHealth(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStore(t, server, small())
	server.Inject(s3test.Fault{Operation: "PutObject", Times: 1, Status: http.StatusForbidden, Code: "AccessDenied"})
	if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(10)), 1); err == nil {
		t.Fatal("got no error")
	}
	if err := store.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := store.Health(); h.Failure == nil || h.FailedAt.IsZero() || h.FailingSince.IsZero() || h.LastAnswer.IsZero() {
		t.Errorf("after a refused store and a good probe: %+v", h)
	}
	if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(10)), 1); err != nil {
		t.Fatal(err)
	}
	if h := store.Health(); h.Failure != nil || !h.FailedAt.IsZero() {
		t.Errorf("after a store: %+v", h)
	}
}

// A correction that a source knows only at its end is in the object, and in its checksum.
func TestCorrection(t *testing.T) {
	for _, size := range []int{10, partBytes, partBytes + 1, 6*partBytes + 3} {
		for _, head := range []int{1, 3 * partBytes} {
			server := s3test.Start(t, "dicom")
			store := newStore(t, server, small())
			data := pseudoRandom(size)
			source := reader(bytes.Clone(data))
			source.Correct = func() (int64, []byte) { return 4, []byte("abcd") }
			copy(data[4:], "abcd")
			if err := put(t.Context(), store, "1/2/3", source, min(size, head)); err != nil {
				t.Fatal(err)
			}
			if got, _, _ := server.Object("1/2/3"); !bytes.Equal(got, data) {
				t.Errorf("%d bytes, head %d: other bytes are stored", size, head)
			}
			wantClean(t, server, store)
		}
	}
}

type panics struct{ after int }

// Read implements io.Reader.
func (p *panics) Read(b []byte) (int, error) {
	if p.after -= len(b); p.after < 0 {
		panic("decoder")
	}
	return len(b), nil
}

// A panic of a source frees what the instance held, and aborts its upload.
func TestPanicOfASource(t *testing.T) {
	for _, after := range []int{100, partBytes, 5 * partBytes} {
		server := s3test.Start(t, "dicom")
		store := newStore(t, server, small())
		line := store.ledger.Line()
		upload := store.Begin(t.Context(), line, s3store.Source{Reader: &panics{after}, DeclaredBytes: -1})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			defer upload.Discard()
			_, _ = upload.Head().ReadAt(make([]byte, 10), 0)
			_ = upload.Store("1/2/3", s3store.Metadata{})
		}()
		if after > 10 {
			if err := upload.Wait(); err == nil {
				t.Error("got no error")
			}
		}
		line.End()
		wantNothing(t, server, store)
	}
}

// A request that is never answered is tried again, also with a short RETRYTIME.
func TestAnswerThatNeverComes(t *testing.T) {
	for _, operation := range []string{"PutObject", "CreateMultipartUpload", "UploadPart"} {
		server := s3test.Start(t, "dicom")
		config := small()
		config.RetryTime = 3 * time.Second
		store := newStore(t, server, config)
		answer := make(chan struct{})
		server.Inject(s3test.Fault{Operation: operation, Times: 1, Hold: answer})
		if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(sizeFor(operation))), 1); err != nil {
			t.Errorf("%s: %v", operation, err)
		}
		close(answer)
		wantClean(t, server, store)
	}
}

// A bit that flips on the way to S3 costs another attempt, with the correct bytes.
func TestDamageOnTheWayIsRepaired(t *testing.T) {
	for _, operation := range []string{"PutObject", "UploadPart"} {
		server := s3test.Start(t, "dicom")
		config := small()
		config.RetryTime = 10 * time.Second
		store := newStore(t, server, config)
		server.Inject(s3test.Fault{Operation: operation, Times: 1, Corrupt: true})
		data := pseudoRandom(sizeFor(operation))
		if err := put(t.Context(), store, "1/2/3", reader(data), 1); err != nil {
			t.Errorf("%s: %v", operation, err)
		}
		if got, _, _ := server.Object("1/2/3"); !bytes.Equal(got, data) {
			t.Errorf("%s: other bytes are stored", operation)
		}
		wantClean(t, server, store)
	}
}

// An outage longer than RETRYTIME is reported at once to later requests; an abort makes nobody wait.
func TestLongOutageIsToldAtOnce(t *testing.T) {
	server := s3test.Start(t, "dicom")
	config := small()
	config.RetryTime = 500 * time.Millisecond
	store := newStore(t, server, config)
	server.SetOutage(http.StatusInternalServerError, "InternalError")
	for n, size := range []int{10, 10, 3 * partBytes} {
		begun := time.Now()
		if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(size)), 1); err == nil {
			t.Error("got no error")
		}
		if took := time.Since(begun); n == 0 && took < 400*time.Millisecond || n > 0 && took > 400*time.Millisecond {
			t.Errorf("instance %d was told after %s", n, took)
		}
		time.Sleep(50 * time.Millisecond)
	}
	server.SetOutage(0, "")
	if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(10)), 1); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}
