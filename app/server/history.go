package server

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

// historyMinutes is the period that the status page shows.
const historyMinutes = 60

// minute counts the requests that were answered in one minute.
type minute struct {
	number   int64 // since 1970
	Requests int
	Refused  int   // of these: refused as a whole, without a single instance
	Stored   int   // instances
	Failed   int   // instances
	Bytes    int64 // of request bodies
}

// failure is the key by which failures are counted: the Failure Reason of an
// instance, or the HTTP status of a request that was refused as a whole. Both come from
// the service's own tables, so there are about thirty at most, whatever clients send.
type failure struct {
	reason storeresponse.Reason
	status int
}

// Code is the reason as the standard writes it, or the status.
func (f failure) Code() string {
	if f.status != 0 {
		return "HTTP " + strconv.Itoa(f.status)
	}
	return f.reason.Hex()
}

// Words explain the code.
func (f failure) Words() string {
	if f.status != 0 {
		return http.StatusText(f.status) + ": the request was refused as a whole"
	}
	return f.reason.String()
}

// failed counts a failure since the start of the process.
type failed struct {
	failure
	Times int // instances, or requests
	Last  time.Time
}

// history counts the answers of the last hour, in a ring of minutes, and the failures by
// reason since the start. Its size is fixed, and it contains neither UIDs nor clients. It is safe for concurrent use.
type history struct {
	now func() time.Time

	mu       sync.Mutex
	minutes  [historyMinutes]minute
	failures map[failure]*failed
}

func newHistory() *history { return &history{now: time.Now, failures: map[failure]*failed{}} }

// transaction counts a request that was answered.
func (h *history) transaction(t stow.Transaction) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	m := h.at(now.Unix() / 60)
	m.Requests++
	m.Stored += t.Stored
	m.Bytes += t.Bytes
	for reason, n := range t.Failed {
		m.Failed += n
		h.fail(failure{reason: reason}, n, now)
	}
	if t.Stored == 0 && len(t.Failed) == 0 {
		m.Refused++
		h.fail(failure{status: t.StatusCode}, 1, now)
	}
}

// at returns the minute of that number, and clears the values of an hour before.
func (h *history) at(number int64) *minute {
	m := &h.minutes[number%historyMinutes]
	if m.number != number {
		*m = minute{number: number}
	}
	return m
}

func (h *history) fail(f failure, n int, now time.Time) {
	known := h.failures[f]
	if known == nil {
		known = &failed{failure: f}
		h.failures[f] = known
	}
	known.Times += n
	known.Last = now
}

// lastHour returns the current minute and the 59 before it, the oldest first.
func (h *history) lastHour() []minute {
	h.mu.Lock()
	defer h.mu.Unlock()
	current := h.now().Unix() / 60
	hour := make([]minute, historyMinutes)
	for i := range hour {
		hour[i] = *h.at(current - historyMinutes + 1 + int64(i))
	}
	return hour
}

// lastFailures returns all kinds of failure since the start, the latest first.
func (h *history) lastFailures() []failed {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]failed, 0, len(h.failures))
	for _, f := range h.failures {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b failed) int {
		if c := b.Last.Compare(a.Last); c != 0 {
			return c
		}
		return int(a.reason) + a.status - int(b.reason) - b.status
	})
	return all
}

// sum adds minutes up.
func sum(minutes []minute) minute {
	var all minute
	for _, m := range minutes {
		all.Requests += m.Requests
		all.Refused += m.Refused
		all.Stored += m.Stored
		all.Failed += m.Failed
		all.Bytes += m.Bytes
	}
	return all
}
