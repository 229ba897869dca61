package server

import (
	"bytes"
	_ "embed" // status.css
	"errors"
	"net/http"
	"net/url"
	runtimemetrics "runtime/metrics"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/storeresponse"
)

//go:embed status.css
var statusStyle []byte

// refreshSeconds is how often the status page reloads, unless its reader has stopped it.
const refreshSeconds = 10

// statusPage is the page for people at / of ADMINADDRESS. It is created for each request; a
// Store request only costs what history counts. Text of another party, such as S3's
// errors, is truncated to 300 printable characters, and escaped where statusView is rendered.
type statusPage struct {
	version string
	started time.Time
	config  config.Config
	health  *health
	history *history
	load    func() load
}

// load is the use of resources at one moment.
type load struct {
	requests  int // being served
	slots     s3store.Slots
	memory    memory.Usage
	heapBytes int64 // all memory of the process that the Go runtime holds
}

// heapBytes is the value that debug.SetMemoryLimit limits. Reading it does not stop the program.
func heapBytes() int64 {
	samples := []runtimemetrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	runtimemetrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64()) //nolint:gosec // the memory of a process
}

// statusView is the content of the page.
type statusView struct {
	Word, Version string
	Now, Started  time.Time
	Uptime        time.Duration
	Refresh       int // seconds; 0: the page does not reload
	Troubles      []troubleView
	Bounds        []boundView
	Waiting       []waitingView
	Rates         []rateView
	Bars          []barView
	Most          int // instances in the fullest minute of Bars
	Failures      []failed
}

// troubleView keeps our own words apart from those of another party, which are in Said.
type troubleView struct{ What, Fault, Remedy, Said string }

// boundView is a resource of which the service uses at most Of.
type boundView struct {
	Name       string
	Used, Of   int64
	Bytes      bool
	By, Remark string
}

type waitingView struct {
	Name string
	N    int
}

// rateView is what the service has answered in some minutes.
type rateView struct {
	Span string
	minute
	seconds int64
}

// StoredPerMinute is rounded to a whole number.
func (r rateView) StoredPerMinute() int { return int(int64(r.Stored) * 60 / r.seconds) }

// BytesPerSecond is rounded to a whole number.
func (r rateView) BytesPerSecond() int64 { return r.Bytes / r.seconds }

// barView is a minute in the chart, which is barUnits high: failed instances on top of stored ones.
type barView struct{ X, StoredY, Stored, FailedY, Failed int }

const barUnits = 100

// ServeHTTP implements http.Handler.
func (s *statusPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refresh := refreshSeconds
	if r.URL.Query().Get("refresh") == "off" {
		refresh = 0
	}
	var page bytes.Buffer
	_ = s.view(refresh).Render(&page) // a write to a buffer never fails
	secure(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(page.Len()))
	_, _ = w.Write(page.Bytes()) // no error matters: the reader is gone
}

// serveStyle serves the style sheet, which the Content-Security-Policy does not allow in the page.
func serveStyle(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	http.ServeContent(w, r, "status.css", time.Time{}, bytes.NewReader(statusStyle))
}

// secure makes a browser load only the style sheet, run no scripts, and cache nothing.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

func (s *statusPage) view(refresh int) statusView {
	now := s.history.now()
	uptime := now.Sub(s.started).Truncate(time.Second)
	v := statusView{
		Word: "ready", Version: s.version, Now: now, Started: s.started, Uptime: uptime, Refresh: refresh,
		Failures: s.history.lastFailures(),
	}
	for i, t := range s.health.troubles() {
		switch {
		case i > 0:
		case t.notReady:
			v.Word = "not ready"
		default:
			v.Word = "degraded"
		}
		v.Troubles = append(v.Troubles, tell(t))
	}
	current := s.load()
	v.Bounds = s.bounds(current)
	v.Waiting = []waitingView{{"requests wait for memory", current.memory.Waiting}, {"S3 requests wait for a slot", current.slots.Waiting}}
	hour := s.history.lastHour()
	for _, span := range []struct {
		name    string
		minutes int
	}{{"5 minutes", 5}, {"1 hour", historyMinutes}} {
		elapsed := min(time.Duration(span.minutes-1)*time.Minute+time.Duration(now.Unix()%60)*time.Second, uptime)
		v.Rates = append(v.Rates, rateView{span.name, sum(hour[historyMinutes-span.minutes:]), max(1, int64(elapsed/time.Second))})
	}
	v.Bars, v.Most = bars(hour)
	return v
}

func tell(t trouble) troubleView {
	v := troubleView{What: t.what, Remedy: t.remedy}
	cause := t.cause
	if cause == nil {
		return v
	}
	var explained *s3store.Explained
	if errors.As(cause, &explained) {
		v.Fault, v.Remedy, cause = explained.Fault, explained.Remedy, explained.Cause
	}
	var request *url.Error // it contains the object's address, and so UIDs
	if errors.As(cause, &request) {
		cause = request.Err
	}
	v.Said = storeresponse.Printable(cause.Error())
	return v
}

func (s *statusPage) bounds(l load) []boundView {
	slots := boundView{Name: "S3 requests that store", Used: int64(l.slots.Used), Of: int64(l.slots.Limit), By: "THREADCOUNT"}
	if l.slots.Limit < l.slots.Most {
		slots.Remark = "fewer than " + strconv.Itoa(l.slots.Most) + " for a while, since S3 asks to slow down"
	}
	return []boundView{
		{Name: "requests in flight", Used: int64(l.requests), Of: int64(s.config.MaxRequests), By: "MAXREQUESTS", Remark: "more get 503 and Retry-After"},
		slots,
		{
			Name: "buffers of instances", Used: l.memory.BufferedBytes, Of: l.memory.BufferBytes, Bytes: true,
			By: "MEMORYBUDGET", Remark: "less METADATALIMIT and what MAXREQUESTS takes; when all are in use, clients wait",
		},
		{Name: "metadata and outcomes", Used: l.memory.KeptBytes, Of: l.memory.KeptLimitBytes, Bytes: true, By: "METADATALIMIT", Remark: "a request gets 503 when others leave it too little, and 413 when all of it would not do"},
		{
			Name: "memory of the process", Used: l.heapBytes, Of: int64(s.config.MemoryBudget) + processOverhead, Bytes: true,
			By: "MEMORYBUDGET", Remark: "and " + humanize.IBytes(processOverhead) + ", to which the garbage collector holds the process",
		},
	}
}

// bars scales an hour to its fullest minute, which had most instances.
func bars(hour []minute) (all []barView, most int) {
	for _, m := range hour {
		most = max(most, m.Stored+m.Failed)
	}
	units := func(n int) int { // values that are not zero must be visible
		if n == 0 {
			return 0
		}
		return max(2, n*barUnits/most)
	}
	for i, m := range hour {
		stored, failed := units(m.Stored), units(m.Failed)
		stored = min(stored, barUnits-failed)
		all = append(all, barView{X: 10 * i, StoredY: barUnits - stored, Stored: stored, FailedY: barUnits - stored - failed, Failed: failed})
	}
	return all, most
}
