package memory

import (
	"errors"
	"time"
)

// Errors of Kept.Take.
var (
	// ErrTooMuch: one request alone would keep more than there is for all of them.
	ErrTooMuch = errors.New("the request needs more memory for what it keeps than METADATALIMIT allows")
	// ErrBusy: other requests keep the memory at the moment.
	ErrBusy = errors.New("other requests hold the memory that this one needs (METADATALIMIT)")
)

// Kept is what one request keeps besides chunks, until it is answered: metadata,
// bulkdata that came before their turn, decoders, outcomes. Only the amount is
// counted here; the memory is the caller's. One goroutine uses it.
type Kept struct {
	ledger *Ledger
	held   int64
}

// Keep returns a Kept that holds nothing. Close it.
func (l *Ledger) Keep() *Kept { return &Kept{ledger: l} }

// Take counts n more bytes, before they are made. It never waits: with an error nothing is counted.
func (k *Kept) Take(n int64) error {
	l := k.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case k.held+n > l.keptLimit:
		return ErrTooMuch
	case l.kept+n > l.keptLimit:
		l.busy = time.Now()
		return ErrBusy
	}
	l.kept += n
	k.held += n
	return nil
}

// Release gives n of the bytes back.
func (k *Kept) Release(n int64) {
	k.ledger.mu.Lock()
	defer k.ledger.mu.Unlock()
	k.ledger.kept -= n
	k.held -= n
}

// HeldBytes is what was taken and not released.
func (k *Kept) HeldBytes() int64 { return k.held }

// Close gives all back.
func (k *Kept) Close() { k.Release(k.held) }
