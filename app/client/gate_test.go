package client

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The progress line asks the gate for its pause while the gate reports outages; this must not deadlock.
func TestOutagesAreToldWhileTheStateIsShown(t *testing.T) {
	t.Parallel()
	p := newProgress(io.Discard, newTally(nil))
	p.width = func() int { return 80 }
	g := newGate(time.Hour, time.Nanosecond, p.note)
	p.pause = g.pause
	done, told := make(chan struct{}), make(chan struct{})
	go func() { // ends with done
		defer close(told)
		for {
			select {
			case <-done:
				return
			default:
				p.show(time.Now())
			}
		}
	}()
	go func() { // ends by itself
		defer close(done)
		for range 2000 {
			for _, v := range []verdict{{kind: unavailable, why: "out"}, {kind: unavailable, why: "out"}, {}} {
				trying, err := g.pass(t.Context())
				if err != nil {
					t.Error(err)
				}
				if err := g.report(trying, v); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	select {
	case <-told:
	case <-time.After(20 * time.Second):
		t.Fatal("gate and progress wait for each other")
	}
}

// In an outage, only one request at a time tries, and each gets its turn.
func TestOneTriesAtATime(t *testing.T) {
	t.Parallel()
	const requests, rounds = 5, 3
	g := newGate(time.Hour, 10*time.Microsecond, func(string) {})
	if err := g.report(false, verdict{kind: unavailable, why: "out"}); err != nil {
		t.Fatal(err)
	}
	var under atomic.Int32
	tries := make([]int, requests)
	var all sync.WaitGroup
	for n := range requests {
		all.Go(func() {
			for range rounds {
				trying, err := g.pass(t.Context())
				if err != nil || !trying {
					t.Errorf("trying is %t, want to (%v)", trying, err)
				}
				if under.Add(1) > 1 {
					t.Error("two try at a time")
				}
				time.Sleep(time.Millisecond)
				tries[n]++
				under.Add(-1)
				if err := g.report(trying, verdict{kind: unavailable, why: "out"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	wantEqual(t, "tries", slices.Repeat([]int{rounds}, requests), tries)
}
