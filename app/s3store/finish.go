package s3store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// finish sends the remaining bytes and completes the object, or removes what was sent.
func (u *Upload) finish(err error) {
	defer close(u.done)
	defer u.release()
	defer func() {
		if !u.hurried {
			<-u.store.ending
		}
	}()
	u.err = guard(func() error { return u.settle(err) })
	if ended := u.ctx.Err(); ended != nil && u.err != nil { // the error that follows from it says less
		u.err = fmt.Errorf("%w: %w", ended, u.err)
	}
	u.span.Set("stowrs.bytes", u.received)
	u.span.End(errorType(u.err))
}

func (u *Upload) settle(err error) error {
	if err == nil && len(u.parts) == 0 {
		return u.put()
	}
	if err == nil && u.current.n > 0 {
		err = u.sendCurrent()
	}
	if err == nil && u.first != nil {
		u.send(u.first, u.parts[0])
		u.first = nil
	}
	if len(u.parts) == 0 {
		return err
	}
	if partErr := u.group.Wait(); partErr != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = partErr
	}
	return u.complete(err)
}

// start calls f in a goroutine. If possible it uses a goroutine that has finished another upload: its
// stack has already grown to the depth of the SDK, which saves a tenth of the work of a small instance.
func (s *Store) start(f func()) {
	select {
	case s.idle <- f:
		return
	default:
	}
	go func() {
		for {
			f()
			select {
			case f = <-s.idle:
			case <-time.After(idleTime):
				return
			}
		}
	}()
}

// idleTime is how long such a goroutine waits for the next upload.
const idleTime = time.Second

// release frees the memory of an upload that is not needed after its result, because a
// request keeps its uploads until it is answered.
func (u *Upload) release() {
	if u.group != nil {
		_ = u.group.Wait() // nothing is left to wait for, except after a panic
	}
	u.current.release(u.store.ledger)
	if u.first != nil {
		u.first.release(u.store.ledger)
	}
	u.source, u.parts, u.line = Source{}, nil, nil
}

// guard turns a panic into an error: one instance must not end the process.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// Wait returns when the object is in S3, acknowledged with its checksum (nil),
// or when the instance has failed and nothing of it is left there.
// It must not be called before Store.
func (u *Upload) Wait() error {
	<-u.done
	return u.err
}

// Key is the object's key, after Store.
func (u *Upload) Key() string { return u.key }

// Done is closed when Wait no longer blocks.
func (u *Upload) Done() <-chan struct{} { return u.done }
