package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// longestPause is the longest pause between two attempts while the service is not available.
const longestPause = time.Minute

// errUnavailable ends a run if the service was not available for --max-wait.
var errUnavailable = errors.New("the service is not available")

// gate lets requests pass one at a time during an outage. While the service does not answer, or answers that it is
// not available, all requests wait: one at a time is sent, with growing pauses, and as soon as one is
// answered, all continue. The requests take turns, so that an instance that always causes a 503
// does not block the others. Safe for concurrent use.
type gate struct {
	maxWait time.Duration // for one outage
	note    func(text string)
	turn    chan struct{} // full while one request tries

	mu     sync.Mutex
	pauses *backoff.ExponentialBackOff
	open   chan struct{} // is closed when the outage ends; nil: there is no outage
	since  time.Time     // beginning of the outage
	until  time.Time     // no request tries before this time
	tries  int           // in this outage
	why    string
	good   int // answers that were not an outage
}

// newPauses gives pauses that double from the first on, ± 25 %, up to longestPause.
func newPauses(first time.Duration) *backoff.ExponentialBackOff {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier, pauses.RandomizationFactor, pauses.MaxInterval = first, 2, 0.25, max(longestPause, first)
	pauses.Reset()
	return pauses
}

func newGate(maxWait, firstPause time.Duration, note func(text string)) *gate {
	return &gate{maxWait: maxWait, note: note, turn: make(chan struct{}, 1), pauses: newPauses(firstPause)}
}

// pass waits until a request may be sent. After each pass without an error, call report once, with
// the value of trying. The error is the cause of ctx.
func (g *gate) pass(ctx context.Context) (trying bool, err error) {
	for {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		g.mu.Lock()
		open := g.open
		g.mu.Unlock()
		if open == nil {
			return false, nil
		}
		select {
		case g.turn <- struct{}{}:
		case <-open:
			continue
		case <-ctx.Done():
			continue
		}
		if g.sleep(ctx, open) {
			return true, nil
		}
		<-g.turn
	}
}

// sleep waits for the end of the pause; false: the outage ended before, or ctx is done.
func (g *gate) sleep(ctx context.Context, open <-chan struct{}) bool {
	for {
		g.mu.Lock()
		pause := time.Until(g.until)
		g.mu.Unlock()
		if pause <= 0 {
			return ctx.Err() == nil
		}
		select {
		case <-time.After(pause):
		case <-open:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// report takes the outcome of a request. The error wraps errUnavailable if the outage has
// lasted for maxWait.
func (g *gate) report(trying bool, v verdict) error {
	g.mu.Lock()
	if trying {
		<-g.turn
	}
	var note string
	var err error
	switch v.kind {
	case unsent:
	case unavailable:
		note, err = g.failed(trying, v)
	default:
		note = g.answered()
	}
	g.mu.Unlock()
	if note != "" {
		g.note(note) // without the lock, because the progress line calls pause
	}
	return err
}

func (g *gate) failed(trying bool, v verdict) (note string, err error) {
	now := time.Now()
	switch {
	case g.open == nil:
		g.open, g.since, g.tries = make(chan struct{}), now, 0
	case !trying: // the request was sent before the outage began
		return "", nil
	}
	g.tries++
	g.why = v.why
	end := g.since.Add(g.maxWait)
	if !now.Before(end) {
		return "", fmt.Errorf("%w: %s", errUnavailable, v.why)
	}
	g.until = now.Add(max(g.pauses.NextBackOff(), v.retryAfter))
	if g.until.After(end) {
		g.until = end // one last attempt
	}
	if g.tries == 2 { // the first pause is too short for a message
		note = describeOutage(v.why, end.Sub(now))
	}
	return note, nil
}

func (g *gate) answered() (note string) {
	g.good++
	if g.open == nil {
		return ""
	}
	if g.tries >= 2 {
		note = describeOutageEnd(time.Since(g.since))
	}
	close(g.open)
	g.open = nil
	g.pauses.Reset()
	return note
}

// goodAnswers counts the answers that were not an outage.
func (g *gate) goodAnswers() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.good
}

// pause returns why all requests wait, and the time until the next attempt; if why is empty, they do not wait.
func (g *gate) pause() (why string, left time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		return "", 0
	}
	return g.why, max(time.Until(g.until), 0)
}
