package s3store

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
)

// After SlowDown the number of concurrent requests decreases, down to one, and with successes it increases to the full number again.
func TestSlotsAdapt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(100)
		do := func(err error) {
			if acquireErr := s.acquire(t.Context()); acquireErr != nil {
				t.Fatal(acquireErr)
			}
			s.release(err)
		}
		slow := &smithy.GenericAPIError{Code: "SlowDown"}
		for range 50 { // one burst
			do(slow)
		}
		if s.limit < 60 || s.limit > 80 {
			t.Errorf("after one burst the limit is %.0f, want about 70", s.limit)
		}
		for range 60 {
			time.Sleep(2 * time.Second)
			do(slow)
		}
		if s.limit != 1 {
			t.Errorf("after a minute of SlowDown the limit is %.1f, want 1", s.limit)
		}
		for range 6000 {
			do(nil)
		}
		if s.limit != 100 {
			t.Errorf("after successes the limit is %.1f, want 100", s.limit)
		}
	})
}

// If a waiter leaves, its slot is not lost.
func TestSlotsOfWaitersThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		if err := s.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() { failed <- s.acquire(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-failed; err == nil {
			t.Error("got no error")
		}
		s.release(nil)
		if err := s.acquire(t.Context()); err != nil || s.used != 1 {
			t.Errorf("error %v, %d used", err, s.used)
		}
	})
}
