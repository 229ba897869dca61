package s3test

// Fault says which requests fail and how. The zero value of a selecting field selects everything.
type Fault struct {
	Operation string                // S3's name of the operation, such as "UploadPart"; "" is any
	Key       func(key string) bool // nil is any; called with locks held, must not call the server
	Skip      int                   // matching requests that pass before the fault hits
	Times     int                   // requests that it hits after those; 0 is for ever

	// OnHit, if set, is called for each request that the fault hits, when its body (with Cut: some of it) has been read and before
	// anything else happens. It lets a test act at that very moment: cancel a context, count, wait. It may call the server.
	OnHit func(Request)

	// What happens: one of the following. Hold may stand with another one, which then happens after it.

	// Status answers with this HTTP status and an S3 error document that carries Code, after the body was read: 503 SlowDown,
	// 500 InternalError, 403 AccessDenied, 409 ConditionalRequestConflict. The operation is not carried out. Status 200 is the
	// error inside a success that CompleteMultipartUpload can give.
	Status int
	Code   string
	// Cut closes the connection without an answer after half of the body was read. The operation is not carried out.
	Cut bool
	// CutAfter carries the operation out and closes the connection before the answer: a lost acknowledgement.
	CutAfter bool
	// Hold makes the request wait, its body read, until the channel is closed; then it goes on. When the client goes away
	// or the test ends first, the operation is not carried out.
	Hold <-chan struct{}
	// Corrupt flips one bit in the middle of the payload before it is verified. An empty payload stays as it is.
	Corrupt bool
}

// injected is a Fault and the number of matching requests it has seen.
type injected struct {
	Fault
	seen int
}

// Inject adds a fault. For each request the faults are tried in order of injection; the first that is due hits, and the later ones
// do not count that request as seen.
func (s *Server) Inject(f Fault) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.faults = append(s.faults, &injected{Fault: f})
}

// dueFault returns the fault that hits the request, or the zero Fault, which does nothing.
func (s *Server) dueFault(request Request) Fault {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	for _, f := range s.faults {
		if f.Operation != "" && f.Operation != request.Operation || f.Key != nil && !f.Key(request.Key) {
			continue
		}
		f.seen++
		if f.seen > f.Skip && (f.Times == 0 || f.seen <= f.Skip+f.Times) {
			return f.Fault
		}
	}
	return Fault{}
}

func (f Fault) hit(request Request) {
	if f.OnHit != nil {
		f.OnHit(request)
	}
}
