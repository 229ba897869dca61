package client

import (
	"io"
	"testing"
	"time"
)

// The line of state asks the gate for its pause while the gate tells of outages.
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
