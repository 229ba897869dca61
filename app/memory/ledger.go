// Package memory is the one ledger of what the service may hold: every byte that
// a request keeps is counted here, and when all are taken, requests wait.
//
// # The rule
//
// Bytes are taken as they arrive, in chunks of ChunkBytes, and given back as they
// leave. When none are left, whoever wants one waits, and who began first is served
// first. The first in the line may also use the reserve, which is large enough for
// all that one instance can need at once. Everyone else waits.
//
// # Why this never stops
//
// A chunk is either leaving, in an S3 request that ends by itself, or arriving, in
// the hands of a [Line] that reads from its client. Leaving chunks always come back.
// So assume that all chunks but the reserve are arriving, and every Line waits. The
// first in the line then takes from the reserve. What it needs until its turn ends (its
// head, until the instance is named, or a part) fits into the reserve, so it
// never waits for another Line; its client delivers, or is cut. When its turn ends,
// all it held is leaving, and comes back: the reserve is whole again, for the next.
//
// What is kept for a whole request, such as metadata, is counted apart (see [Kept]),
// because a request that keeps something has no end of turn that gives it back. It
// is never waited for.
package memory

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// ChunkBytes is the grain of the ledger: the least that an instance holds. It is
// small, so that a thousand slow senders of small instances fit.
const ChunkBytes = 16 << 10

// Ledger hands out chunks, and never more than its size. It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	free    int      // chunks that anyone may take; below zero while the reserve is in use
	reserve int      // chunks below zero that the first in the line may take
	size    int      // chunks in all
	begun   uint64   // turns, for their order
	first   *Line    // may use the reserve until its turn ends; nil: nobody needs it
	waiting lines    // heap, oldest turn on top
	idle    [][]byte // chunks that were used before: what is never needed is never made

	kept, keptLimit int64
	busy            time.Time // when somebody was last refused what it wanted to keep
}

// New returns a ledger of bufferBytes, reserveBytes of which only the first in the
// line may take, and of keptBytes for what requests keep. The reserve is rounded up to
// chunks, all others are rounded down; bufferBytes must be more than reserveBytes.
func New(bufferBytes, reserveBytes, keptBytes int64) *Ledger {
	size, reserve := int(bufferBytes/ChunkBytes), int((reserveBytes+ChunkBytes-1)/ChunkBytes)
	return &Ledger{free: size - reserve, reserve: reserve, size: size, keptLimit: keptBytes}
}

// InUseBytes is what is held at this moment.
func (l *Ledger) InUseBytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(l.size-l.reserve-l.free)*ChunkBytes + l.kept
}

// shortAfterBusy: so long after a request did not get what it wanted to keep, others
// that keep something have to pay for it.
const shortAfterBusy = 15 * time.Second

// Short says that somebody waits for memory, or was just refused some.
func (l *Ledger) Short() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) > 0 || !l.busy.IsZero() && time.Since(l.busy) < shortAfterBusy
}

// Line is the place of one request in the line for memory. One goroutine uses it.
type Line struct {
	ledger  *Ledger
	turn    uint64
	granted chan struct{} // a token: the chunk that was waited for is taken
	index   int           // in waiting, -1: not there
}

// Line returns a place at the end of the line. Leave it with End; whoever is in no turn takes no chunk.
func (l *Ledger) Line() *Line {
	p := &Line{ledger: l, granted: make(chan struct{}, 1), index: -1}
	p.Next(false)
	return p
}

// Next ends a turn, and with it the right to the reserve: everything that was taken
// in it is leaving or has been freed. The next turn is at the end of the line. Whoever
// keeps something of the turn also keeps the right, if it has it: it may have been
// taken from the reserve.
func (p *Line) Next(keeps bool) {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if keeps && l.first == p {
		return
	}
	l.begun++
	p.turn = l.begun
	p.step()
}

// End ends a turn without another one; Next begins one again.
func (p *Line) End() {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	p.step()
}

// step lets the next in the line have the reserve, if p had it.
func (p *Line) step() {
	if l := p.ledger; l.first == p {
		l.first = nil
		l.grant()
	}
}

// Chunk takes ChunkBytes of memory, whose contents are arbitrary; it waits for them
// until ctx ends. Free gives them back.
func (p *Line) Chunk(ctx context.Context) ([]byte, error) {
	if c, ok := p.TryChunk(); ok {
		return c, nil
	}
	l := p.ledger
	l.mu.Lock()
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

// TryChunk is Chunk that does not wait: false where it would have to.
func (p *Line) TryChunk() ([]byte, bool) {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) > 0 && l.first != p || !l.may(p) {
		return nil, false
	}
	l.free--
	return l.chunk(), true
}

// Spare counts n bytes that make work faster and can be done without; false where
// chunks are not plentiful. Return them with FreeSpare.
func (l *Ledger) Spare(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	chunks := int(n / ChunkBytes)
	if len(l.waiting) > 0 || l.free < (l.size-l.reserve)/2+chunks {
		return false
	}
	l.free -= chunks
	return true
}

// FreeSpare gives back what Spare has counted.
func (l *Ledger) FreeSpare(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free += int(n / ChunkBytes)
	l.grant()
}

// may says whether p may take a chunk.
func (l *Ledger) may(p *Line) bool {
	return l.free > 0 || l.first == p && l.free > -l.reserve
}

// grant serves those who wait, from the first on, as far as memory goes.
func (l *Ledger) grant() {
	for len(l.waiting) > 0 {
		if l.first == nil && l.free <= 0 {
			l.first = l.waiting[0]
		}
		next := l.waiting[0]
		if l.first != nil && l.first.index >= 0 { // it holds what the others wait for
			next = l.first
		}
		if !l.may(next) {
			return
		}
		heap.Remove(&l.waiting, next.index)
		l.free--
		next.granted <- struct{}{}
	}
}

// chunk is memory that was counted before. What was used last comes first: it is
// still in the processor's cache.
func (l *Ledger) chunk() []byte {
	last := len(l.idle) - 1
	if last < 0 {
		return make([]byte, ChunkBytes)
	}
	c := l.idle[last]
	l.idle = l.idle[:last]
	return c
}

// Free gives chunks back, which must not be used any more.
func (l *Ledger) Free(chunks ...[]byte) {
	if len(chunks) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range chunks {
		l.idle = append(l.idle, c[:ChunkBytes])
	}
	l.free += len(chunks)
	l.grant()
}

// lines is a heap of those who wait, the oldest turn on top.
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
