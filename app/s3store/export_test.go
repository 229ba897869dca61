package s3store

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Bounded is the limit of answers that NewClient puts around an HTTP client.
func Bounded(client s3.HTTPClient) s3.HTTPClient { return bounded{client} }

// AbortSuspects does at once what Tidy does half a minute after an answer was lost. It spares uploads that began within the time young.
// It reports whether S3 allowed it.
func (s *Store) AbortSuspects(ctx context.Context, young time.Duration) bool {
	return s.abortSuspects(ctx, time.Now().Add(time.Hour), time.Now().Add(-young))
}

// Stalled is the context of an attempt that stalls a moment later.
func Stalled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	time.AfterFunc(100*time.Millisecond, func() { cancel(errStall) })
	return ctx
}
