package s3store

import (
	"errors"
	"sync"
	"time"
)

// Health is what requests to S3 met lately.
type Health struct {
	// LastAnswer is the time of S3's last success of any operation; zero: there was none yet.
	LastAnswer time.Time
	// Failure is why the last instance or part could not be stored, if S3 or our
	// permissions are to blame, with what an operator can do about it; nil after a store that succeeded.
	Failure error
	// FailingSince is the time of the first such failure after the last store that
	// succeeded, FailedAt that of the last one. Both are zero while Failure is nil.
	FailingSince, FailedAt time.Time
}

// Health is what requests to S3 have met up to now.
func (s *Store) Health() Health {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.Health
}

type health struct {
	mu sync.Mutex
	Health
}

// note keeps what an attempt at op has met, or all of them in the end.
func (s *Store) note(op operation, err error) {
	h, now := &s.health, time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		h.LastAnswer = now
		if op.stores {
			h.Failure, h.FailingSince, h.FailedAt = nil, time.Time{}, time.Time{}
		}
	case !op.stores, isRefusal(err), isSlowDown(err) && !errors.Is(err, ErrSlowDown): // SlowDown once in a while is no failure
	default:
		if h.Failure == nil {
			h.FailingSince = now
		}
		h.Failure, h.FailedAt = s.explain(err, "s3:PutObject, and the use of its KMS key,"), now
	}
}
