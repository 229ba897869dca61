package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// longestPause is between two attempts while the service is out.
const longestPause = time.Minute

// errUnavailable is why a run ends whose service did not come back within --max-wait.
var errUnavailable = errors.New("the service is not available")

// gate is what all requests pass. While the service does not answer, or says that it is
// not available, everything waits there together: one request at a time tries, with growing
// pauses, and when one is answered all go on. They try in turn, so that an instance that a
// service cannot take (503 for it alone) does not stand in the way of the others.
// Safe for concurrent use.
type gate struct {
	maxWait time.Duration // of one outage
	note    func(text string)
	turn    chan struct{} // held by the request that tries

	mu     sync.Mutex
	pauses *backoff.ExponentialBackOff
	open   chan struct{} // closed when the outage ends; nil: there is none
	since  time.Time     // of the outage
	until  time.Time     // nobody tries before
	tries  int           // in the outage
	why    string
	good   int // answers of a service that is there
}

// newPauses grow twofold from the first, give or take a quarter.
func newPauses(first time.Duration) *backoff.ExponentialBackOff {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier, pauses.RandomizationFactor, pauses.MaxInterval = first, 2, 0.25, max(longestPause, first)
	pauses.Reset()
	return pauses
}

func newGate(maxWait, firstPause time.Duration, note func(text string)) *gate {
	return &gate{maxWait: maxWait, note: note, turn: make(chan struct{}, 1), pauses: newPauses(firstPause)}
}

// pass waits until a request may be sent. Each pass is followed by one report, which gets
// what pass gave. The error is the cause of ctx.
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

// sleep waits for the end of the pause; false: the outage ended before, or ctx.
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

// report says what came of a request. The error is errUnavailable when the outage has
// lasted too long.
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
		g.note(note) // without the lock: who writes asks for the pause
	}
	return err
}

func (g *gate) failed(trying bool, v verdict) (note string, err error) {
	now := time.Now()
	switch {
	case g.open == nil:
		g.open, g.since, g.tries = make(chan struct{}), now, 0
	case !trying: // it was under way when the outage began
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
		g.until = end // once more, and then no longer
	}
	if g.tries == 2 { // the first pause is too short to be told
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

// goodAnswers grows with each answer of a service that is there.
func (g *gate) goodAnswers() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.good
}

// pause is why everything waits, and how long still until the next attempt; an empty why: it does not.
func (g *gate) pause() (why string, left time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		return "", 0
	}
	return g.why, max(time.Until(g.until), 0)
}
