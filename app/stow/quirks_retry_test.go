package stow_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/stow"
)

// Retries and concurrency.
//
// Elsewhere: that S3's conditional writes are asked for and repeated after
// ConditionalRequestConflict in TestRejectDuplicates and TestConditionalConflicts of
// package s3store; parallel requests of different instances in the end-to-end tests.

// dial sends the head of a Store request over a raw connection.
func (s *service) dial(t *testing.T, header string) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(connection, "POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%s\r\n\r\n", multipartType(boundary), header)
	return connection
}

// dicomweb-client for Python repeats a request after 503 with a generator that is
// exhausted: the second one has an empty chunked body. A success would lose the instances.
func TestRetryWithAnEmptyBody(t *testing.T) {
	s := newService(t)
	s.s3.Inject(s3test.Fault{Operation: "PutObject", Status: 503, Code: "SlowDown"})
	if first := s.post(t, "/studies", "", undeclared(multipart(ct("1.1", 10)))); first.status != 503 {
		t.Fatalf("the first attempt: got %d, want 503", first.status)
	}
	connection := s.dial(t, "Transfer-Encoding: chunked")
	fmt.Fprint(connection, "0\r\n\r\n")
	second, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Body.Close()
	if second.StatusCode != 400 {
		t.Errorf("the second attempt: got %d, want 400", second.StatusCode)
	}
	s.wantStored(t)
}

// One instance from two writers at the same time, whose stores overlap in S3 (dcm4che/dcm4che#1103, #1112:
// partial files): the object is that of one of them, complete.
func TestTwoWritersOfOneInstance(t *testing.T) {
	for _, size := range []struct {
		name, operation string
		bytes           int
	}{{"put", "PutObject", 3000}, {"multipart upload", "CompleteMultipartUpload", 300 << 10}} {
		one, two := ct("1.1", size.bytes), ct("1.1", size.bytes)
		two[len(two)-1]++
		for _, test := range []struct {
			name   string
			reject bool
			bodies [2][]byte
			want   map[string]int // "status outcomes", how often
		}{
			{"overwrite, the same bytes", false, [2][]byte{one, one}, map[string]int{"200 stored 1.1": 2}},
			{"overwrite, other bytes", false, [2][]byte{one, two}, map[string]int{"200 stored 1.1": 2}},
			{"reject, the same bytes", true, [2][]byte{one, one}, map[string]int{"200 stored 1.1": 2}},
			{"reject, other bytes", true, [2][]byte{one, two}, map[string]int{"200 stored 1.1": 1, "409 failed 1.1 0111": 1}},
		} {
			t.Run(size.name+", "+test.name, func(t *testing.T) {
				s := newService(t, smallParts, func(_ *stow.Handler, c *s3store.Config) { c.RejectDuplicates = test.reject })
				s.meet(size.operation)
				var both sync.WaitGroup
				var mu sync.Mutex
				got := map[string]int{}
				for _, body := range test.bodies {
					both.Go(func() {
						answer := s.post(t, "/studies", "", bytes.NewReader(multipart(body)))
						mu.Lock()
						defer mu.Unlock()
						got[fmt.Sprint(answer.status, " ", answer.outcomes())]++
					})
				}
				both.Wait()
				if n := s.s3.MaxInFlight(size.operation); n != 2 {
					t.Errorf("%d writers were in S3 at once, want 2", n)
				}
				if fmt.Sprint(got) != fmt.Sprint(test.want) {
					t.Errorf("got %v, want %v", got, test.want)
				}
				stored, _, _ := s.s3.Object(study + "/" + series + "/1.1")
				if !bytes.Equal(stored, test.bodies[0]) && !bytes.Equal(stored, test.bodies[1]) {
					t.Error("what is stored is of neither writer")
				}
				s.wantStored(t, stored)
			})
		}
	}
}

// meet holds the first two requests of an operation until both have arrived.
func (s *service) meet(operation string) {
	both := make(chan struct{})
	var arrived sync.WaitGroup
	arrived.Add(2)
	go func() { arrived.Wait(); close(both) }()
	s.s3.Inject(s3test.Fault{Operation: operation, Times: 2, Hold: both, OnHit: func(s3test.Request) { arrived.Done() }})
}

// A request is repeated after ConditionalRequestConflict.
func TestConditionalConflictIsRepeated(t *testing.T) {
	s := newService(t, func(_ *stow.Handler, c *s3store.Config) { c.RejectDuplicates = true })
	s.s3.Inject(s3test.Fault{Operation: "PutObject", Status: 409, Code: "ConditionalRequestConflict", Times: 1})
	data := ct("1.1", 10)
	if got := s.post(t, "/studies", "", bytes.NewReader(multipart(data))); got.status != 200 || got.outcomes() != "stored 1.1" {
		t.Errorf("got %d %q", got.status, got.outcomes())
	}
	s.wantStored(t, data)
}

// A client leaves in the middle of an instance: its multipart upload is
// aborted, and instances that were complete before are stored.
func TestClientLeaves(t *testing.T) {
	for _, framing := range []string{"Content-Length", "chunked"} {
		t.Run(framing, func(t *testing.T) {
			s := newService(t, smallParts)
			a, cut := ct("1.1", 10), ct("1.2", 1<<20)
			body := multipart(a, cut)
			begun := make(chan struct{})
			s.s3.Inject(s3test.Fault{Operation: "UploadPart", Times: 1, OnHit: func(s3test.Request) { close(begun) }})
			sent := body[:700<<10]
			var connection net.Conn
			if framing == "chunked" {
				connection = s.dial(t, "Transfer-Encoding: chunked")
				fmt.Fprintf(connection, "%x\r\n", len(body))
			} else {
				connection = s.dial(t, fmt.Sprintf("Content-Length: %d", len(body)))
			}
			if _, err := connection.Write(sent); err != nil {
				t.Fatal(err)
			}
			<-begun
			connection.Close()
			record := s.awaitAudit(t)
			if record["stored"] != 1.0 || record["failed"] != 1.0 {
				t.Errorf("audit record: %v", record)
			}
			s.wantStored(t, a)
			if !strings.Contains(fmt.Sprint(s.operations()), "AbortMultipartUpload") {
				t.Errorf("S3 saw %v", s.operations())
			}
		})
	}
}

func (s *service) operations() []string {
	var operations []string
	for _, r := range s.s3.Requests() {
		operations = append(operations, r.Operation)
	}
	return operations
}

// awaitAudit waits for the record of a request whose client has left.
func (s *service) awaitAudit(t *testing.T) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := len(s.records)
		s.mu.Unlock()
		if n > 0 {
			break
		}
	}
	return s.audit(t)
}

// All failures are reported, each in its sequence, and no header grows with them
// (DICOMcloud/DICOMcloud#15, #43, #121, #122: a reason phrase that overflows).
func TestManyFailures(t *testing.T) {
	const n = 1000
	s := newService(t)
	parts := [][]byte{ct("1.1", 10)}
	want := []string{"stored 1.1"}
	for i := range n {
		sop := fmt.Sprintf("7.%d", i)
		parts = append(parts, instance(sop, "9.9", series, classUID, 1))
		want = append(want, "failed "+sop+" A901")
	}
	got := s.post(t, "/studies/"+study, "", bytes.NewReader(multipart(append(parts, nil)...)))
	if want := strings.Join(append(want, "other C000"), " | "); got.status != 202 || got.outcomes() != want {
		t.Errorf("got %d %q", got.status, got.outcomes())
	}
	if warning := got.header.Get("Warning"); warning != `299 stowrs-to-s3 "1001 of 1002 not stored: A901 C000"` {
		t.Errorf("Warning: %s", warning)
	}
}
