package s3store

import (
	"context"
	"sync"
	"time"
)

// slots bounds the requests that are made at the same time. After SlowDown there
// are fewer, and with each success a little more again, up to most. Who waits longest
// is served first.
type slots struct {
	mu      sync.Mutex
	most    float64
	limit   float64 // at least 1
	used    int
	waiting []chan struct{}
	fewerAt time.Time // when there were made fewer
}

// fewerEvery: all answers to one burst count once.
const fewerEvery = time.Second

func newSlots(most int) *slots { return &slots{most: float64(most), limit: float64(most)} }

// acquire waits for a slot until ctx ends. Give it back with release.
func (s *slots) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.used < int(s.limit) && len(s.waiting) == 0 {
		s.used++
		s.mu.Unlock()
		return nil
	}
	turn := make(chan struct{}, 1)
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, waits := range s.waiting {
		if waits == turn {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			return ctx.Err()
		}
	}
	s.used-- // it was just given
	s.serve()
	return ctx.Err()
}

// release gives a slot back, and learns from what the request has met.
func (s *slots) release(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch now := time.Now(); {
	case err == nil:
		s.limit = min(s.most, s.limit+1/s.limit)
	case isSlowDown(err) && now.Sub(s.fewerAt) > fewerEvery:
		s.limit, s.fewerAt = max(1, s.limit*0.7), now
	}
	s.used--
	s.serve()
}

func (s *slots) serve() {
	for s.used < int(s.limit) && len(s.waiting) > 0 {
		s.used++
		s.waiting[0] <- struct{}{}
		s.waiting = s.waiting[1:]
	}
}
