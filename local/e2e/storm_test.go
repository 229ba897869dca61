package e2e

import (
	"context"
	"math/rand/v2"
	"time"
)

// weatherOfS3 are temporary faults, by which no instance may be lost.
func weatherOfS3() []fault {
	return []fault{
		{status: 500, code: "InternalError"}, {status: 503, code: "SlowDown"}, {cut: true}, {cutAfter: true},
		{operation: "CompleteMultipartUpload", cutAfter: true, times: 2}, {operation: "CreateMultipartUpload", cutAfter: true, times: 2},
		{operation: "PutObject", cutAfter: true, times: 5}, {operation: "UploadPart", cut: true, times: 3},
		{operation: "CompleteMultipartUpload", status: 200, code: "InternalError", times: 1},
	}
}

// storm switches one random fault after the other on and off, until ctx ends.
func (f *front) storm(ctx context.Context, random *rand.Rand, faults ...fault) {
	for ctx.Err() == nil {
		lift := f.inject(faults[random.IntN(len(faults))])
		f.setLatency(time.Duration(random.IntN(20)) * time.Millisecond)
		for _, phase := range []func(){lift, func() { f.setLatency(0) }} {
			select {
			case <-time.After(time.Duration(random.IntN(300)) * time.Millisecond):
			case <-ctx.Done():
			}
			phase()
		}
	}
}
