package memory

import (
	"container/heap"
	"context"
	"time"
)

// turnChunks and turnTime are how much a Line may take, and how long it may make others wait, before it goes to the end of the queue. A turn with less
// continues: otherwise, while memory is short, a sender of small instances would get as many of them as others get parts of 8 MiB.
const (
	turnChunks = 8 << 20 / ChunkBytes
	turnTime   = time.Second
)

// Line is the place of one request in the queue for memory. One goroutine uses it.
type Line struct {
	ledger  *Ledger
	turn    uint64
	spent   int           // chunks since it was at the end of the queue
	active  time.Duration // time since then, without that of waiting in the queue
	since   time.Time     // up to when time is in active
	taken   int           // chunks of this turn
	held    int           // these, those that were set aside, and those that were kept from the turns before
	claim   int           // held is never more than this
	aside   int           // chunks that only this turn may take
	granted chan struct{} // a token: the chunk that was waited for is taken
	index   int           // in waiting, -1: not there
}

// Line returns a place at the end of the queue. Call End to leave the queue. No chunk may be taken between turns.
func (l *Ledger) Line() *Line {
	p := &Line{ledger: l, granted: make(chan struct{}, 1), index: -1, claim: l.whole}
	p.Next(0)
	return p
}

// Expect says that the following turns take the chunks for so many bytes at most, all together; -1: this is unknown. A small turn need not wait until there is room for a large one.
// The caller must end a turn that turns out to be larger.
func (p *Line) Expect(bytes int64) {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	const more = 2 // one that is not full, and one for the end
	p.claim = l.whole
	if bytes >= 0 {
		p.claim = int(min(int64(l.whole), bytes/ChunkBytes+more))
	}
}

// Next ends a turn, and with it the right to the reserve: everything that was taken
// in the turn is leaving or has been freed, except for so many chunks. The next turn is at the end of the queue, unless the line has had less than its share. A
// caller that keeps chunks also keeps the right, if it has it, because the
// chunks may be from the reserve.
func (p *Line) Next(kept int) {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if kept > 0 && l.first == p {
		p.hold(kept + p.aside)
		return
	}
	p.count()
	if p.turn == 0 || p.spent >= turnChunks || p.active >= turnTime {
		p.renew()
	}
	p.step(kept)
}

// hold counts the chunks that p holds now.
func (p *Line) hold(n int) {
	p.ledger.held += n - p.held
	p.held = n
}

// renew goes to the end of the queue.
func (p *Line) renew() {
	p.ledger.begun++
	p.turn, p.spent, p.active = p.ledger.begun, 0, 0
}

// count adds the time until now.
func (p *Line) count() {
	now := time.Now()
	if !p.since.IsZero() {
		p.active += now.Sub(p.since)
	}
	p.since = now
}

// End ends a turn without another one; Next begins one again.
func (p *Line) End() {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	p.step(0)
}

// step gives back what was set aside, and the right to the reserve, if p had it.
func (p *Line) step(kept int) {
	l := p.ledger
	p.hold(kept)
	l.free += p.aside
	p.taken, p.aside = 0, 0
	if l.first == p {
		l.first = nil
	}
	l.grant()
}

// Chunk takes ChunkBytes of memory, whose contents are arbitrary; it waits for them
// until ctx ends. Free gives them back.
func (p *Line) Chunk(ctx context.Context) ([]byte, error) {
	if c, ok := p.TryChunk(); ok {
		return c, nil
	}
	l := p.ledger
	l.mu.Lock()
	if p.aside > 0 {
		defer l.mu.Unlock()
		p.aside--
		return l.chunk(), nil
	}
	if len(l.waiting) == 0 {
		l.moved = time.Now()
	}
	p.count()
	heap.Push(&l.waiting, p)
	l.grant()
	l.mu.Unlock()
	select {
	case <-p.granted:
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		if p.index >= 0 {
			heap.Remove(&l.waiting, p.index)
			return nil, context.Cause(ctx)
		}
		<-p.granted // just now
		l.free++
		l.grant()
		return nil, context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.chunk(), nil
}

// TryChunk is Chunk without waiting: it returns false if Chunk would wait.
func (p *Line) TryChunk() ([]byte, bool) {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) > 0 && l.first != p || !l.may(p) {
		return nil, false
	}
	l.take(p)
	return l.chunk(), true
}

// lines is a heap of waiting Lines, with the oldest turn on top.
type lines []*Line

func (h lines) Len() int           { return len(h) }
func (h lines) Less(i, j int) bool { return h[i].turn < h[j].turn }
func (h lines) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *lines) Push(x any) {
	p, _ := x.(*Line) // nothing else is pushed
	p.index = len(*h)
	*h = append(*h, p)
}

// Pop implements heap.Interface.
func (h *lines) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	p.index = -1
	*h = (*h)[:last]
	return p
}
