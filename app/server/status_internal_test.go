package server

import (
	"errors"
	"fmt"
	"html"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

var noon = time.Date(2026, 11, 24, 12, 0, 30, 0, time.UTC)

// statusAt is a page at a fixed time, with these results of stores.
func statusAt(now *time.Time, met s3store.Health) *statusPage {
	clock := func() time.Time { return *now }
	past := newHistory()
	past.now = clock
	return &statusPage{
		version: "1.2.3", started: now.Add(-2 * time.Hour), history: past,
		config: config.Config{MaxRequests: 512, ThreadCount: 128, MemoryBudget: 256 << 20},
		health: &health{stored: func() s3store.Health { return met }, starve: func() time.Duration { return 0 }, now: clock},
		load: func() load {
			return load{7, s3store.Slots{Used: 3, Waiting: 1234, Limit: 40, Most: 128}, memory.Usage{BufferedBytes: 12 << 20, BufferBytes: 232 << 20, KeptLimitBytes: 16 << 20, Waiting: 5}, 99 << 20}
		},
	}
}

func (s *statusPage) text(t *testing.T, path string) string {
	t.Helper()
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
	if answer.Code != 200 {
		t.Fatalf("got %d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func wantText(t *testing.T, page string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
}

// The page shows each resource that is in use, its limit, and the setting of the limit.
func TestStatusPageShowsBounds(t *testing.T) {
	now := noon
	page := statusAt(&now, s3store.Health{LastAnswer: noon}).text(t, "/")
	wantText(t, page, "<title>ready: stowrs</title>", "7 of 512", "MAXREQUESTS", "3 of 40", "fewer than 128", "12 MiB of 232 MiB", "0 B of 16 MiB", "99 MiB of 304 MiB",
		"5 requests wait for memory", "1,234 S3 requests wait", "Version 1.2.3", "2h0m0s", `href="metrics"`, `href="readyz"`, `href="livez"`, `http-equiv="refresh" content="10"`)
	if still := statusAt(&now, s3store.Health{LastAnswer: noon}).text(t, "/?refresh=off"); strings.Contains(still, "http-equiv") {
		t.Error("with refresh=off the page is loaded again nevertheless")
	}
}

// The text of S3's errors is shown apart from our own, truncated and escaped.
func TestStatusPageEscapesErrorsOfS3(t *testing.T) {
	hostile := `<script>alert(1)</script>"><img src=x onerror=alert(2)> {{.}} ` + "\u202e\x1b[2J\x00" + strings.Repeat("long ", 1000)
	now := noon
	for name, failure := range map[string]error{
		"explained": &s3store.Explained{Fault: "access to bucket dicom is denied", Remedy: "grant s3:PutObject", Cause: errors.New(hostile)},
		"bare":      errors.New(hostile),
	} {
		t.Run(name, func(t *testing.T) {
			page := statusAt(&now, s3store.Health{LastAnswer: noon, Failure: failure, FailingSince: noon, FailedAt: noon}).text(t, "/")
			wantText(t, page, "<title>degraded: stowrs</title>", "an instance could not be stored at 2026-11-24T12:00:30Z", "What to do:", "&lt;script&gt;", "{{.}}")
			for _, live := range []string{"<script", "<img", "\u202e", "\x1b", "\x00"} {
				if strings.Contains(page, live) {
					t.Errorf("the page has %q", live)
				}
			}
			_, said, _ := strings.Cut(page, "<code>")
			said, _, _ = strings.Cut(said, "</code>")
			if n := len([]rune(html.UnescapeString(said))); n > 301 {
				t.Errorf("the error has %d characters, want 300 and …", n)
			}
			if name == "explained" {
				wantText(t, page, "<p>access to bucket dicom is denied.</p>", "grant s3:PutObject.")
			}
		})
	}
}

// The page shows all problems, first the one because of which the service is not ready.
func TestStatusPageTellsAllTroubles(t *testing.T) {
	now := noon
	s := statusAt(&now, s3store.Health{LastAnswer: noon.Add(-time.Minute), Failure: errors.New("denied"), FailingSince: noon.Add(-time.Hour), FailedAt: noon})
	s.health.failure = errors.New("no route")
	s.health.starve = func() time.Duration { return time.Hour }
	page := s.text(t, "/")
	wantText(t, page, "<title>not ready: stowrs</title>", "MEMORYBUDGET, or run more")
	var places []int
	for _, what := range []string{"no instance could be stored for five minutes", "S3 does not answer", "waited for memory for more than two minutes"} {
		places = append(places, strings.Index(page, what))
	}
	if places[0] < 0 || places[0] > places[1] || places[1] > places[2] {
		t.Errorf("troubles stand at %v", places)
	}
}

// The history contains one hour: older minutes do not count, and failures keep their last time.
func TestStatusPageCountsAnHour(t *testing.T) {
	now := noon
	s := statusAt(&now, s3store.Health{LastAnswer: noon})
	s.history.transaction(stow.Transaction{StatusCode: 202, Stored: 2, Failed: map[storeresponse.Reason]int{storeresponse.ReasonStudyMismatch: 4}, Bytes: 600 << 20})
	s.history.transaction(stow.Transaction{StatusCode: 415})
	check := func(requests, refused, stored, failed int) {
		t.Helper()
		if got := sum(s.history.lastHour()); got.Requests != requests || got.Refused != refused || got.Stored != stored || got.Failed != failed {
			t.Errorf("at %v: got %+v, want %d requests, %d refused, %d stored, %d failed", now, got, requests, refused, stored, failed)
		}
	}
	check(2, 1, 2, 4)
	now = noon.Add(59 * time.Minute)
	check(2, 1, 2, 4)
	wantText(t, s.text(t, "/"), "600 MiB", "A901", "4 since the start", "HTTP 415", "Unsupported Media Type: the request was refused as a whole", "last at 2026-11-24 12:00:30 UTC")
	now = noon.Add(60 * time.Minute)
	check(0, 0, 0, 0)
	s.history.transaction(stow.Transaction{StatusCode: 200, Stored: 1})
	now = noon.Add(60 * time.Hour)
	check(0, 0, 0, 0)
	wantText(t, s.text(t, "/"), "A901", "4 since the start")
}

// A rate over five minutes contains five minutes, and is divided by the time that has passed.
func TestStatusPageRates(t *testing.T) {
	now := noon
	s := statusAt(&now, s3store.Health{LastAnswer: noon})
	s.history.transaction(stow.Transaction{Stored: 270, Bytes: 270 << 20})
	for _, want := range []rateView{{"5 minutes", minute{Requests: 1, Stored: 270, Bytes: 270 << 20}, 270}, {"1 hour", minute{Requests: 1, Stored: 270, Bytes: 270 << 20}, 3570}} {
		found := false
		for _, got := range s.view(0).Rates {
			found = found || got == want
		}
		if !found {
			t.Errorf("got %+v, want %+v among them", s.view(0).Rates, want)
		}
	}
	s.started = noon // the service has just started: there is no division by zero
	wantText(t, s.text(t, "/"), "16,200/min")
}

func TestBarsFitThePicture(t *testing.T) {
	all, most := bars([]minute{{Stored: 1_000_000, Failed: 1}, {}, {Stored: 1}, {Failed: 1_000_001}})
	if most != 1_000_001 || all[1].Stored != 0 || all[1].Failed != 0 || all[2].Stored == 0 || all[0].Failed == 0 {
		t.Errorf("got %+v, most %d", all, most)
	}
	for _, b := range all {
		if b.FailedY < 0 || b.FailedY+b.Failed != b.StoredY || b.StoredY+b.Stored != barUnits {
			t.Errorf("%+v is not within %d", b, barUnits)
		}
	}
}

// The history needs no memory that grows with what clients send, and little time per request.
func BenchmarkHistory(b *testing.B) {
	h := newHistory()
	t := stow.Transaction{StatusCode: 202, Stored: 3, Bytes: 1 << 20, Failed: map[storeresponse.Reason]int{storeresponse.ReasonStudyMismatch: 1}}
	b.ReportAllocs()
	for b.Loop() {
		h.transaction(t)
	}
	if n := len(h.lastFailures()); n != 1 {
		b.Error(fmt.Errorf("%d kinds of failure, want 1", n))
	}
}
