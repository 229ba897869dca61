package s3test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Request is one request that reached the server, with any outcome.
type Request struct {
	Operation     string // S3's name of the operation, such as "PutObject"; "Other" for an operation that this server does not know
	Key           string // empty for operations on the bucket
	PartNumber    int    // of UploadPart; otherwise 0
	ContentLength int64  // bytes of payload as declared, without aws-chunked framing; -1 if not declared
	Header        http.Header
	Query         url.Values

	bucket, pattern string
}

// Counters count the requests so far.
type Counters struct {
	// Answers by operation and status, such as "PutObject 200"; "PutObject cut" counts those that got no answer, or an incomplete one.
	Answers map[string]int
	// ReceivedBytes of payload, as declared by all requests.
	ReceivedBytes int64
	// InFlight is the number of requests that are being served, and MaxInFlight its highest value so far, by operation; "" is all. A
	// request is in flight from its arrival, before its body is read, until its answer is ready.
	InFlight, MaxInFlight map[string]int
}

// Requests returns all requests so far, in the order of arrival. The slice is a copy; headers and queries are shared: do not change them.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Counters returns a copy of the counters.
func (s *Server) Counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counters
	return Counters{maps.Clone(c.Answers), c.ReceivedBytes, maps.Clone(c.InFlight), maps.Clone(c.MaxInFlight)}
}

// MaxInFlight returns the highest number of requests that were served at the same time so far. If an operation is named, only its requests count.
func (s *Server) MaxInFlight(operation ...string) int {
	return s.Counters().MaxInFlight[strings.Join(operation, "")]
}

// arrive logs a request and returns the fault that hits it. Call leave when the answer is ready.
func (s *Server) arrive(request Request) (due Fault, leave func(outcome string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fly(request.Operation, +1)
	if !s.Discard {
		s.requests = append(s.requests, request)
	}
	s.counters.ReceivedBytes += max(request.ContentLength, 0)
	overloaded := s.capacity > 0 && s.served >= s.capacity
	if !overloaded {
		s.served++
	}
	return s.dueFault(request, overloaded), func(outcome string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fly(request.Operation, -1)
		s.counters.Answers[request.Operation+" "+outcome]++
		if !overloaded {
			s.served--
		}
	}
}

func (s *Server) fly(operation string, change int) {
	for _, name := range []string{operation, ""} {
		s.counters.InFlight[name] += change
		s.counters.MaxInFlight[name] = max(s.counters.MaxInFlight[name], s.counters.InFlight[name])
	}
}

// newRequest parses a request of S3's REST API: method, path (path-style), query and headers.
func newRequest(r *http.Request) Request {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	request := Request{Key: key, ContentLength: r.ContentLength, Header: r.Header.Clone(), Query: r.URL.Query(), bucket: bucket}
	request.pattern, request.Operation = newPattern(r.Method, request), "Other"
	if known, found := operations[request.pattern]; found {
		request.Operation = known.name
	}
	if decoded, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil {
		request.ContentLength = decoded
	}
	// An invalid number becomes 0, which is refused like every number outside 1 to 10,000.
	request.PartNumber, _ = strconv.Atoi(request.Query.Get("partNumber"))
	return request
}

// operation is an operation that this server knows.
type operation struct {
	name     string
	carryOut func(*Server, call) (response, error)
}

// operations are indexed by method, by what the path names, and by what the query contains besides parameters.
var operations = map[string]operation{
	"HEAD bucket":            {"HeadBucket", func(*Server, call) (response, error) { return emptyResponse(http.StatusOK), nil }},
	"GET bucket uploads":     {"ListMultipartUploads", (*Server).listMultipartUploads},
	"GET bucket list-type":   {"ListObjectsV2", (*Server).listObjects},
	"PUT object":             {"PutObject", (*Server).putObject},
	"GET object":             {"GetObject", (*Server).readObject},
	"HEAD object":            {"HeadObject", (*Server).readObject},
	"POST object uploads":    {"CreateMultipartUpload", (*Server).createMultipartUpload},
	"PUT object uploadId":    {"UploadPart", (*Server).uploadPart},
	"GET object uploadId":    {"ListParts", (*Server).listParts},
	"POST object uploadId":   {"CompleteMultipartUpload", (*Server).completeMultipartUpload},
	"DELETE object uploadId": {"AbortMultipartUpload", (*Server).abortMultipartUpload},
}

var parameters = []string{"x-id", "partNumber", "prefix", "max-uploads", "key-marker", "upload-id-marker", "max-parts", "part-number-marker", "max-keys", "continuation-token"}

// newPattern makes the key of a request in operations. A query or header that changes the meaning of a request is part of it, so
// PutObjectTagging is never taken for PutObject.
func newPattern(method string, r Request) string {
	pattern := method + " object"
	if r.Key == "" {
		pattern = method + " bucket"
	}
	for parameter := range r.Query {
		if !slices.Contains(parameters, parameter) {
			pattern += " " + parameter
		}
	}
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		pattern += " copy"
	}
	return pattern
}
