package client

import (
	"context"
	"sync"
	"time"
)

// runAhead is how many files the walk may be ahead of sending. Only when the walk has ended can the total
// and the remaining time be shown.
const runAhead = 1 << 15

// fillTime is how long a batch that is not full waits for the walk to find more files.
const fillTime = 250 * time.Millisecond

// batches groups what the walk finds into requests of at most maxCount files and maxBytes
// bytes, in the order of the walk. A file over maxBytes gets a request of its own.
// Safe for concurrent use.
type batches struct {
	maxCount int
	maxBytes int64
	queue    chan candidate // closed at the end of the walk

	mu   sync.Mutex
	held *candidate // was taken from the queue, but belongs to the next batch
}

func newBatches(maxCount int, maxBytes int64) *batches {
	return &batches{maxCount: maxCount, maxBytes: maxBytes, queue: make(chan candidate, runAhead)}
}

// put waits while the walk is too far ahead. The only error is the cause of ctx.
func (b *batches) put(ctx context.Context, c candidate) error {
	select {
	case b.queue <- c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// take gives the next batch; nil if the queue has ended, or if ctx is done.
func (b *batches) take(ctx context.Context) []candidate {
	b.mu.Lock()
	defer b.mu.Unlock()
	var batch []candidate
	var bytes int64
	var full <-chan time.Time // nil, which is never ready, while the batch is empty
	for len(batch) < b.maxCount && ctx.Err() == nil {
		next, open, waited := b.next(ctx, full)
		if !open || waited {
			return batch
		}
		if len(batch) > 0 && next.size > b.maxBytes-bytes {
			b.held = &next
			return batch
		}
		if len(batch) == 0 {
			full = time.After(fillTime)
		}
		batch, bytes = append(batch, next), bytes+next.size
	}
	return batch
}

func (b *batches) next(ctx context.Context, full <-chan time.Time) (c candidate, open, waited bool) {
	if b.held != nil {
		c, b.held = *b.held, nil
		return c, true, false
	}
	select {
	case c, open = <-b.queue:
		return c, open, false
	case <-full:
		return candidate{}, true, true
	case <-ctx.Done():
		return candidate{}, false, false
	}
}

// apart splits a batch so that no request contains two instances with the same SOP Instance UID:
// the answer names instances only by this UID (PS3.18 Table I.1-1), so it would not say which of
// the two was stored.
func apart(batch []*instance) [][]*instance {
	var all [][]*instance
	times := make(map[string]int) // by SOP Instance UID
	for _, i := range batch {
		n := times[i.sopInstanceUID]
		times[i.sopInstanceUID]++
		if n == len(all) {
			all = append(all, nil)
		}
		all[n] = append(all[n], i)
	}
	return all
}
