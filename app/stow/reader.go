package stow

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// reader is a client that reads its answer. It must read at minRate on average, and each
// block within stall; otherwise it could hold its request as long as it likes. While any request waits for memory, or was refused some,
// it must also read as much per minute as its request holds: a third of it in every third of a window.
type reader struct {
	http.ResponseWriter
	minRate int64
	stall   time.Duration
	window  time.Duration
	holds   int64       // memory that the request holds
	short   func() bool // somebody waits for memory

	mu     sync.Mutex // a timer judges a Write that waits
	ticker *time.Timer
	begun  time.Time
	read   int64
	before int64 // read, when it was judged last
	ended  bool  // too slow, or all was read
}

// readShares is the number of parts of a window by which a reader is judged: few, because a system tells only now and then, a megabyte at
// a time, that data were read.
const readShares = 3

// Write implements io.Writer.
func (r *reader) Write(p []byte) (int, error) {
	if err := r.expect(int64(len(p))); err != nil {
		return 0, err
	}
	n, err := r.ResponseWriter.Write(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read += int64(n)
	return n, err //nolint:wrapcheck // net/http's own
}

// expect sets the time until which the client must read n more bytes.
func (r *reader) expect(n int64) error {
	const leastRate = 1 << 10 // if MINRATE is less
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.begun.IsZero() {
		r.begun = now
		r.ticker = time.AfterFunc(r.window/readShares, r.tick)
	}
	if r.ended {
		return errStalled
	}
	deadline := r.begun.Add(r.stall + time.Duration((r.read+n)/max(r.minRate, leastRate))*time.Second)
	if soon := now.Add(r.stall); soon.Before(deadline) {
		deadline = soon
	}
	return r.setDeadline(deadline)
}

func (r *reader) setDeadline(at time.Time) error {
	if err := http.NewResponseController(r.ResponseWriter).SetWriteDeadline(at); err != nil {
		return fmt.Errorf("set write deadline: %w", err)
	}
	return nil
}

// tick judges the client, and ends the Write if the client reads too slowly.
func (r *reader) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	if (r.read-r.before)*readShares < r.holds && r.short() {
		r.ended = true
		_ = r.setDeadline(time.Now()) // a connection that is gone needs none
		return
	}
	r.before = r.read
	r.ticker.Reset(r.window / readShares)
}

// end ends the judgement.
func (r *reader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.ticker != nil {
		r.ticker.Stop()
	}
}
