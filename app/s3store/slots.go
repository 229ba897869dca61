package s3store

import (
	"context"
	"sync"
	"time"
)

// slots limits the number of concurrent requests. After SlowDown it allows
// fewer, and with each success a little more again, up to most. The request that waited longest
// is served first.
type slots struct {
	mu      sync.Mutex
	most    float64
	limit   float64 // at least 1
	used    int
	waiting []chan struct{}
	fewerAt time.Time // when the limit was last reduced
}

// fewerEvery: all answers of one burst reduce the limit only once.
const fewerEvery = time.Second

// Slots describes the requests that store instances, at one moment.
type Slots struct {
	Used    int // requests that run
	Waiting int // requests that wait for a slot
	Limit   int // allowed at the same time; less than Most after SlowDown
	Most    int // Config.Threads
}

// Slots returns the state of requests that store instances; other kinds of requests have separate slots.
func (s *Store) Slots() Slots {
	s.storing.mu.Lock()
	defer s.storing.mu.Unlock()
	return Slots{Used: s.storing.used, Waiting: len(s.storing.waiting), Limit: int(s.storing.limit), Most: int(s.storing.most)}
}

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
	s.used-- // the slot was given a moment ago
	s.serve()
	return ctx.Err()
}

// release gives a slot back, and adapts the limit to the result of the request.
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
