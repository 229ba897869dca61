package client

import (
	"context"
	"sync"
	"time"
)

// Bounds of a pace.
const (
	firstParallel = 4           // requests to begin with
	paceWindow    = time.Second // at least, of one measurement
	worthwhile    = 1.05        // how much more a larger number must bring
	restWindows   = 20          // measurements between two attempts that bring nothing
	afterOutage   = 5           // measurements before it grows again
	instanceCost  = 64 << 10    // bytes that an instance counts besides its own, so that small ones count
)

// pace finds out how many requests at the same time are worth it: it lets more through
// until that brings no more, and half as many when the service says that it is not available.
// Safe for concurrent use.
type pace struct {
	most int // --parallel

	mu    sync.Mutex
	freed *sync.Cond
	limit int // of the moment, 1 to most
	busy  int

	since   time.Time // of the measurement
	work    float64   // bytes
	answers int
	rate    float64 // of the measurement before, in bytes per second
	before  int     // limit before it was raised for this measurement; 0: it was not
	rest    int     // measurements until it is raised again
	halved  time.Time
}

func newPace(most int) *pace {
	p := &pace{most: most, limit: min(firstParallel, most), since: time.Now()}
	p.freed = sync.NewCond(&p.mu)
	return p
}

// enter waits for its turn; false: ctx is done. Each true is followed by one leave.
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

// answered takes in what came of a request for so many instances with so many bytes.
func (p *pace) answered(now time.Time, instances int, bytes int64, is kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch is {
	case unavailable:
		if now.Sub(p.halved) >= paceWindow { // once for all requests that meet the same
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
