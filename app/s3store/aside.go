package s3store

// Aside is memory that a request keeps besides the buffers of its instances, out
// of Config.AsideBytes: metadata, and bulkdata that came before their turn. It
// never waits, so it may be taken while buffers are held. Only the amount is
// counted here; the memory is the caller's. Not safe for concurrent use.
type Aside struct {
	store *Store
	held  int64
}

// NewAside returns an Aside that holds nothing. Close it.
func (s *Store) NewAside() *Aside { return &Aside{store: s} }

// Take counts n more bytes; false, and nothing is counted, when all requests
// together would hold more than Config.AsideBytes.
func (a *Aside) Take(n int64) bool {
	if !a.store.aside.TryAcquire(n) {
		return false
	}
	a.held += n
	a.store.asideInUse.Add(n)
	return true
}

// Release gives n of the bytes back.
func (a *Aside) Release(n int64) {
	if n == 0 {
		return
	}
	a.store.aside.Release(n)
	a.held -= n
	a.store.asideInUse.Add(-n)
}

// Held is what was taken and not released.
func (a *Aside) Held() int64 { return a.held }

// Close gives all back.
func (a *Aside) Close() { a.Release(a.held) }
