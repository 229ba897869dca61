package client

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// PS3.18 Table 10.5.3-1: after a 202, only the instances that are not reported as stored are sent again, and
// after a broken connection as well.
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

// The connection breaks while the body is sent.
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

// A service without its storage answers 503, with a module in which all instances have failed.
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
}

func TestAttemptsAreLimited(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1", "1.2")
	s := newService(t, reasons(202, map[string]storeresponse.Reason{"1.2": storeresponse.ReasonProcessingFailure}))
	r := sendWith(t, s.URL, folder, func(o *Options) { o.Attempts = 3 })
	wantCounts(t, r, 1, 1)
	wantEqual(t, "UIDs sent", [][]string{{"1.1", "1.2"}, {"1.2"}, {"1.2"}, {"1.2"}, {"1.2"}, {"1.2"}}, s.sentUIDs())
	wantContains(t, "failure", r.failures()["1.2.dcm"], "0110 processing failure")
	wantContains(t, "stderr", r.stderr, "1 instance has failed for now; a second pass begins")
}

// A request that is too large for the service or a proxy is halved until it fits.
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

// An instance that the service cannot store now is stored in the second pass.
func TestSecondPass(t *testing.T) {
	t.Parallel()
	busy := reasons(202, map[string]storeresponse.Reason{"1.1": storeresponse.ReasonOutOfResources})
	s := newService(t, busy, busy, storedAll)
	r := sendWith(t, s.URL, folderOf(t, "1.1", "1.2", "1.3"), func(o *Options) { o.Attempts, o.Batch = 2, 2 })
	wantCounts(t, r, 3, 0)
	wantEqual(t, "UIDs sent", [][]string{{"1.1", "1.2"}, {"1.1"}, {"1.3"}, {"1.1"}}, s.sentUIDs())
}

// nobody is an address on which nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "http://" + listener.Addr().String()
}

// Nothing listens: all requests wait together, but not for longer than --max-wait.
func TestUnreachableServiceStopsTheRun(t *testing.T) {
	t.Parallel()
	r := sendWith(t, nobody(t), folderOf(t, "1.1", "1.2", "1.3"), func(o *Options) {
		o.Batch, o.Parallel, o.MaxWait = 1, 3, 50*time.Millisecond
	})
	wantCounts(t, r, 0, 0)
	wantEqual(t, "exit code", 3, ExitCode(r.summary, r.err))
	wantContains(t, "stdout", r.stdout, "stopped before the end: the service is not available: no answer: ", "connection refused")
	wantEqual(t, "times told", 1, strings.Count(r.stderr, "everything waits until the service is back"))

	r = sendWith(t, nobody(t), folderOf(t, "1.1"), func(o *Options) { o.MaxWait = 0 })
	wantEqual(t, "exit code", 3, ExitCode(r.summary, r.err))
}

// During an outage only one request at a time tries, and no attempt is counted.
func TestOutageIsRiddenOut(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]reply{
		"no answer": cut, "503": plain(503, "text/plain", "later"),
		"503 with module": func(w http.ResponseWriter, u upload) {
			respond(w, 503, u, map[string]storeresponse.Reason{u.uids[0]: 0x0110})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const outage = 12
			s := newService(t, slices.Concat(slices.Repeat([]reply{down}, outage), []reply{storedAll})...)
			r := sendWith(t, s.URL, folderOf(t, "1.1", "1.2", "1.3", "1.4"), func(o *Options) {
				o.Batch, o.Parallel, o.Attempts, o.MaxWait = 1, 4, 2, time.Minute
			})
			wantCounts(t, r, 4, 0)
			wantEqual(t, "requests", outage+4, len(s.received()))
			wantContains(t, "stderr", r.stderr, "everything waits until the service is back", "the service is back after")
		})
	}
}

// A request that makes the service fail does not delay the others.
func TestOneBadRequestIsNoOutage(t *testing.T) {
	t.Parallel()
	s := newService(t, func(w http.ResponseWriter, u upload) {
		if u.uids[0] == "1.2" {
			plain(503, "", "")(w, u)
			return
		}
		storedAll(w, u)
	})
	r := sendWith(t, s.URL, folderOf(t, "1.1", "1.2", "1.3", "1.4", "1.5"), func(o *Options) {
		o.Batch, o.Parallel, o.Attempts, o.MaxWait = 1, 2, 1, 200*time.Millisecond
	})
	wantCounts(t, r, 4, 0)
	wantContains(t, "stderr", r.stderr, "1 instance has failed for now; a second pass begins")
	wantContains(t, "stdout", r.stdout, "the service is not available: HTTP 503")
}

// A file that makes the service, or the proxy in front of it, fail, harms no other file, even in the same request.
func TestOneBadInstanceInARequest(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]reply{"503": plain(503, "", ""), "no answer": cut} {
		for _, batch := range []int{3, 100} {
			t.Run(fmt.Sprint(name, " ", batch), func(t *testing.T) {
				t.Parallel()
				s := newService(t, func(w http.ResponseWriter, u upload) {
					if slices.Contains(u.uids, "1.2") {
						breaks(w, u)
						return
					}
					storedAll(w, u)
				})
				r := sendWith(t, s.URL, folderOf(t, "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7"), func(o *Options) {
					o.Batch, o.Attempts, o.MaxWait = batch, 2, 300*time.Millisecond
				})
				if r.summary.Stored != 6 {
					t.Errorf("%d of 6 are stored\n%s%s", r.summary.Stored, r.stderr, r.stdout)
				}
			})
		}
	}
}

// The same in the second pass: while other requests are answered, attempts are counted; and when a request has no attempt left, its undamaged instances are still stored.
func TestOneBadInstanceInTheSecondPass(t *testing.T) {
	t.Parallel()
	var later atomic.Int32
	s := newService(t, func(w http.ResponseWriter, u upload) {
		if slices.Contains(u.uids, "1.2") || slices.Contains(u.uids, "1.5") && later.Add(1) <= 3 {
			plain(503, "", "")(w, u)
			return
		}
		storedAll(w, u)
	})
	r := sendWith(t, s.URL, folderOf(t, "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9"), func(o *Options) {
		o.Batch, o.Parallel, o.Attempts, o.MaxWait = 3, 3, 1, time.Second
	})
	if r.summary.Stored != 8 {
		t.Errorf("%d of 8 are stored\n%s%s", r.summary.Stored, r.stderr, r.stdout)
	}
}

// If an answer was lost, a duplicate is what was sent before.
func TestDuplicateAfterALostAnswer(t *testing.T) {
	t.Parallel()
	duplicate := reasons(409, map[string]storeresponse.Reason{"1.1": storeresponse.ReasonDuplicateInstance})
	r := sendWith(t, newService(t, cut, duplicate).URL, folderOf(t, "1.1"), func(o *Options) { o.MaxWait = time.Minute })
	wantCounts(t, r, 1, 0)
	wantContains(t, "stdout", r.stdout, "1 instance stored (1 already stored, not verified), 0 failed")
	wantEqual(t, "report", "unverified", r.outcomes[0].Outcome)

	r = sendWith(t, newService(t, plain(503, "", ""), duplicate).URL, folderOf(t, "1.1"), func(o *Options) { o.MaxWait = time.Minute })
	wantCounts(t, r, 0, 1) // here no answer was lost
}

// After Ctrl-C, the summary contains what was stored.
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
	wantCounts(t, r, 1, 0)
	wantEqual(t, "exit code", 130, ExitCode(summary, err))
	wantContains(t, "stdout", r.stdout, "stopped before the end: interrupted", "1 instance stored, 0 failed")
}

// RFC 9110 §10.1.1: a large body waits for 100 Continue, so a refusal comes before the body.
func TestRefusalBeforeTheBody(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "1.1.dcm"), instanceBytes("1.1", 2<<20))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wantEqual(t, "Expect", "100-continue", r.Header.Get("Expect"))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	s := newSender(t, server.URL, io.Discard)
	e := s.post(t.Context(), scanned(t, folder))
	if e.err != nil || e.answer.code != http.StatusUnauthorized || e.bytes != 0 {
		t.Errorf("got %+v, want HTTP 401 and no byte sent", e)
	}
}

// A server that refuses the expectation gets the same request without it.
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
