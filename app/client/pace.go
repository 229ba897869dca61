package client

import (
	"context"
	"sync"
	"time"
)

// Constants of a pace.
const (
	firstParallel = 4           // concurrent requests at the beginning
	paceWindow    = time.Second // shortest duration of a measurement
	worthwhile    = 1.05        // by which factor a higher limit must increase the throughput
	restWindows   = 20          // measurements until the next increase, after one that was not worthwhile
	afterOutage   = 5           // measurements until the next increase, after an outage
	instanceCost  = 64 << 10    // bytes that each instance adds to the measured work, so that small instances count
)

// pace limits the number of concurrent requests. It increases the limit as long as this increases the
// throughput, and halves it when the service is not available. Safe for concurrent use.
type pace struct {
	most int // --parallel

	mu    sync.Mutex
	freed *sync.Cond
	limit int // at present, 1 to most
	busy  int

	since   time.Time // beginning of the measurement
	work    float64   // bytes, with instanceCost
	answers int
	rate    float64 // of the previous measurement, in bytes per second
	before  int     // limit before it was raised for this measurement; 0: it was not raised
	rest    int     // measurements until it may be raised again
	halved  time.Time
}

func newPace(most int) *pace {
	p := &pace{most: most, limit: min(firstParallel, most), since: time.Now()}
	p.freed = sync.NewCond(&p.mu)
	return p
}

// enter waits until another request may begin; false: ctx is done. After true, call leave once.
func (p *pace) enter(ctx context.Context) bool {
	defer context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.freed.Broadcast()
	})()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.busy >= p.limit && ctx.Err() == nil {
		p.freed.Wait()
	}
	if ctx.Err() != nil {
		return false
	}
	p.busy++
	return true
}

func (p *pace) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	p.freed.Broadcast()
}

// answered takes the outcome of a request that settled so many instances and sent so many bytes.
func (p *pace) answered(now time.Time, instances int, bytes int64, is kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch is {
	case unavailable:
		if now.Sub(p.halved) >= paceWindow { // once for all requests that meet the same outage
			p.limit, p.before, p.rest, p.halved = max(p.limit/2, 1), 0, afterOutage, now
		}
		p.measure(now, 0)
		return
	case settled, again:
	default:
		return
	}
	p.work += float64(bytes) + float64(instances)*instanceCost
	p.answers++
	if elapsed := now.Sub(p.since); elapsed >= paceWindow && p.answers >= 2*p.limit {
		p.adjust(p.work / elapsed.Seconds())
		p.measure(now, p.work/elapsed.Seconds())
	}
}

func (p *pace) adjust(rate float64) {
	switch {
	case p.before > 0 && rate < p.rate*worthwhile:
		p.limit, p.before, p.rest = p.before, 0, restWindows
	case p.rest > 0:
		p.before = 0
		p.rest--
	case p.limit < p.most:
		p.before = p.limit
		p.limit = min(p.limit+max(p.limit/2, 1), p.most)
		p.freed.Broadcast()
	default:
		p.before = 0
	}
}

func (p *pace) measure(now time.Time, rate float64) {
	p.since, p.work, p.answers, p.rate = now, 0, 0, rate
}
