// Package memory is the one ledger of the memory that the service may use: every byte that
// a request keeps is counted here, and when all are taken, requests wait.
//
// # The rule
//
// Bytes are taken as they arrive, in chunks of ChunkBytes, and given back as they
// leave. When no chunk is left, a [Line] that needs one waits, and the one that began
// first is served first. A sender of many small instances keeps its place until it has had as much as others have with one part, so that
// memory is shared by bytes, not by instances. The first one that waits may also use the reserve, which is large
// enough for everything that one instance can need at once. All others wait.
//
// Nobody waits long for a slow client: who has had the right to the reserve for [firstTime] passes it on, and goes to the end of the queue
// with what it holds. A quarter of the chunks beyond the reserve is added to it for this. The right goes only to a Line whose turn fits into what is
// left, whatever it needs (see [Line.Expect]): so a small instance need not wait until there is room for a whole part.
//
// With every [asideShare] chunks of a turn, one more is set aside for the Line, as long as there are
// any: with these it continues to read when it would have to wait. So all clients that hold memory are seen to deliver,
// or not, at the same time. Without this, only the first in the queue would read, and clients that
// occupy memory would be found out and cut one after the other.
//
// # Why this never stops
//
// A chunk is either leaving, held by an S3 request that always ends, or arriving, held
// by a [Line] that reads from its client. Leaving chunks always come back.
// So assume that all chunks except the reserve are arriving, and every Line waits. The
// first Line then takes from the reserve. What it needs until its turn ends (its
// head, until the instance is named, or a part) fits into the reserve, so it
// never waits for another Line; its client delivers, or is cut off. When its turn ends,
// all its chunks are leaving, and come back. If it passes the right on, then to one that needs no more than is left: this one
// ends its turn without it, gives everything back, and then there is as much as before, which was enough for the one that has passed it on. So
// there is always an order in which all can end their turns (this is the banker's algorithm, E. W. Dijkstra, EWD 108).
//
// Data that are kept for a whole request, such as metadata, are counted separately
// (see [RequestMemory]), because a request gives them back only at its end. Nobody waits for
// this memory.
package memory

import (
	"container/heap"
	"sync"
	"time"
)

// ChunkBytes is the unit of the ledger: the least memory that an instance holds. It is
// small, so that there is room for a thousand slow senders of small instances.
const ChunkBytes = 16 << 10

// asideShare: for every 12 chunks of a turn, one more is set aside. While others wait, a client must deliver a twelfth of
// what its request holds in each twelfth of a minute.
const asideShare = 12

const (
	// lentShare: one of 4 chunks beyond the reserve is for those that have passed on the right to it.
	lentShare = 4
	// firstTime is how long a Line may have this right while others wait: within a tenth of a second a client of 1 Gbit/s fills a part.
	firstTime = 100 * time.Millisecond
)

// Ledger hands out chunks, and never more than its size. It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	free    int       // chunks that anyone may take; below zero while the reserve is in use
	reserve int       // chunks below zero that the first in the queue may take
	whole   int       // chunks that a turn needs at most
	size    int       // chunks in all
	held    int       // chunks of turns that have not ended, and what Spare has counted: all others are free, or come back by themselves
	begun   uint64    // turns, for their order
	first   *Line     // may use the reserve until its turn ends, or it passes the right on; nil: nobody needs it
	chosen  time.Time // when it became the first
	least   bool      // it was chosen because it held least
	waiting lines     // heap, oldest turn on top
	moved   time.Time // when a waiting Line was last served, or, if later, when the first of them began to wait
	idle    [][]byte  // chunks that were used before: a chunk is allocated only when it is needed

	kept, keptLimit int64
	beside          int64     // the part of kept that the requests of KeepBeside hold
	busy            time.Time // when a request was last refused memory to keep
}

// New returns a ledger of bufferBytes, of which only the first in the queue may take
// reserveBytes, and of keptBytes for data that requests keep. The reserve is rounded up to
// chunks, the others are rounded down; bufferBytes must be more than reserveBytes.
func New(bufferBytes, reserveBytes, keptBytes int64) *Ledger {
	size, reserve := int(bufferBytes/ChunkBytes), int((reserveBytes+ChunkBytes-1)/ChunkBytes)
	lent := (size - reserve) / lentShare
	return &Ledger{free: size - reserve - lent, reserve: reserve + lent, whole: reserve, size: size, keptLimit: keptBytes}
}

// InUseBytes is the memory that is held at this moment.
func (l *Ledger) InUseBytes() int64 {
	u := l.Usage()
	return u.BufferedBytes + u.KeptBytes
}

// Usage is the memory that is held at one moment, and its limits.
type Usage struct {
	BufferedBytes, BufferBytes int64 // chunks, reserve included
	KeptBytes, KeptLimitBytes  int64 // what requests keep besides chunks
	Waiting                    int   // requests that wait for a chunk
}

// Usage returns the memory that is held at this moment.
func (l *Ledger) Usage() Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Usage{
		BufferedBytes: int64(l.size-l.reserve-l.free) * ChunkBytes, BufferBytes: int64(l.size) * ChunkBytes,
		KeptBytes: l.kept, KeptLimitBytes: l.keptLimit, Waiting: len(l.waiting),
	}
}

// shortAfterBusy is how long memory counts as short after a request was refused memory
// to keep: during this time other requests must deliver as much as they hold.
const shortAfterBusy = 15 * time.Second

// Short says that a request waits for memory, or was refused some a moment ago.
func (l *Ledger) Short() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) > 0 || !l.busy.IsZero() && time.Since(l.busy) < shortAfterBusy
}

// Stalled is how long requests have waited for chunks without any of them being served.
func (l *Ledger) Stalled() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return 0
	}
	return time.Since(l.moved)
}

// Spare counts n bytes that make work faster but are not necessary; it returns false if
// there are not plenty of chunks. Return the bytes with FreeSpare.
func (l *Ledger) Spare(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	chunks := int(n / ChunkBytes)
	if len(l.waiting) > 0 || l.free < (l.size-l.reserve)/2+chunks {
		return false
	}
	l.free -= chunks
	l.held += chunks
	return true
}

// FreeSpare gives back what Spare has counted.
func (l *Ledger) FreeSpare(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free += int(n / ChunkBytes)
	l.held -= int(n / ChunkBytes)
	l.grant()
}

// may says whether p may take a chunk.
func (l *Ledger) may(p *Line) bool {
	return l.free > 0 || l.first == p && l.free > -l.reserve
}

// take counts a chunk of p, and sets one aside when it is time, also for a first one that can still pass the reserve on: it must be seen to deliver
// when it waits again.
func (l *Ledger) take(p *Line) {
	l.free--
	p.spent++
	p.hold(p.held + 1)
	if p.taken++; p.taken%asideShare == 0 && (l.free > 0 || l.first == p && l.free > -l.reserve && l.size-l.held > l.whole) {
		l.free--
		p.aside++
		p.hold(p.held + 1)
	}
}

// grant serves waiting Lines, beginning with the first, as long as there is memory.
func (l *Ledger) grant() {
	for len(l.waiting) > 0 {
		if l.free <= 0 {
			l.passOn()
		}
		next := l.waiting[0]
		if l.first != nil && l.first.index >= 0 { // it holds the memory that the others wait for
			next = l.first
		}
		if !l.may(next) {
			return
		}
		heap.Remove(&l.waiting, next.index)
		l.take(next)
		l.moved = time.Now()
		next.since = l.moved
		next.granted <- struct{}{}
	}
}

// passOn gives the right to the reserve to another, if nobody has it, or if others have waited for the client of the one that has it for long enough.
func (l *Ledger) passOn() {
	if l.first != nil && (l.first.index >= 0 || time.Since(l.chosen) < firstTime) {
		return
	}
	next := l.choose()
	if next == nil {
		return
	}
	if l.first != nil {
		l.first.count()
		l.first.renew()
	}
	l.first, l.chosen, l.least = next, time.Now(), !l.least
	time.AfterFunc(firstTime, l.grantLater)
}

// choose returns the one that began first or the one that holds least, by turns, of those whose turn fits into what nobody else holds: of many that hold
// much and are slow, each in turn keeps those waiting that would be ready at once.
func (l *Ledger) choose() (next *Line) {
	for _, p := range l.waiting {
		if p.claim-p.held > l.size-l.held {
			continue
		}
		older := next == nil || p.turn < next.turn
		if least := !l.least; least && next != nil && p.taken != next.taken {
			older = p.taken < next.taken
		}
		if older {
			next = p
		}
	}
	return next
}

func (l *Ledger) grantLater() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grant()
}

// chunk returns memory that was counted before. The chunk that was used last comes first,
// because it is still in the processor's cache.
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
