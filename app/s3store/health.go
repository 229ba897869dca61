package s3store

import (
	"errors"
	"sync"
	"time"
)

// Health describes the results of recent requests to S3.
type Health struct {
	// LastAnswer is the time of S3's last success of any operation; zero: none yet.
	LastAnswer time.Time
	// Failure is why the last instance or part could not be stored, if S3 or missing
	// permissions are the cause, with a remedy for the operator; nil after a successful store.
	Failure error
	// FailingSince is the time of the first such failure after the last successful store,
	// and FailedAt that of the last failure. Both are zero while Failure is nil.
	FailingSince, FailedAt time.Time
}

// Health returns the results of requests to S3 up to now.
func (s *Store) Health() Health {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.Health
}

type health struct {
	mu sync.Mutex
	Health
}

// note records the result of an attempt at op, or of all attempts together.
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
	case !op.stores, isRefusal(err), isSlowDown(err) && !errors.Is(err, ErrSlowDown): // an occasional SlowDown is no failure
	default:
		if h.Failure == nil {
			h.FailingSince = now
		}
		h.Failure, h.FailedAt = s.explain(err, "s3:PutObject, and the use of its KMS key,"), now
	}
}
