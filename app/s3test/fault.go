package s3test

import (
	"net/http"
	"slices"
	"time"
)

// Fault says which requests fail and how. The zero value of a selecting field selects everything.
type Fault struct {
	Operation string                // S3's name of the operation, such as "UploadPart"; "" is any
	Key       func(key string) bool `json:"-"` // nil is any; called with locks held, must not call the server
	Skip      int                   // matching requests that pass before the fault hits
	Times     int                   // requests that it hits after those; 0 is for ever

	// OnHit, if set, is called for each request that the fault hits, when its body (with Cut: some of it; with Early: nothing) has been
	// read and before anything else happens. It lets a test act at that very moment: cancel a context, count, wait. It may call the
	// server.
	OnHit func(Request) `json:"-"`

	// What happens. Stall, Hold and Delay may stand together with one of the others, which then happens after it or, with Delay, first.

	// Status answers with this HTTP status and an S3 error document that carries Code, after the body was read: 503 SlowDown,
	// 500 InternalError, 403 AccessDenied, 409 ConditionalRequestConflict. The operation is not carried out. Status 200 is the
	// error inside a success that CompleteMultipartUpload can give.
	Status int
	Code   string
	// Early makes Status answer before the body is read, as S3 may, and ends the connection after the answer if much of the body is
	// left. The SDK sends the body without waiting, and so may meet a broken connection before it sees the answer.
	Early bool
	// Cut closes the connection without an answer after half of the body was read. The operation is not carried out.
	Cut bool
	// CutAfter carries the operation out and closes the connection before the answer: a lost acknowledgement.
	CutAfter bool
	// CutAnswer carries the operation out, or gives Status, and closes the connection before the last byte of the answer. Where the
	// answer has no body, that is before the end of its headers.
	CutAnswer bool
	// Foreign answers 200 with a page of HTML, after the body was read, as whoever is not S3 may: a proxy that is out of order, or the
	// owner of a wrong address. The operation is not carried out.
	Foreign bool
	// Hold makes the request wait, its body read, until the channel is closed; then it goes on. When the client goes away
	// or the server is closed first, the operation is not carried out.
	Hold <-chan struct{} `json:"-"`
	// Stall stops reading in the middle of the body, for so long.
	Stall time.Duration
	// Delay waits before the answer, when the operation has been carried out.
	Delay time.Duration
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &injected{Fault: f})
}

// ClearFaults removes all injected faults. Requests that one of them has hit are not freed.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// SetLatency delays each answer to the named operations (none: to those that are not set by name) by d, from the next request on. The
// operation has been carried out by then, so that a client that gives up meanwhile does not know that it was. The default is 0.
func (s *Server) SetLatency(d time.Duration, operations ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(operations) == 0 {
		operations = []string{""}
	}
	for _, operation := range operations {
		s.latency[operation] = d
	}
}

// SetClock makes the server's clock be ahead of the machine's: that of the times in its answers, Date included. A negative d makes it late.
func (s *Server) SetClock(ahead time.Duration) { s.ahead.Store(int64(ahead)) }

func (s *Server) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

func (s *Server) date() string { return s.now().UTC().Format(http.TimeFormat) }

// SetCapacity makes each request that comes while n others are served answer 503 SlowDown, when its body was read. Those that are
// refused so do not count as served. 0, the default, is no limit.
func (s *Server) SetCapacity(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.capacity = n
}

// SetOutage makes every request from the next on answer with this status and code, when its body was read, until it is called with
// status 0. Injected faults hit nothing and count nothing meanwhile.
func (s *Server) SetOutage(status int, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = Fault{Status: status, Code: code}
}

// SetUnreachable makes the server close each new connection at once, and cut each that is open at its next request, until it is called
// with false. Requests that are being served go on. Such requests are neither logged nor counted.
func (s *Server) SetUnreachable(unreachable bool) { s.unreachable.Store(unreachable) }

// dueFault returns what happens to the request, the latency included; the zero Fault does nothing. The caller holds mu.
func (s *Server) dueFault(request Request, overloaded bool) Fault {
	latency, found := s.latency[request.Operation]
	if !found {
		latency = s.latency[""]
	}
	due := s.outage
	switch {
	case overloaded:
		due = Fault{Status: http.StatusServiceUnavailable, Code: "SlowDown"}
	case due.Status == 0:
		if i := slices.IndexFunc(s.faults, func(f *injected) bool { return f.isDue(request) }); i >= 0 {
			due = s.faults[i].Fault
		}
	}
	due.Delay += latency
	return due
}

// isDue counts the request if it matches.
func (f *injected) isDue(request Request) bool {
	if f.Operation != "" && f.Operation != request.Operation || f.Key != nil && !f.Key(request.Key) {
		return false
	}
	f.seen++
	return f.seen > f.Skip && (f.Times == 0 || f.seen <= f.Skip+f.Times)
}

func (f Fault) hit(request Request) {
	if f.OnHit != nil {
		f.OnHit(request)
	}
}
