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
	// discardTimeout is left to a client whose body is no longer wanted, to see the answer.
	discardTimeout = time.Second
)

// wire is the request body as it comes from the connection. Its reads end when
// the client stalls, or when the service is cut.
type wire struct {
	source      io.Reader
	ctx         context.Context       //nolint:containedctx // when it ends, so does the body
	setDeadline func(time.Time) error // of the connection's reads
	stall       time.Duration

	waited time.Duration // for the client, in all
}

// interrupt ends a Read that waits for the client; ctx has ended before.
func (w *wire) interrupt() { _ = w.setDeadline(time.Now()) } // a connection that is gone needs none

// abandon ends the reading of a body that is not read to its end. Before it sends
// an answer, net/http reads what is left of a short body, for as long as that
// takes: a client that stalls would never see the answer, and never be rid of.
func (w *wire) abandon() { _ = w.setDeadline(time.Now().Add(discardTimeout)) } // a connection that is gone needs none

// Read implements io.Reader.
func (w *wire) Read(p []byte) (int, error) {
	start := time.Now()
	if err := w.setDeadline(start.Add(w.stall)); err != nil {
		return 0, fmt.Errorf("set read deadline: %w", err)
	}
	if w.ctx.Err() != nil { // asked after the deadline is set: interrupt may just have set its own
		return 0, errStopping
	}
	n, err := w.source.Read(p)
	w.waited += time.Since(start)
	if err == nil {
		return n, nil
	}
	if err == io.EOF { // the whole body is here
		// Behind it net/http goes on reading, to see whether the client leaves: without a deadline.
		_ = w.setDeadline(time.Time{}) // the connection may be gone
		return n, io.EOF
	}
	if w.ctx.Err() != nil {
		return n, errStopping
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return n, fmt.Errorf("%w: nothing for %s", errStalled, w.stall)
	}
	return n, err
}
