package s3test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// call is one request, and its payload: read, decoded and verified.
type call struct {
	Request
	payload
}

// ServeHTTP answers one S3 request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.unreachable.Load() {
		cut()
	}
	answer, send := s.serve(newRequest(r), r)
	w.Header().Set("Date", s.date())
	send(answer, w)
}

// serve returns the answer, and how to send it; it panics to cut the connection.
func (s *Server) serve(request Request, r *http.Request) (answer response, send func(response, http.ResponseWriter)) {
	ctx := r.Context()
	fault, leave := s.arrive(request)
	outcome := "cut"
	defer func() { leave(outcome) }()

	if fault.Cut {
		// An error does not matter, because the connection is closed next.
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		fault.hit(request)
		cut()
	}
	var body io.Reader = r.Body
	if fault.Stall > 0 {
		stall := pause(func() { s.wait(ctx, nil, fault.Stall) })
		body = io.MultiReader(io.LimitReader(r.Body, r.ContentLength/2), stall, r.Body)
	}
	var read payload
	var err error
	if !fault.Early {
		read, err = s.readPayload(request, body, fault.Corrupt)
	}
	fault.hit(request)
	if fault.Hold != nil {
		s.wait(ctx, fault.Hold, 0)
	}
	if fault.Status != 0 {
		err = &s3Error{fault.Status, fault.Code, "injected by the test"}
	}
	switch {
	case err != nil:
	case fault.Foreign:
		answer = response{http.StatusOK, http.Header{"Content-Type": {"text/html"}}, [][]byte{[]byte("<html><body>out of order</body></html>")}}
	default:
		answer, err = s.carryOut(call{request, read})
	}
	if err != nil {
		var refused *s3Error
		if !errors.As(err, &refused) {
			cut() // the body could not be read, because the client has left
		}
		answer = refused.response()
	}
	if fault.Delay > 0 {
		s.wait(ctx, nil, fault.Delay)
	}
	if fault.CutAfter {
		cut()
	}
	if fault.CutAnswer {
		return answer, response.sendCut
	}
	outcome = strconv.Itoa(answer.status)
	return answer, response.send
}

// cut closes the connection without an answer; net/http does it on this panic.
func cut() { panic(http.ErrAbortHandler) }

// wait returns when released is closed or, if it is nil, after d. If the client leaves or the server is closed before, it cuts the
// connection.
func (s *Server) wait(ctx context.Context, released <-chan struct{}, d time.Duration) {
	var elapsed <-chan time.Time
	if released == nil {
		elapsed = time.After(d)
	}
	select {
	case <-released:
	case <-elapsed:
	case <-ctx.Done():
		cut()
	case <-s.stopping:
		cut()
	}
}

// pause is an empty reader that calls a function before it returns io.EOF.
type pause func()

func (p pause) Read([]byte) (int, error) {
	p()
	return 0, io.EOF
}

// carryOut carries out the operation of the request, atomically.
func (s *Server) carryOut(c call) (response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.bucket != s.bucket {
		return response{}, &s3Error{http.StatusNotFound, "NoSuchBucket", "the bucket does not exist"}
	}
	if operation, found := operations[c.pattern]; found {
		return operation.carryOut(s, c)
	}
	return response{}, notImplemented("the operation")
}
