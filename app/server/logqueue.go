package server

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// logQueueBytes is how much of the log may wait for its reader; what is written has as much again.
	logQueueBytes = 1 << 20
	// logTimeout is how long the end of the process waits for the reader of the log.
	logTimeout = 2 * time.Second
)

// logQueue is a log whose reader may hang: Write never waits. Records that find no room are lost, and counted, and as soon as the reader
// continues, a record says how many. Nothing else depends on the log: what is stored is in S3, and in the answers. Close it.
type logQueue struct {
	w     io.Writer
	ready chan struct{} // a token: something waits
	ended chan struct{} // all is written

	mu     sync.Mutex
	queue  []byte
	lost   int // in all
	closed bool
}

func newLogQueue(w io.Writer) *logQueue {
	q := &logQueue{w: w, ready: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// Write implements io.Writer for one whole record. It never fails.
func (q *logQueue) Write(record []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.queue)+len(record) > logQueueBytes {
		q.lost++
		return len(record), nil
	}
	q.queue = append(q.queue, record...)
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return len(record), nil
}

// Lost is how many records were lost.
func (q *logQueue) Lost() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// run writes what waits, until the queue is closed and empty.
func (q *logQueue) run() {
	defer close(q.ended)
	var batch []byte
	told := 0
	for open := true; open; {
		_, open = <-q.ready
		q.mu.Lock()
		batch, q.queue = q.queue, batch[:0]
		lost := q.lost
		q.mu.Unlock()
		_, _ = q.w.Write(batch) // nobody can be told that the log cannot be written
		if lost > told {
			newLog(q.w, slog.LevelWarn).Warn("records of the log were lost, because its reader did not take them", "records", lost-told)
			told = lost
		}
	}
}

// Close waits until all is written, for at most logTimeout. What is written afterwards is lost.
func (q *logQueue) Close() {
	q.mu.Lock()
	q.closed = true
	close(q.ready)
	q.mu.Unlock()
	select {
	case <-q.ended:
	case <-time.After(logTimeout):
	}
}
