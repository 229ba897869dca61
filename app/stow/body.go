package stow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// stallTimeout cuts a client that sends nothing at all for so long.
	stallTimeout = time.Minute
	// rateWindow is the time over which MINRATE is measured.
	rateWindow = time.Minute
)

// Errors of a request body.
var (
	errStalled         = errors.New("the client sends too slowly")
	errStopping        = errors.New("the service stops")
	errRequestTooLarge = errors.New("the request is larger than MAXREQUESTSIZE")
)

// body is the request body with its limits. Only time in which the service waits
// for the client counts: not the time it waits for memory or for S3.
type body struct {
	source      io.Reader
	ctx         context.Context       //nolint:containedctx // when it ends, so does the body
	setDeadline func(time.Time) error // of the connection's reads
	minRate     int64                 // bytes per second, 0: none
	limit       int64                 // bytes, 0: none
	stall       time.Duration
	window      time.Duration

	read   int64 // bytes in all
	holds  bool  // the request holds a buffer
	waited time.Duration
	got    int64 // bytes while waited ran
}

// hold says whether the request holds a buffer from now on: only then MINRATE applies.
func (b *body) hold(holds bool) { b.holds, b.waited, b.got = holds, 0, 0 }

// interrupt ends a Read that waits for the client; b.ctx has ended before.
func (b *body) interrupt() { _ = b.setDeadline(time.Now()) } // a connection that is gone needs none

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.limit > 0 {
		if b.read > b.limit {
			return 0, errRequestTooLarge
		}
		p = p[:min(int64(len(p)), b.limit-b.read+1)]
	}
	start := time.Now()
	if err := b.setDeadline(start.Add(b.stall)); err != nil {
		return 0, fmt.Errorf("set read deadline: %w", err)
	}
	if b.ctx.Err() != nil { // asked after the deadline is set: interrupt may just have set its own
		return 0, errStopping
	}
	n, err := b.source.Read(p)
	b.read += int64(n)
	if err != nil {
		// Behind the body net/http goes on reading, to see whether the client leaves: without a deadline.
		_ = b.setDeadline(time.Time{}) // the connection may be gone
		if b.ctx.Err() != nil {
			return n, errStopping
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return n, fmt.Errorf("%w: nothing for %s", errStalled, b.stall)
		}
		return n, err
	}
	if b.limit > 0 && b.read > b.limit { // by the one byte too many
		return n - 1, errRequestTooLarge
	}
	return n, b.checkRate(n, time.Since(start))
}

func (b *body) checkRate(n int, waited time.Duration) error {
	if !b.holds {
		return nil
	}
	b.got += int64(n)
	if b.waited += waited; b.waited < b.window {
		return nil
	}
	if rate := float64(b.got) / b.waited.Seconds(); rate < float64(b.minRate) {
		return fmt.Errorf("%w: %.0f bytes a second over %s", errStalled, rate, b.waited.Round(time.Second))
	}
	b.waited, b.got = 0, 0
	return nil
}
