package stow_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/stow"
)

// Promise 1: in an outage the answer is 503 with the response module, so that senders repeat the request.
func TestOutageIsTemporary(t *testing.T) {
	tests := map[string]struct {
		fault  s3test.Fault
		status int
		want   string
	}{
		"everything fails":   {s3test.Fault{Status: 500, Code: "InternalError"}, 503, "failed 1.1 0110 | failed 1.2 0110"},
		"everything is slow": {s3test.Fault{Status: 503, Code: "SlowDown"}, 503, "failed 1.1 A700 | failed 1.2 A700"},
		"everything hangs":   {s3test.Fault{Delay: time.Minute}, 503, "failed 1.1 0110 | failed 1.2 0110"},
		"one fails":          {s3test.Fault{Key: func(k string) bool { return strings.HasSuffix(k, "/1.2") }, Status: 500, Code: "InternalError"}, 202, "stored 1.1 | failed 1.2 0110"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			test.fault.Operation = "PutObject"
			s.s3.Inject(test.fault)
			got := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 10), ct("1.2", 10))))
			if got.status != test.status || got.outcomes() != test.want {
				t.Errorf("got %d %q, want %d %q", got.status, got.outcomes(), test.status, test.want)
			}
			if retryAfter := got.header.Get("Retry-After"); (retryAfter != "") != (test.status == 503) {
				t.Errorf("Retry-After is %q at status %d", retryAfter, test.status)
			}
			if told := fmt.Sprint(got.header["Warning"]); !strings.Contains(told, "the storage") {
				t.Errorf("the sender is told %s", told)
			}
			if strings.Contains(got.body, "InternalError") || strings.Contains(got.body, "dicom/") {
				t.Errorf("the client sees detail of S3: %s", got.body)
			}
		})
	}
}

func TestMaxRequestSize(t *testing.T) {
	limit := func(h *stow.Handler, _ *s3store.Config) { h.Config.MaxRequestBytes = 5000 }
	body := multipart(ct("1.1", 1000), ct("1.2", 1000), ct("1.3", 9000))
	t.Run("declared: refused at once", func(t *testing.T) {
		s := newService(t, limit)
		if got := s.post(t, "/studies", "", bytes.NewReader(body)); got.status != 413 || len(s.s3.Keys()) != 0 {
			t.Errorf("got %d, bucket %v; want 413 and nothing", got.status, s.s3.Keys())
		}
	})
	t.Run("in chunks: what came before is stored", func(t *testing.T) {
		s := newService(t, limit)
		got := s.post(t, "/studies", "", undeclared(body))
		if want := "stored 1.1 | stored 1.2 | failed 1.3 A700"; got.status != 202 || got.outcomes() != want {
			t.Errorf("got %d %q, want 202 %q", got.status, got.outcomes(), want)
		}
	})
	t.Run("in chunks: nothing came before", func(t *testing.T) {
		s := newService(t, limit)
		got := s.post(t, "/studies", "", undeclared(multipart(ct("1.3", 9000))))
		if want := "failed 1.3 A700"; got.status != 413 || got.outcomes() != want {
			t.Errorf("got %d %q, want 413 %q", got.status, got.outcomes(), want)
		}
	})
}

// A request above MAXREQUESTS is refused before its body is read; the others continue.
func TestMaxRequests(t *testing.T) {
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) { h.Config.MaxRequests = 1 })
	hold := make(chan struct{})
	s.s3.Inject(s3test.Fault{Operation: "PutObject", Hold: hold, Times: 1})
	first := make(chan answer)
	go func() { first <- s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 10)))) }()
	for len(s.s3.Requests()) == 0 {
		select {
		case a := <-first:
			t.Fatalf("the first request ended with %d", a.status)
		default:
		}
	}
	second := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.2", 10))))
	if second.status != 503 || second.header.Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q; want 503", second.status, second.header.Get("Retry-After"))
	}
	close(hold)
	if a := <-first; a.status != 200 {
		t.Errorf("the first request ended with %d", a.status)
	}
	if third := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.2", 10)))); third.status != 200 {
		t.Errorf("afterwards: got %d, want 200", third.status)
	}
}

// When the service is cut, uploads end, nothing is left behind, and the sender is asked to repeat the request.
func TestServiceIsCut(t *testing.T) {
	ctx, cut := context.WithCancel(t.Context())
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) { h.Stop = ctx })
	reading, writing := io.Pipe()
	go func() {
		_, _ = writing.Write(multipart(ct("1.1", 20<<20))[:18<<20])
		cut()
	}()
	got := s.post(t, "/studies", "", reading)
	// The rest of the body, whose content is unknown, may have its own item.
	if want := "failed 1.1 A700"; got.status != 503 || strings.TrimSuffix(got.outcomes(), " | other A700") != want {
		t.Errorf("got %d %q, want 503 %q", got.status, got.outcomes(), want)
	}
	if len(s.s3.Keys())+len(s.s3.OpenUploads()) > 0 {
		t.Errorf("left in S3: %v, open uploads %v", s.s3.Keys(), s.s3.OpenUploads())
	}
}

// An invalid transfer syntax must not reach the headers of the request to S3.
func TestTransferSyntaxThatIsNoUID(t *testing.T) {
	s := newService(t)
	odd := bytes.Replace(ct("1.1", 10), []byte("1.2.840.10008.1.2.1\x00"), []byte("1.2.8\r\nX-Odd: \xff\xfe 123"), 1)
	got := s.post(t, "/studies", "", bytes.NewReader(multipart(odd)))
	stored, metadata, _ := s.s3.Object(study + "/" + series + "/1.1")
	if got.status != 200 || !bytes.Equal(stored, odd) {
		t.Errorf("got %d %s\n%s", got.status, got.body, s.log.String())
	}
	if _, found := metadata["transfer-syntax"]; found {
		t.Errorf("metadata: %q", metadata)
	}
}

// If an instance is contained twice in one request, the last one remains stored, even if the first is slower to store.
func TestInstanceTwiceInOneRequest(t *testing.T) {
	for name, size := range map[string]int{"puts": 10, "multipart uploads": 9 << 20} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			hold := make(chan struct{})
			first := s3test.Fault{Operation: "PutObject", Hold: hold, Times: 1}
			if size > 8<<20 {
				first.Operation = "CompleteMultipartUpload"
			}
			s.s3.Inject(first)
			go func() { // until the second overtakes the first, which must not happen
				defer close(hold)
				for deadline := time.Now().Add(300 * time.Millisecond); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
					if s.s3.MaxInFlight(first.Operation) > 1 || len(s.s3.Keys()) > 0 {
						return
					}
				}
			}()
			one, two := ct("1.1", size), ct("1.1", size+1)
			got := s.post(t, "/studies", "", bytes.NewReader(multipart(one, two)))
			if want := "stored 1.1 | stored 1.1"; got.status != 200 || got.outcomes() != want {
				t.Errorf("got %d %q, want 200 %q", got.status, got.outcomes(), want)
			}
			if stored, _, _ := s.s3.Object(study + "/" + series + "/1.1"); !bytes.Equal(stored, two) {
				t.Errorf("%d bytes are stored, want the %d of the last", len(stored), len(two))
			}
		})
	}
}

// The body may notice that the service is cut earlier than the uploads: between two
// parts, or within a head. Then, too, the sender is asked to repeat the request.
func TestServiceIsCutBeforeAnInstanceIsKnown(t *testing.T) {
	for name, sent := range map[string]int{"in a head": 300, "between two parts": len(multipart(ct("1.1", 10))) - len("--\r\n")} {
		t.Run(name, func(t *testing.T) {
			ctx, cut := context.WithCancel(t.Context())
			s := newService(t, func(h *stow.Handler, _ *s3store.Config) { h.Stop = ctx })
			s.s3.Inject(s3test.Fault{Operation: "PutObject", Status: 500, Code: "InternalError"})
			reading, writing := io.Pipe()
			go func() {
				_, _ = writing.Write(multipart(ct("1.1", 10))[:sent])
				cut()
			}()
			if got := s.post(t, "/studies", "", reading); got.status != 503 {
				t.Errorf("got %d %q, want 503", got.status, got.outcomes())
			}
		})
	}
}

// PREFIX and OBJECTSUFFIX are part of the key, but not of the RetrieveURL.
func TestKeys(t *testing.T) {
	s := newService(t, withWADOURL, func(h *stow.Handler, _ *s3store.Config) { h.Config.Prefix, h.Config.Suffix = "in/box", ".dcm" })
	got := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 1), instance("1.2", "9.9", series, classUID, 1))))
	if want := "https://wado/dicomweb/studies/1.2.3/series/1.2.3.4/instances/1.1"; got.module.Referenced[0].RetrieveURL != want {
		t.Errorf("got %q, want %q", got.module.Referenced[0].RetrieveURL, want)
	}
	if diff := cmp.Diff([]string{"in/box/1.2.3/1.2.3.4/1.1.dcm", "in/box/9.9/1.2.3.4/1.2.dcm"}, s.s3.Keys()); diff != "" {
		t.Errorf("keys differ (-want +got):\n%s", diff)
	}
}

// The audit record contains what alarms and dashboards read; the log contains no patient and no invalid UID.
func TestRecords(t *testing.T) {
	s := newService(t)
	s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 10), instance("1.2", "Doe^Jane", series, classUID, 1))))
	record := s.records[0]
	for _, name := range []string{"request_id", "status", "stored", "failed", "warnings", "bytes", "duration_ms", "remote", "client_dn"} {
		if _, found := record[name]; !found {
			t.Errorf("the audit record has no %s: %v", name, record)
		}
	}
	got := fmt.Sprint(record["msg"], " ", record["status"], record["stored"], record["failed"])
	if want := "store transaction 202 1 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if log := s.log.String(); strings.Contains(log, "Doe") || !strings.Contains(log, `"failure_reason":"0117"`) {
		t.Errorf("log: %s", log)
	}
}

// A part can consist of six bytes: parts without a UID must not fill the log. All others have their record.
func TestRecordsOfManyParts(t *testing.T) {
	s := newService(t)
	body := strings.Repeat("--b\n\n\n", 5000)
	for n := range 150 {
		body += fmt.Sprintf("--b\n\n%s\n", instance(fmt.Sprintf("1.2.%d", n), "Doe^Jane", series, classUID, 1))
	}
	s.post(t, "/studies", multipartType("b"), strings.NewReader(body+"--b--"))
	record := s.awaitAudit(t)
	s.mu.Lock()
	log := s.log.String()
	s.mu.Unlock()
	if got, named := strings.Count(log, "\n"), strings.Count(log, `"instance":"1.2.`); got != 251 || named != 150 {
		t.Errorf("%d records, %d of instances that have a UID; want 251 and 150", got, named)
	}
	if got := fmt.Sprint(record["failed"]); got != "5150" {
		t.Errorf("the audit record counts %s failures, want 5150", got)
	}
}

// BenchmarkEmptyParts measures the cost of the shortest parts.
func BenchmarkEmptyParts(b *testing.B) {
	s := newService(b)
	body := strings.Repeat("--b\n\n\n", 50_000) + "--b--"
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.url+"/studies", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", multipartType("b"))
		answer, err := s.client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}
