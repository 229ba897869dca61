package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stowrs-to-s3/app/s3store"
)

// Readiness depends on the results of stores and of the probe. A load balancer must not remove
// a service that can store, nor keep one that cannot.
func TestHealthState(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	denied := errors.New("access is denied: grant s3:PutObject")
	gone := errors.New("S3 cannot be reached: check the network")
	failing := func(since, last, answer time.Duration) s3store.Health {
		return s3store.Health{Failure: denied, FailingSince: ago(since), FailedAt: ago(last), LastAnswer: ago(answer)}
	}
	for name, test := range map[string]struct {
		probe           error
		stored          s3store.Health
		stopping        bool
		ready, degraded bool
		reason          string
	}{
		"just started":                            {nil, s3store.Health{}, false, false, false, "S3 has not answered yet"},
		"just started, no S3":                     {gone, s3store.Health{}, false, false, false, "S3 has not answered yet: S3 cannot be reached: check the network"},
		"S3 answers":                              {nil, s3store.Health{LastAnswer: ago(time.Hour)}, false, true, false, ""},
		"S3 is gone":                              {gone, s3store.Health{LastAnswer: ago(time.Minute)}, false, true, true, "S3 does not answer: S3 cannot be reached: check the network"},
		"S3 is gone for long":                     {gone, s3store.Health{LastAnswer: ago(6 * time.Minute)}, false, false, false, "S3 has not answered for five minutes: S3 cannot be reached: check the network"},
		"the first store fails":                   {nil, failing(0, 0, 0), false, true, true, "an instance could not be stored at 2026-11-24T12:00:00Z, and none was stored since: access is denied: grant s3:PutObject"},
		"stores fail for long, the probe is well": {nil, failing(6*time.Minute, time.Second, 0), false, false, false, "no instance could be stored for five minutes: access is denied: grant s3:PutObject"},
		"stores failed, nobody sends":             {nil, failing(time.Hour, 6*time.Minute, 0), false, true, true, "an instance could not be stored at 2026-11-24T11:54:00Z, and none was stored since: access is denied: grant s3:PutObject"},
		"neither answers nor stores":              {gone, failing(6*time.Minute, 0, 6*time.Minute), false, false, false, "S3 has not answered for five minutes: S3 cannot be reached: check the network"},
		"stopping":                                {gone, failing(0, 0, 0), true, false, false, "the service is stopping"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &health{stored: func() s3store.Health { return test.stored }, starve: func() time.Duration { return time.Minute }, now: func() time.Time { return now }, failure: test.probe, stopping: test.stopping}
			want := state{Ready: test.ready, Degraded: test.degraded, Reason: test.reason}
			if got := h.state(); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			answer := httptest.NewRecorder()
			h.readyz(answer, nil)
			var body state
			if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || body != want || (answer.Code == 200) != test.ready {
				t.Errorf("/readyz: got %d %s, error %v", answer.Code, answer.Body, err)
			}
		})
	}
}

// If requests wait for memory for minutes, while S3 answers and nothing fails, the service must not report that all is well.
func TestHealthWithoutMemory(t *testing.T) {
	starved := 3 * time.Minute
	h := &health{stored: func() s3store.Health { return s3store.Health{LastAnswer: time.Now()} }, starve: func() time.Duration { return starved }, now: time.Now}
	if got := h.state(); !got.Ready || !got.Degraded || !strings.Contains(got.Reason, "MEMORYBUDGET") {
		t.Errorf("got %+v", got)
	}
	starved = time.Minute
	if got := h.state(); got != (state{Ready: true}) {
		t.Errorf("got %+v", got)
	}
}

// While S3 does not answer, the probe asks more often. It logs only changes.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged strings.Builder
		asked := 0
		h := &health{
			ask: func(context.Context) error {
				if asked++; asked >= 2 && asked < 12 {
					return errors.New("no S3")
				}
				return nil
			},
			stored: func() s3store.Health { return s3store.Health{LastAnswer: time.Now()} }, starve: func() time.Duration { return 0 },
			log: slog.New(slog.NewTextHandler(&logged, nil)), now: time.Now,
		}
		ctx, end := context.WithCancel(t.Context())
		go h.probe(ctx)
		time.Sleep(probeEvery + time.Second)
		if got := h.state(); got.Reason != "S3 does not answer: no S3" || !got.Ready || !got.Degraded {
			t.Errorf("got %+v", got)
		}
		time.Sleep(10 * probeEveryFirst)
		if got := h.state(); asked != 12 || got != (state{Ready: true}) {
			t.Errorf("asked %d times, got %+v", asked, got)
		}
		end()
		synctest.Wait()
		if got := logged.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "S3 answers again") {
			t.Errorf("logged is\n%s", got)
		}
	})
}
