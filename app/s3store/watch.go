package s3store

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"syscall"
	"time"
)

var errStall = errors.New("S3 has made no progress")

// watch ends an attempt after a while without progress. It is progress that more of the body is read, or that the other side has
// acknowledged more of what the system has taken: on a slow link some MiB wait there for longer than any timeout, after the last read.
type watch struct {
	half time.Duration // of the time without progress

	mu             sync.Mutex
	stall          func() // nil: the attempt has ended, or stalled
	timer          *time.Timer
	connection     net.Conn // nil: none yet
	idle           bool     // there was no progress for half of the time
	unacknowledged int      // bytes, then
}

// newWatch calls stall once, when there was no progress for after. End it.
func newWatch(after time.Duration, stall func()) *watch {
	w := &watch{half: after / 2, stall: stall}
	w.mu.Lock() // check may begin before the timer is noted
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.half, w.check)
	return w
}

// context is one of the attempt, with which the watch gets to know its connection.
func (w *watch) context(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.connection = info.Conn
	}})
}

func (w *watch) progress() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = false
	w.timer.Reset(w.half)
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.stall = nil
}

func (w *watch) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stall == nil {
		return
	}
	unacknowledged := unacknowledgedBytes(w.connection)
	if w.idle && unacknowledged >= w.unacknowledged {
		w.stall()
		w.stall = nil
		return
	}
	w.idle, w.unacknowledged = true, unacknowledged
	w.timer.Reset(w.half)
}

// unacknowledgedBytes is how much of what was written to a connection its other side has not acknowledged; 0 if the system does not say.
func unacknowledgedBytes(c net.Conn) (n int) {
	if encrypted, is := c.(*tls.Conn); is {
		c = encrypted.NetConn()
	}
	system, is := c.(syscall.Conn)
	if !is {
		return 0
	}
	raw, err := system.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n = sendQueueBytes(int(fd)) })
	}
	if err != nil {
		return 0
	}
	return n
}
