package server

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// logQueueBytes limits the records that wait for the reader of the log. The batch that is being written can have the same size.
	logQueueBytes = 1 << 20
	// logPieceBytes is how much the reader must take within logPatience: as much as a pipe has room for.
	logPieceBytes = 64 << 10
	// logPatience is how long the reader may take nothing before nobody waits for it.
	logPatience = time.Second
	// logTimeout is how long the end of the process waits for a reader of the log that is slow.
	logTimeout = 8 * time.Second
)

// logQueue is a log whose reader may be slow, hang or go away. When the queue is full, Write waits as long as the reader takes something: so a
// burst of one client's records is as slow as the reader, and no record of another client is lost because of it. A reader that takes nothing
// for logPatience hangs: then nobody waits until it continues. Records that find no room, or cannot be written, are lost, and counted, and as soon
// as the reader continues, a record says how many. Nothing else depends on the log: what is stored is in S3, and in the answers. Close it.
type logQueue struct {
	w     io.Writer
	ready chan struct{} // has a token if the queue is not empty
	ended chan struct{} // is closed when everything is written

	mu     sync.Mutex
	queue  []byte
	lost   int // records, in total
	closed bool
	begun  time.Time     // when the reader was given what it has not taken yet; zero: nothing
	moved  chan struct{} // closed when there is room, or the queue is

	torn bool // the last record that was written has no end
}

func newLogQueue(w io.Writer) *logQueue {
	q := &logQueue{w: w, ready: make(chan struct{}, 1), ended: make(chan struct{}), moved: make(chan struct{})}
	go q.run()
	return q
}

// Write implements io.Writer for one complete record. It never fails.
func (q *logQueue) Write(record []byte) (int, error) { return q.write(record, logQueueBytes) }

// failures is the same log for records of which a request may make thousands: they get half of the queue, so that the one record that each
// request has at its end does not wait behind them for room.
func (q *logQueue) failures() io.Writer { return failureLog{q} }

type failureLog struct{ *logQueue }

// Write implements io.Writer.
func (q failureLog) Write(record []byte) (int, error) { return q.write(record, logQueueBytes/2) }

func (q *logQueue) write(record []byte, limit int) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && len(q.queue)+len(record) > limit && q.wait() {
	}
	if q.closed || len(q.queue)+len(record) > limit {
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

// wait waits for room, and returns false if the reader hangs. The caller holds mu.
func (q *logQueue) wait() bool {
	patience := q.patienceLeft()
	if patience <= 0 {
		return false
	}
	moved := q.moved
	q.mu.Unlock()
	defer q.mu.Lock()
	select {
	case <-moved:
	case <-time.After(patience): // it may have taken a piece meanwhile
	}
	return true
}

// patienceLeft is how much longer the reader is waited for, if it takes nothing. The caller holds mu.
func (q *logQueue) patienceLeft() time.Duration {
	if q.begun.IsZero() {
		return logPatience
	}
	return logPatience - time.Since(q.begun)
}

func (q *logQueue) patience() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.patienceLeft()
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
	for told, open := 0, true; open; {
		_, open = <-q.ready
		q.mu.Lock()
		batch, q.queue = q.queue, batch[:0]
		lost := q.lost // behind what is in the batch
		q.move()
		q.mu.Unlock()
		for rest := batch; len(rest) > 0; {
			n, err := q.give(wholeRecords(rest))
			if rest = rest[n:]; err != nil {
				lost += q.lose(bytes.Count(rest, []byte("\n"))) // nobody can be told that the log cannot be written
				break
			}
		}
		if lost > told {
			var record bytes.Buffer
			newLog(&record, slog.LevelWarn).Warn("records of the log were lost, because its reader did not take them", "records", lost-told)
			if _, err := q.give(record.Bytes()); err == nil {
				told = lost
			}
		}
	}
}

// wholeRecords are the first of them that fit into a piece, at least one.
func wholeRecords(records []byte) []byte {
	if len(records) <= logPieceBytes {
		return records
	}
	if end := bytes.LastIndexByte(records[:logPieceBytes], '\n'); end >= 0 {
		return records[:end+1]
	}
	return records[:bytes.IndexByte(records, '\n')+1]
}

// give gives the reader a piece of the log. Only run calls it.
func (q *logQueue) give(piece []byte) (n int, err error) {
	q.note(time.Now())
	defer q.note(time.Time{})
	if q.torn {
		if _, err = io.WriteString(q.w, "\n"); err != nil { // else the next record would be a part of the torn one
			return 0, err //nolint:wrapcheck // nobody reads it
		}
		q.torn = false
	}
	if n, err = q.w.Write(piece); err != nil && n > 0 {
		q.torn = piece[n-1] != '\n'
	}
	return n, err //nolint:wrapcheck // nobody reads it
}

func (q *logQueue) note(begun time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.begun = begun
}

func (q *logQueue) lose(records int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += records
	return records
}

// move wakes all who wait. The caller holds mu.
func (q *logQueue) move() {
	close(q.moved)
	q.moved = make(chan struct{})
}

// Close waits until everything is written, for at most logTimeout, and not for a reader that hangs. Later records are lost.
func (q *logQueue) Close() {
	q.mu.Lock()
	q.closed = true
	q.move()
	close(q.ready)
	q.mu.Unlock()
	begun := time.Now()
	for {
		left := min(max(q.patience(), logPatience-time.Since(begun)), logTimeout-time.Since(begun))
		if left <= 0 {
			return
		}
		select {
		case <-q.ended:
			return
		case <-time.After(left):
		}
	}
}
