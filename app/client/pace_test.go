package client

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// simulate gives a pace the answers of a service for so many seconds, and returns its limit at the end.
func simulate(p *pace, now *time.Time, seconds int, rate func(parallel int) int) int {
	for range seconds {
		for range 100 {
			*now = now.Add(10 * time.Millisecond)
			p.answered(*now, 0, int64(rate(p.limit)), settled)
		}
	}
	return p.limit
}

// The number of requests grows as long as this helps: if the service has a latency, up to --parallel; if it
// has a bandwidth, until this is used.
func TestPaceGrowsUntilItBringsNoMore(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		most, full, least, greatest int
	}{
		"never full":          {32, 1000, 32, 32},
		"full at nine":        {32, 9, 9, 13},
		"full with the first": {32, 1, 4, 4},
		"bound below":         {2, 1000, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, now := newPace(test.most), time.Now()
			got := simulate(p, &now, 19, func(parallel int) int { return 1 << 20 * min(parallel, test.full) })
			if got < test.least || got > test.greatest {
				t.Errorf("%d at the same time, want %d to %d", got, test.least, test.greatest)
			}
		})
	}
}

// Many requests that meet one outage halve the limit only once; it grows again after the outage.
func TestPaceShrinksWithAnOutage(t *testing.T) {
	t.Parallel()
	p, now := newPace(32), time.Now()
	simulate(p, &now, 15, func(parallel int) int { return 1 << 20 * parallel })
	for range 32 {
		p.answered(now.Add(20*time.Millisecond), 1, 0, unavailable)
	}
	wantEqual(t, "after an outage", 16, p.limit)
	wantEqual(t, "later", 32, simulate(p, &now, 60, func(parallel int) int { return 1 << 20 * parallel }))
}

// A service that accepts only a few concurrent requests still gets all instances.
func TestServiceThatTakesFewRequests(t *testing.T) {
	t.Parallel()
	var uids []string
	for n := range 60 {
		uids = append(uids, "1."+string(rune('1'+n/10))+string(rune('0'+n%10)))
	}
	var busy atomic.Int64
	s := newService(t, func(w http.ResponseWriter, u upload) {
		defer busy.Add(-1)
		if busy.Add(1) > 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		time.Sleep(2 * time.Millisecond)
		storedAll(w, u)
	})
	r := sendWith(t, s.URL, folderOf(t, uids...), func(o *Options) { o.Parallel, o.Batch, o.Attempts = 16, 1, 100 })
	wantCounts(t, r, 60, 0)
}
