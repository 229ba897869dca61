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
	Times     int                   // number of requests that the fault hits after those; 0 is no limit

	// OnHit, if set, is called for each request that the fault hits, after its body (with Cut: a part of it; with Early: nothing) was
	// read and before anything else happens. So a test can act at this moment: cancel a context, count, wait. It may call the
	// server.
	OnHit func(Request) `json:"-"`

	// What happens. Stall, Hold and Delay can be combined with one of the others, which then happens after Stall and Hold, and before Delay.

	// Status answers with this HTTP status and an S3 error document that contains Code, after the body was read: 503 SlowDown,
	// 500 InternalError, 403 AccessDenied, 409 ConditionalRequestConflict. The operation is not carried out. Status 200 is the
	// error inside a success, which CompleteMultipartUpload can return.
	Status int
	Code   string
	// Early makes Status answer before the body is read, as S3 may do, and closes the connection after the answer if much of the body
	// is left. The SDK sends the body without waiting, so it may find a broken connection before it reads the answer.
	Early bool
	// Cut closes the connection without an answer after half of the body was read. The operation is not carried out.
	Cut bool
	// CutAfter carries the operation out, and closes the connection before the answer: the acknowledgement is lost.
	CutAfter bool
	// CutAnswer carries the operation out, or answers with Status, and closes the connection before the last byte of the answer. If the
	// answer has no body, this is before the end of its headers.
	CutAnswer bool
	// Foreign answers 200 with an HTML page, after the body was read, as another server than S3 may do: a proxy that is out of order, or
	// the server at a wrong address. The operation is not carried out.
	Foreign bool
	// Hold makes the request wait after its body was read, until the channel is closed; then it continues. If the client leaves
	// or the server is closed first, the operation is not carried out.
	Hold <-chan struct{} `json:"-"`
	// Stall stops reading in the middle of the body, for this time.
	Stall time.Duration
	// Delay waits between the operation and its answer.
	Delay time.Duration
	// Corrupt flips one bit in the middle of the payload before it is verified. An empty payload is not changed.
	Corrupt bool
}

// injected is a Fault and the number of matching requests it has seen.
type injected struct {
	Fault
	seen int
}

// Inject adds a fault. For each request the faults are tried in the order of injection; the first that is due hits, and the later
// faults do not count this request.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &injected{Fault: f})
}

// ClearFaults removes all injected faults. Requests that wait because of a fault continue to wait.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// SetLatency delays each answer to the named operations by d, from the next request on; without a name, those to all operations that are
// not set by name. The delay is after the operation, so a client that gives up does not know that it was carried out. The default is 0.
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

// SetCapacity answers 503 SlowDown to each request that arrives while n others are served, after its body was read. Requests that are
// refused in this way do not count as served. 0, the default, is no limit.
func (s *Server) SetCapacity(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.capacity = n
}

// SetOutage answers every request from the next on with this status and code, after its body was read, until it is called with
// status 0. During an outage, injected faults hit nothing and count nothing.
func (s *Server) SetOutage(status int, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = Fault{Status: status, Code: code}
}

// SetUnreachable makes the server close each new connection at once, and each open connection at its next request, until it is called
// with false. Such requests are neither logged nor counted. Requests that are being served continue.
func (s *Server) SetUnreachable(unreachable bool) { s.unreachable.Store(unreachable) }

// dueFault returns what happens to the request, including the latency; the zero Fault does nothing. The caller holds mu.
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
