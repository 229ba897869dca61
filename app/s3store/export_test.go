package s3store

import "context"

// AbortSuspects does at once what Tidy does half a minute after an answer was lost.
func (s *Store) AbortSuspects(ctx context.Context) {
	s.mu.Lock()
	suspects := s.suspects
	s.mu.Unlock()
	for key, since := range suspects {
		s.abortSuspect(ctx, key, since)
	}
}
