package client

import (
	"context"
	"io"

	"golang.org/x/time/rate"
)

// newLimiter is of --bwlimit; nil: none.
func newLimiter(bytesPerSecond SizeFlag) *rate.Limiter {
	if bytesPerSecond == 0 {
		return nil
	}
	// Small steps, so that a body which is closed does not wait long.
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(min(max(bytesPerSecond/10, 1), 64<<10)))
}

// throttledReader slows a body down.
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
