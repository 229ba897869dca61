package memory

import (
	"errors"
	"time"
)

// Errors of RequestMemory.Take.
var (
	// ErrTooMuch: one request alone would keep more than is allowed for all of them.
	ErrTooMuch = errors.New("the request needs more memory for what it keeps than METADATALIMIT allows")
	// ErrBusy: other requests keep the memory at the moment.
	ErrBusy = errors.New("other requests hold the memory that this one needs (METADATALIMIT)")
)

// RequestMemory counts what one request keeps besides chunks, until it is answered: metadata,
// bulkdata that came too early, decoders, outcomes. Only the amount is
// counted here; the memory is the caller's. One goroutine uses it.
type RequestMemory struct {
	ledger *Ledger
	beside bool // made by KeepBeside
	held   int64
}

// Keep returns a RequestMemory that holds nothing. Close it.
func (l *Ledger) Keep() *RequestMemory { return &RequestMemory{ledger: l} }

// KeepBeside is Keep for a request that may hold memory for a long time without delivering anything: all of these together get at most
// three quarters of the memory, so that other requests always find some.
func (l *Ledger) KeepBeside() *RequestMemory { return &RequestMemory{ledger: l, beside: true} }

// Take counts n more bytes, before they are made. It never waits: with an error nothing is counted.
func (k *RequestMemory) Take(n int64) error {
	l := k.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	besideLimit := l.keptLimit / 4 * 3
	switch {
	case k.held+n > l.keptLimit, k.beside && k.held+n > besideLimit:
		return ErrTooMuch
	case l.kept+n > l.keptLimit:
		l.busy = time.Now()
		return ErrBusy
	case k.beside && l.beside+n > besideLimit:
		return ErrBusy // memory does not count as short because of this
	}
	k.count(n)
	return nil
}

func (k *RequestMemory) count(n int64) {
	k.ledger.kept += n
	k.held += n
	if k.beside {
		k.ledger.beside += n
	}
}

// Release gives n of the bytes back.
func (k *RequestMemory) Release(n int64) {
	k.ledger.mu.Lock()
	defer k.ledger.mu.Unlock()
	k.count(-n)
}

// HeldBytes is what was taken and not released.
func (k *RequestMemory) HeldBytes() int64 { return k.held }

// Close gives all back.
func (k *RequestMemory) Close() { k.Release(k.held) }
