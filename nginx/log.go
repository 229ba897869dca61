package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// newLog writes JSON records, one per line, with the same names of levels as the app.
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
	// maxQueued limits the records that wait while nobody reads the log, in bytes: about 100,000 records. Refusals may use a quarter of it.
	maxQueued = 32 << 20
	// flushTimeout is how long close waits for the reader of the log.
	flushTimeout = 2 * time.Second
)

// lines is the queue of all records. A log that nobody reads must delay neither nginx, which waits for each
// write, nor a stop. So records wait here. If the queue is full, they are dropped, refusals long before requests, and the
// number of lost records is logged.
type lines struct {
	w io.Writer

	mu    sync.Mutex
	some  sync.Cond // the queue is not empty, or has ended
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

// refusals returns a writer for records that are dropped before others.
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

// run writes the queue, until it is closed and empty.
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
		if l.bytes < maxQueued/8 { // the log is read again
			lost, l.lost = l.lost, 0
		}
		l.mu.Unlock()
		_, _ = l.w.Write(record) // if the container's log cannot be written, there is no other place to report it
		if lost > 0 {
			_, _ = fmt.Fprintf(l.w, `{"time":%q,"level":"ERROR","msg":"records lost","records":%d,"reason":"the log was not read fast enough"}`+"\n", time.Now().Format(time.RFC3339Nano), lost)
		}
	}
}

// close waits until the queue is written, for at most flushTimeout.
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
