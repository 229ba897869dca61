package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// newLog writes JSON records, one a line, with the names of levels that the app has.
func newLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.LevelKey && a.Value.Any() == slog.LevelWarn {
				return slog.String(slog.LevelKey, "WARNING")
			}
			return a
		},
	}))
}

const (
	// maxQueued bounds the records that wait while the log is not read: a hundred thousand. Refusals may have a quarter of it.
	maxQueued = 32 << 20
	// flushTimeout is left at the end to a log that is not read.
	flushTimeout = 2 * time.Second
)

// lines is the one stream of records. A log that nobody reads must not hold up nginx, which waits for each
// record, nor a stop: records wait here, and are dropped in the end, refusals long before requests. How many is recorded.
type lines struct {
	w io.Writer

	mu    sync.Mutex
	some  sync.Cond // something to write, or the end
	queue [][]byte
	bytes int
	ended bool
	lost  int
	done  chan struct{}
}

func newLines(w io.Writer) *lines {
	l := &lines{w: w, done: make(chan struct{})}
	l.some.L = &l.mu
	go l.run()
	return l
}

// Write queues one record. It implements io.Writer, and never fails.
func (l *lines) Write(record []byte) (int, error) { return l.add(record, maxQueued), nil }

// refusals is where records go that may be lost before others.
func (l *lines) refusals() io.Writer { return refusalLines{l} }

type refusalLines struct{ *lines }

// Write implements io.Writer.
func (l refusalLines) Write(record []byte) (int, error) { return l.add(record, maxQueued/4), nil }

func (l *lines) add(record []byte, most int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes+len(record) > most {
		l.lost++
		return len(record)
	}
	l.queue, l.bytes = append(l.queue, append([]byte(nil), record...)), l.bytes+len(record)
	l.some.Signal()
	return len(record)
}

// run writes what is queued, until close.
func (l *lines) run() {
	defer close(l.done)
	for {
		l.mu.Lock()
		for len(l.queue) == 0 && !l.ended {
			l.some.Wait()
		}
		if len(l.queue) == 0 {
			l.mu.Unlock()
			return
		}
		record, lost := l.queue[0], 0
		l.queue, l.bytes = l.queue[1:], l.bytes-len(record)
		if l.bytes < maxQueued/8 { // it is read again
			lost, l.lost = l.lost, 0
		}
		l.mu.Unlock()
		_, _ = l.w.Write(record) // to the container's log; there is nowhere to report that it fails
		if lost > 0 {
			_, _ = fmt.Fprintf(l.w, `{"time":%q,"level":"ERROR","msg":"records lost","records":%d,"reason":"the log was not read fast enough"}`+"\n", time.Now().Format(time.RFC3339Nano), lost)
		}
	}
}

// close writes what is left, while the log is read.
func (l *lines) close() {
	l.mu.Lock()
	l.ended = true
	l.some.Signal()
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(flushTimeout):
	}
}
