package s3test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
)

// call is one request with its payload read, decoded and verified.
type call struct {
	Request
	payload []byte
	sum     checksum // that the client sent for the payload; zero if none
	http    *http.Request
}

// ServeHTTP answers one S3 request. It is there for net/http; tests use Client or Environ.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := newRequest(r)
	served := s.arrive(request)
	defer served()
	fault := s.dueFault(request)

	if fault.Cut {
		// Whether half of the body still comes does not matter to a connection that is to break.
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		fault.hit(request)
		cut()
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		cut() // the client went away
	}
	fault.hit(request)
	if fault.Hold != nil {
		select {
		case <-fault.Hold:
		case <-r.Context().Done():
			cut()
		case <-s.stopping:
			cut()
		}
	}
	var answer response
	if fault.Status != 0 {
		answer = (&s3Error{fault.Status, fault.Code, "injected by the test"}).response()
	} else {
		answer = s.answer(request, r, raw, fault.Corrupt)
	}
	if fault.CutAfter {
		cut()
	}
	answer.send(w)
}

// cut closes the connection without an answer; net/http does it on this panic.
func cut() { panic(http.ErrAbortHandler) }

func (s *Server) answer(request Request, r *http.Request, raw []byte, corrupt bool) response {
	answer, err := s.serve(request, r, raw, corrupt)
	if err == nil {
		return answer
	}
	var refused *s3Error
	if !errors.As(err, &refused) {
		panic(fmt.Sprintf("s3test: %s: %v", request.Operation, err))
	}
	return refused.response()
}

func (s *Server) serve(request Request, r *http.Request, raw []byte, corrupt bool) (response, error) {
	c := call{Request: request, http: r}
	var err error
	if c.payload, c.sum, err = verifiedPayload(request, raw, corrupt); err != nil {
		return response{}, err
	}
	s.storeMu.Lock()
	defer s.storeMu.Unlock()
	switch request.Operation {
	case "PutObject":
		return s.putObject(c)
	case "CreateMultipartUpload":
		return s.createMultipartUpload(c)
	case "UploadPart":
		return s.uploadPart(c)
	case "CompleteMultipartUpload":
		return s.completeMultipartUpload(c)
	case "AbortMultipartUpload":
		return s.abortMultipartUpload(c)
	case "ListMultipartUploads":
		return s.listMultipartUploads(c)
	case "ListParts":
		return s.listParts(c)
	case "GetObject", "HeadObject":
		return s.readObject(c), nil
	case "Other":
		return response{}, &s3Error{http.StatusNotImplemented, "NotImplemented", "this server for tests does not know the operation"}
	}
	return s.delegate(c), nil
}

// delegate lets gofakes3 answer. The caller holds storeMu, so that what it reads fits s.records.
func (s *Server) delegate(c call) response {
	r := c.http.Clone(c.http.Context())
	r.Body = io.NopCloser(bytes.NewReader(c.payload))
	recorder := httptest.NewRecorder()
	s.fake.ServeHTTP(recorder, r)
	return response{recorder.Code, recorder.Result().Header, recorder.Body.Bytes()}
}

// ensureBucket refuses a request for a bucket that does not exist.
func (s *Server) ensureBucket(c call) error {
	if exists, err := s.backend.BucketExists(c.bucket); err != nil || !exists {
		return &s3Error{http.StatusNotFound, "NoSuchBucket", "the bucket does not exist"}
	}
	return nil
}
