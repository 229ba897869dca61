package client

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// PS3.18 Table 10.5.3-1: after a 202 only what is not reported stored goes again, and
// after a broken connection only that again.
func TestOnlyMissingInstancesGoAgain(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1", "1.2", "1.3", "1.4")
	s := newService(t,
		reasons(202, map[string]storeresponse.Reason{"1.2": storeresponse.ReasonOutOfResources, "1.3": storeresponse.ReasonProcessingFailure, "1.4": storeresponse.ReasonStudyMismatch}),
		cut,
		storedAll)
	r := sendWith(t, s.URL, folder, nil)
	wantCounts(t, r, 3, 1)
	wantEqual(t, "UIDs sent", [][]string{{"1.1", "1.2", "1.3", "1.4"}, {"1.2", "1.3"}, {"1.2", "1.3"}}, s.sentUIDs())
	s.wantByteExact(t, folder)
	wantContains(t, "failure", r.failures()["1.4.dcm"], "A901")
}

// The connection breaks while the body is under way.
func TestConnectionCutMidBody(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, uid := range []string{"1.1", "1.2"} {
		writeFile(t, filepath.Join(folder, uid+".dcm"), instanceBytes(uid, 3<<20))
	}
	s := &service{replies: []reply{storedAll}}
	var cuts atomic.Int32
	whole := s.handler(t)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cuts.Add(1) <= 2 {
			_, _ = io.CopyN(io.Discard, r.Body, 4<<20)
			panic(http.ErrAbortHandler)
		}
		whole.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	r := sendWith(t, s.URL, folder, nil)
	wantCounts(t, r, 2, 0)
	wantEqual(t, "UIDs sent whole", [][]string{{"1.1", "1.2"}}, s.sentUIDs())
	s.wantByteExact(t, folder)
	wantContains(t, "stderr", r.stderr, "2 instances go again")
}

func TestTemporaryStatusesAreRetried(t *testing.T) {
	t.Parallel()
	for _, status := range []int{408, 429, 502, 503, 504} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			folder := folderOf(t, "1.1", "1.2")
			s := newService(t, plain(status, "text/plain", "later"), storedAll)
			wantCounts(t, sendWith(t, s.URL, folder, nil), 2, 0)
			wantEqual(t, "UIDs sent", [][]string{{"1.1", "1.2"}, {"1.1", "1.2"}}, s.sentUIDs())
			s.wantByteExact(t, folder)
		})
	}
}

// A service whose storage is out answers 503 with a module in which all have failed.
func TestServiceUnavailableWithModule(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1", "1.2")
	down := reasons(503, map[string]storeresponse.Reason{"1.1": 0x0110, "1.2": 0x0110})
	s := newService(t, down, down, storedAll)
	wantCounts(t, sendWith(t, s.URL, folder, nil), 2, 0)
	if got := len(s.received()); got != 3 {
		t.Errorf("got %d requests, want 3", got)
	}
}

// RFC 9110 §10.2.3.
func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1")
	var refused time.Time
	var waited time.Duration
	s := newService(t, func(w http.ResponseWriter, _ upload) {
		refused = time.Now()
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}, func(w http.ResponseWriter, u upload) {
		waited = time.Since(refused)
		storedAll(w, u)
	})
	r := sendWith(t, s.URL, folder, nil)
	wantCounts(t, r, 1, 0)
	if waited < time.Second {
		t.Errorf("waited %s, want at least 1 s", waited)
	}
	wantContains(t, "stderr", r.stderr, "HTTP 503 Service Unavailable; 1 instance goes again in 1s")
}

func TestAttemptsAreLimited(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1", "1.2")
	s := newService(t, reasons(202, map[string]storeresponse.Reason{"1.2": storeresponse.ReasonProcessingFailure}))
	r := sendWith(t, s.URL, folder, func(o *Options) { o.Attempts = 3 })
	wantCounts(t, r, 1, 1)
	wantEqual(t, "UIDs sent", [][]string{{"1.1", "1.2"}, {"1.2"}, {"1.2"}}, s.sentUIDs())
	wantContains(t, "failure", r.failures()["1.2.dcm"], "0110 processing failure", "after 3 attempts")
}

// A request over the limit of the service or of a proxy is halved until it fits.
func TestTooLargeRequestsAreSplit(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1", "1.2", "1.3", "1.4", "1.5")
	writeFile(t, filepath.Join(folder, "1.3.dcm"), instanceBytes("1.3", 5000))
	s := newService(t, func(w http.ResponseWriter, u upload) {
		if u.length > 3000 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		storedAll(w, u)
	})
	r := sendWith(t, s.URL, folder, nil)
	wantCounts(t, r, 4, 1)
	wantEqual(t, "UIDs sent", [][]string{
		{"1.1", "1.2", "1.3", "1.4", "1.5"}, {"1.1", "1.2"}, {"1.3", "1.4", "1.5"}, {"1.3"}, {"1.4", "1.5"},
	}, s.sentUIDs())
	wantContains(t, "failure", r.failures()["1.3.dcm"], "HTTP 413 Request Entity Too Large")
}

// Nothing listens: bounded attempts for the first batch, none for the rest.
func TestUnreachableServiceStopsTheRest(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	r := sendWith(t, "http://"+address, folderOf(t, "1.1", "1.2", "1.3"), func(o *Options) { o.Batch, o.Attempts = 1, 3 })
	wantCounts(t, r, 0, 3)
	wantEqual(t, "attempts", []int{3, 0, 0}, []int{
		r.summary.Failures[0].Attempts, r.summary.Failures[1].Attempts, r.summary.Failures[2].Attempts,
	})
	for _, text := range r.failures() {
		wantContains(t, "failure", text, "connection refused")
	}
	wantContains(t, "failure", r.failures()["1.3.dcm"], "not sent: ")
}

// Ctrl-C: what was stored stays in the summary, the rest is told as interrupted.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1", "1.2", "1.3")
	ctx, cancel := context.WithCancel(t.Context())
	s := &service{replies: []reply{storedAll, func(_ http.ResponseWriter, _ upload) { cancel(); cut(nil, upload{}) }}}
	s.Server = httptest.NewServer(s.handler(t))
	t.Cleanup(s.Close)
	o := Options{URL: s.URL, Accept: "json", Batch: 1, BatchBytes: 1 << 20, Parallel: 1, Attempts: 5, Paths: []string{folder}}
	var stdout strings.Builder
	summary, err := send(ctx, o, &stdout, io.Discard, time.Hour)
	r := run{summary: summary, err: err, stdout: stdout.String()}
	wantCounts(t, r, 1, 2)
	wantContains(t, "failure", r.failures()["1.2.dcm"], "interrupted")
	wantContains(t, "failure", r.failures()["1.3.dcm"], "not sent: interrupted")
	wantContains(t, "stdout", r.stdout, "1 instance stored, 2 failed")
}

// RFC 9110 §10.1.1: large bodies wait for leave; a refusal comes before the body.
func TestRefusalBeforeTheBody(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "1.1.dcm"), instanceBytes("1.1", 2<<20))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wantEqual(t, "Expect", "100-continue", r.Header.Get("Expect"))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	s := newSender(t, server.URL, io.Discard, 0)
	e := s.post(t.Context(), scanned(t, folder))
	if e.err != nil || e.answer.code != http.StatusUnauthorized || e.bytes != 0 {
		t.Errorf("got %+v, want HTTP 401 and no byte sent", e)
	}
}

// A server that refuses the expectation gets the request without it.
func TestExpectationFailed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "1.1.dcm"), instanceBytes("1.1", 2<<20))
	s := &service{replies: []reply{storedAll}}
	whole := s.handler(t)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		whole.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	wantCounts(t, sendWith(t, s.URL, folder, nil), 1, 0)
	s.wantByteExact(t, folder)
}
