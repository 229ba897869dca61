package server

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// logQueueBytes limits the records that wait for the reader of the log. The batch that is being written can have the same size.
	logQueueBytes = 1 << 20
	// logTimeout is how long Close waits for the reader of the log.
	logTimeout = 2 * time.Second
)

// logQueue lets the service log to a reader that may hang: Write never waits. Records for which there is no room are lost and counted. As
// soon as the reader continues, a record says how many were lost. Nothing else depends on the log: S3 and the answers say what is stored. The
// caller must Close it.
type logQueue struct {
	w     io.Writer
	ready chan struct{} // has a token if the queue is not empty
	ended chan struct{} // is closed when everything is written

	mu     sync.Mutex
	queue  []byte
	lost   int // records, in total
	closed bool
}

func newLogQueue(w io.Writer) *logQueue {
	q := &logQueue{w: w, ready: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// Write implements io.Writer for one complete record. It never fails.
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

// Lost returns how many records were lost.
func (q *logQueue) Lost() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// run writes the queue, until it is closed and empty.
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
		_, _ = q.w.Write(batch) // if the log cannot be written, there is no other place to report it
		if lost > told {
			newLog(q.w, slog.LevelWarn).Warn("records of the log were lost, because its reader did not take them", "records", lost-told)
			told = lost
		}
	}
}

// Close waits until everything is written, for at most logTimeout. Later records are lost.
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
