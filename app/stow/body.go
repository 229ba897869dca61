package stow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"stowrs-to-s3/app/related"
)

const (
	// stallTimeout is how long a client may send nothing at all before its request ends.
	stallTimeout = time.Minute
	// rateWindow is the time over which the progress of a client is measured.
	rateWindow = time.Minute
)

// Errors of a request body.
var (
	errStalled         = errors.New("the client sends too slowly")
	errStopping        = errors.New("the service stops")
	errRequestTooLarge = errors.New("the request is larger than MAXREQUESTSIZE")
	errBroken          = errors.New("the body cannot be read")
	errUnchecked       = errors.New("the body was not read to its end, so that its digest could not be checked, and nothing of it counts as stored: send all of it again")
	errDamaged         = errors.New("the body is not what its header says, and nothing of it counts as stored: send all of it again")
)

// limitedBody is the request body with its limits. There is one rule of progress: while the
// service waits for the client, the client must deliver at least minRate over every window,
// from the first byte to the last. While any request waits for memory, the client must also
// deliver as much per minute as its request holds: a twelfth of it in every twelfth of a
// window. Time in which the service waits for memory or for S3 does not count.
type limitedBody struct {
	source      io.Reader
	stop        context.Context       //nolint:containedctx // ends the body when the service is cut off
	setDeadline func(time.Time) error // of the connection's reads
	holds       func() int64          // memory that the request holds for what has arrived
	short       func() bool           // somebody waits for memory

	minRate int64 // bytes per second, 0: none
	limit   int64 // bytes, 0: none
	digests related.Digests
	ended   error // of a Read
	stall   time.Duration
	window  time.Duration

	read int64 // bytes in all

	mu      sync.Mutex // a timer judges a Read that waits
	ticker  *time.Timer
	counted time.Time // up to when time is in the windows
	held    int64
	recent  progress         // of the current share of a window
	past    [shares]progress // of those before it, in turn
	count   int              // of those
	verdict error
}

// progress is what a client has delivered while the service waited for it.
type progress struct {
	waited    time.Duration
	got, held int64 // held: when it began
}

// interrupt ends a Read that waits for the client; stop has ended before.
func (b *limitedBody) interrupt() { _ = b.setDeadline(time.Now()) } // a connection that is gone needs none

// Read implements io.Reader. An error is final: net/http reports only once that a body was cut, and afterwards that it has ended.
func (b *limitedBody) Read(p []byte) (n int, err error) {
	if b.ended == nil {
		n, b.ended = b.next(p)
	}
	return n, b.ended
}

// doubt says why nothing of the body counts as stored: its digest was declared, but does not match or could not be checked.
func (b *limitedBody) doubt() error {
	switch {
	case len(b.digests) == 0, b.ended == io.EOF: //nolint:errorlint // io.EOF itself ends a body
		return nil
	case errors.Is(b.ended, errDamaged):
		return b.ended
	}
	return errUnchecked
}

func (b *limitedBody) next(p []byte) (int, error) {
	if b.limit > 0 {
		p = p[:min(int64(len(p)), b.limit-b.read+1)]
	}
	if err := b.setDeadline(time.Now().Add(b.stall)); err != nil {
		return 0, fmt.Errorf("%w: set deadline: %w", errBroken, err)
	}
	if b.stop.Err() != nil { // asked after the deadline is set: interrupt may just have set its own
		return 0, errStopping
	}
	b.startWaiting()
	n, err := b.source.Read(p)
	verdict := b.stopWaiting(int64(n))
	b.read += int64(n)
	b.digests.Add(p[:n])
	switch {
	case b.limit > 0 && b.read > b.limit: // by the one byte too many
		b.read--
		return n - 1, errRequestTooLarge
	case err == io.EOF: // io.EOF itself ends a body
		// After the body, net/http continues to read, to see whether the client leaves: this needs no deadline.
		_ = b.setDeadline(time.Time{}) // the connection may be gone
		if err := b.digests.Check(); err != nil {
			return n, fmt.Errorf("%w: %w", errDamaged, err)
		}
		return n, io.EOF
	case verdict != nil && b.stop.Err() == nil:
		return n, verdict
	case err != nil:
		return n, b.explain(err)
	}
	return n, nil
}

// startWaiting begins to count the time, and starts the timer that judges a client that delivers nothing.
func (b *limitedBody) startWaiting() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counted, b.held = time.Now(), b.holds()
	if b.ticker == nil {
		b.ticker = time.AfterFunc(b.left(), b.tick)
		return
	}
	b.ticker.Reset(b.left())
}

// left is how much longer the service must wait for the client until the current share of a window is complete.
func (b *limitedBody) left() time.Duration { return b.window/shares - b.recent.waited }

// tick judges the client for which the service waits, and ends the Read if the client is too slow.
func (b *limitedBody) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counted.IsZero() {
		return
	}
	if b.judge(0); b.verdict != nil {
		b.interrupt()
		return
	}
	b.ticker.Reset(b.left())
}

// stopWaiting counts the n bytes that have come, and the time until then.
func (b *limitedBody) stopWaiting(n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ticker.Stop()
	b.judge(n)
	b.counted = time.Time{}
	return b.verdict
}

// shares is the number of parts of a window by which a client is judged.
const shares = 12

func (b *limitedBody) judge(n int64) {
	now := time.Now()
	waited := now.Sub(b.counted)
	b.counted = now
	b.recent.waited += waited
	b.recent.got += n
	if b.recent.waited < b.window/shares {
		return
	}
	if held := min(b.recent.held, b.held); b.recent.got*shares < held && b.short() {
		b.verdict = fmt.Errorf("%w: %d bytes in %s, while its request holds %d for which others wait", errStalled, b.recent.got, b.recent.waited.Round(time.Second), held)
	}
	b.past[b.count%shares] = b.recent
	b.count++
	b.recent = progress{held: b.held}
	if b.count < shares {
		return
	}
	var all progress
	for _, p := range b.past {
		all.waited += p.waited
		all.got += p.got
	}
	if rate := float64(all.got) / all.waited.Seconds(); rate < float64(b.minRate) {
		b.verdict = fmt.Errorf("%w: %.0f bytes a second over %s, MINRATE is %d", errStalled, rate, all.waited.Round(time.Second), b.minRate)
	}
}

func (b *limitedBody) explain(err error) error {
	var timeout net.Error
	switch {
	case b.stop.Err() != nil:
		return errStopping
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: nothing for %s", errStalled, b.stall)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return related.ErrTruncated
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}
