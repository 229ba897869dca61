package s3store

import (
	"context"
	"time"
)

// AbortSuspects does at once what Tidy does half a minute after an answer was lost, and spares what was begun within the time young.
// It reports whether S3 let it.
func (s *Store) AbortSuspects(ctx context.Context, young time.Duration) bool {
	return s.abortSuspects(ctx, time.Now().Add(time.Hour), time.Now().Add(-young))
}
