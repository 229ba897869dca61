package stow

import (
	"net/http"
	"sync/atomic"
	"time"
)

// slots limits the number of concurrent requests.
type slots struct {
	taken   chan struct{}
	refused atomic.Int64 // when a request was last refused because there was no slot, in Unix nanoseconds
}

func newSlots(n int) *slots { return &slots{taken: make(chan struct{}, n)} }

// enter takes a slot of what, which leave gives back. Its error is a *Refusal: nobody waits for a slot.
func (s *slots) enter(what string) error {
	select {
	case s.taken <- struct{}{}:
		return nil
	default:
		s.refuse()
		return refuse(http.StatusServiceUnavailable, "%d %s are being served, which is the limit; try again later", cap(s.taken), what)
	}
}

// refuse notes that a request was refused because there was no slot, or not the memory for it.
func (s *slots) refuse() { s.refused.Store(time.Now().UnixNano()) }

func (s *slots) leave() { <-s.taken }

// short says that a request was refused a moment ago.
func (s *slots) short() bool {
	const lately = 10 * time.Second
	return time.Since(time.Unix(0, s.refused.Load())) < lately
}
