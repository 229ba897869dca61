package client

import (
	"context"
	"io"

	"golang.org/x/time/rate"
)

// newLimiter makes the limiter of --bwlimit, which all requests share; nil: no limit.
func newLimiter(bytesPerSecond SizeFlag) *rate.Limiter {
	if bytesPerSecond == 0 {
		return nil
	}
	// Small steps, so that Close of a body does not wait long for a Read.
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(min(max(bytesPerSecond/10, 1), 64<<10)))
}

// throttledReader limits the rate at which a body is read.
type throttledReader struct {
	io.ReadCloser
	most int // bytes at a time
	wait func(n int) error
}

func limit(ctx context.Context, body io.ReadCloser, limiter *rate.Limiter) io.ReadCloser {
	if limiter == nil {
		return body
	}
	return &throttledReader{body, limiter.Burst(), func(n int) error { return limiter.WaitN(ctx, n) }}
}

func (l *throttledReader) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p[:min(len(p), l.most)])
	if waitErr := l.wait(n); err == nil {
		err = waitErr
	}
	return n, err
}
