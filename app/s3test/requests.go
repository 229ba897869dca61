package s3test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Request is one request that reached the server, whatever became of it.
type Request struct {
	Operation     string // S3's name of the operation, such as "PutObject"; "Other" for what this server does not know
	Key           string // empty for operations on the bucket
	PartNumber    int    // of UploadPart, else 0
	ContentLength int64  // bytes of payload as declared, without aws-chunked framing; -1 if not declared
	Header        http.Header
	Query         url.Values

	bucket string
}

// flight is the begin (+1) or the end (-1) of serving one request.
type flight struct {
	operation string
	change    int
}

// Requests returns all requests so far in order of arrival. The log is the caller's copy; headers and queries are shared, do not change them.
func (s *Server) Requests() []Request {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	return slices.Clone(s.requests)
}

// MaxInFlight returns the highest number of requests of the given operations (none: of all) served at the same time so far.
// A request is in flight from its arrival, before its body is read, until its answer is ready.
func (s *Server) MaxInFlight(operations ...string) int {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	now, most := 0, 0
	for _, f := range s.flights {
		if len(operations) == 0 || slices.Contains(operations, f.operation) {
			now += f.change
			most = max(most, now)
		}
	}
	return most
}

// arrive logs a request; the caller runs the returned function when the request is served.
func (s *Server) arrive(request Request) (served func()) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.requests = append(s.requests, request)
	s.flights = append(s.flights, flight{request.Operation, +1})
	return func() {
		s.logMu.Lock()
		defer s.logMu.Unlock()
		s.flights = append(s.flights, flight{request.Operation, -1})
	}
}

// newRequest reads what S3's REST API puts into method, path (path-style), query and header.
func newRequest(r *http.Request) Request {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	request := Request{Key: key, ContentLength: r.ContentLength, Header: r.Header.Clone(), Query: r.URL.Query(), bucket: bucket}
	request.Operation = operation(r.Method, bucket, key, request.Query, r.Header)
	if decoded, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil {
		request.ContentLength = decoded
	}
	if request.Operation == "UploadPart" {
		// A number that is none stays 0, which S3 refuses as it refuses every number outside 1 to 10,000.
		request.PartNumber, _ = strconv.Atoi(request.Query.Get("partNumber"))
	}
	return request
}

// operation names the operation of a request. Sub-resources that change the meaning of a request and are not served here
// make it "Other", so that PutObjectTagging is never taken for PutObject.
func operation(method, bucket, key string, query url.Values, header http.Header) string {
	for _, other := range []string{"acl", "attributes", "cors", "encryption", "legal-hold", "lifecycle", "object-lock", "policy", "restore",
		"retention", "select", "tagging", "versionId", "versioning", "versions"} {
		if query.Has(other) {
			return "Other"
		}
	}
	scope := method + " object"
	switch {
	case bucket == "":
		scope = method + " service"
	case key == "":
		scope = method + " bucket"
	}
	copies := header.Get("X-Amz-Copy-Source") != ""
	for _, rule := range []struct {
		scope     string
		applies   bool
		operation string
	}{
		{"GET service", true, "ListBuckets"},
		{"HEAD bucket", true, "HeadBucket"},
		{"PUT bucket", true, "CreateBucket"},
		{"DELETE bucket", true, "DeleteBucket"},
		{"POST bucket", query.Has("delete"), "DeleteObjects"},
		{"GET bucket", query.Has("uploads"), "ListMultipartUploads"},
		{"GET bucket", query.Has("location"), "GetBucketLocation"},
		{"GET bucket", query.Get("list-type") == "2", "ListObjectsV2"},
		{"GET bucket", true, "ListObjects"},
		{"GET object", query.Has("uploadId"), "ListParts"},
		{"GET object", true, "GetObject"},
		{"HEAD object", true, "HeadObject"},
		{"PUT object", copies, "Other"},
		{"PUT object", query.Has("uploadId"), "UploadPart"},
		{"PUT object", true, "PutObject"},
		{"DELETE object", query.Has("uploadId"), "AbortMultipartUpload"},
		{"DELETE object", true, "DeleteObject"},
		{"POST object", query.Has("uploads"), "CreateMultipartUpload"},
		{"POST object", query.Has("uploadId"), "CompleteMultipartUpload"},
	} {
		if rule.scope == scope && rule.applies {
			return rule.operation
		}
	}
	return "Other"
}
