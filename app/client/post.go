package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// answerLimit limits the body of one answer, in bytes: it is kept in memory. A module that names 10,000
// instances in XML is about 8 MB.
const answerLimit = 16 << 20

// expectFrom is the length in bytes from which a request has Expect: 100-continue, so that it can be refused before
// it sends its body. A shorter body is sent faster than this question is answered.
const expectFrom = 1 << 20

// answer is the response to one request.
type answer struct {
	proto  string // HTTP/1.1
	status string // 200 OK
	code   int
	header http.Header
	body   []byte

	module    storeresponse.Response
	hasModule bool // module names at least one instance or failure
}

// exchange is the outcome of one request.
type exchange struct {
	answer     *answer   // nil if there was none
	err        error     // why there is no answer
	bytes      int64     // of instances that were read from files
	unsendable *instance // its file could not be read or has changed; nil if there is none
	why        error     // of unsendable
}

// post sends the instances in one Store transaction (PS3.18 §10.5) and reads the complete answer.
func (s *sender) post(ctx context.Context, instances []*instance) exchange {
	body := newBody(instances, s.progress.read)
	var e exchange
	expect := body.length() >= expectFrom && s.expect.Load()
	e.answer, e.err = s.exchange(ctx, body, expect)
	e.bytes, e.unsendable, e.why = body.outcome()
	if expect && e.err == nil && e.answer.code == http.StatusExpectationFailed {
		// RFC 9110 §10.1.1: the same request again without the expectation.
		s.expect.Store(false)
		s.progress.add(-e.bytes)
		return s.post(ctx, instances)
	}
	return e
}

func (s *sender) exchange(ctx context.Context, body *body, expect bool) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.target.String(), limit(ctx, body, s.limiter))
	if err != nil {
		return nil, err
	}
	request.ContentLength = body.length()
	request.Header.Set("Content-Type", body.contentType())
	request.Header.Set("Accept", s.options.mediaType())
	request.Header.Set("User-Agent", "stowrs")
	if expect {
		request.Header.Set("Expect", "100-continue")
	}
	if err := s.options.authorize(request); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnasked, err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	a := &answer{proto: response.Proto, status: response.Status, code: response.StatusCode, header: response.Header}
	a.body, err = readWithin(responseTimeout, response.Body, answerLimit+1)
	if err != nil {
		return nil, fmt.Errorf("read the answer to HTTP %s: %w", a.status, err)
	}
	if len(a.body) > answerLimit {
		return nil, fmt.Errorf("the answer is longer than %d bytes", answerLimit)
	}
	a.parse()
	a.hide(request.Header)
	return a, nil
}

// readWithin reads a body up to most bytes. It fails if this takes longer than the time left, because a server can send
// its answer byte by byte without an end.
func readWithin(left time.Duration, body io.ReadCloser, most int64) ([]byte, error) {
	timer := time.AfterFunc(left, func() { _ = body.Close() }) // ends the ReadAll
	content, err := io.ReadAll(io.LimitReader(body, most))
	if !timer.Stop() {
		return nil, fmt.Errorf("it was not complete within %s", left)
	}
	return content, err
}

// parse looks for a response module with every status and every Content-Type, because some services set them
// wrongly: the standard has it in 200, 202, 409 and 503 (PS3.18 Table 10.5.3-1).
func (a *answer) parse() {
	module, err := storeresponse.ParseResponse(a.header.Get("Content-Type"), a.body)
	if err != nil {
		return // another document, such as a problem (RFC 9457)
	}
	a.module = module
	a.hasModule = len(module.Referenced)+len(module.Failed)+len(module.OtherFailures) > 0
}
