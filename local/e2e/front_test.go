package e2e

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// front is a proxy before an S3 server that can simulate the faults of S3 and of its networks.
// All methods are safe for concurrent use.
type front struct {
	next http.Handler
	http *httptest.Server

	mu          sync.Mutex // guards the fields below
	latency     time.Duration
	discards    bool
	noChecksums bool
	faults      []*fault
	seen        map[string]int
}

// fault is a fault of requests. It has one of the actions; hold can be combined with another one.
type fault struct {
	operation string // S3's name of it; "": every one
	skip      int    // requests that pass before the fault hits
	times     int    // requests that it hits; 0: all, until the fault is ended

	status   int    // is answered, and the operation is not carried out
	code     string // of the error document
	cut      bool   // the connection ends without an answer, and the operation is not carried out
	cutAfter bool   // the operation is carried out, and the answer is lost
	flip     bool   // one bit of the payload is damaged before the server sees it
	hold     <-chan struct{}

	matched int
}

// newFront serves until the test ends.
func newFront(t *testing.T, next http.Handler) *front {
	t.Helper()
	f := &front{next: next, seen: map[string]int{}}
	f.http = httptest.NewUnstartedServer(f)
	f.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.http.Start()
	t.Cleanup(func() {
		f.http.CloseClientConnections()
		f.http.Close()
	})
	return f
}

// inject adds a fault, and returns a function that ends it.
func (f *front) inject(injected fault) (lift func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	added := &injected
	f.faults = append(f.faults, added)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for n, other := range f.faults {
			if other == added {
				f.faults = append(f.faults[:n:n], f.faults[n+1:]...)
				return
			}
		}
	}
}

// setLatency delays each request by this time before it is processed.
func (f *front) setLatency(latency time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latency = latency
}

// discard makes the front acknowledge objects and parts without storing them.
func (f *front) discard() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.discards = true
}

// forgetChecksums makes the server one that does not know additional
// checksums: it ignores them in requests, and returns none.
func (f *front) forgetChecksums() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noChecksums = true
}

// count returns the number of requests of the operation so far.
func (f *front) count(operation string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[operation]
}

// arrive counts a request, and decides how it is treated.
func (f *front) arrive(operation string) (hit fault, latency time.Duration, discards, noChecksums bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[operation]++
	for _, injected := range f.faults {
		if injected.operation != "" && injected.operation != operation {
			continue
		}
		injected.matched++
		if injected.matched > injected.skip && (injected.times == 0 || injected.matched <= injected.skip+injected.times) {
			hit = *injected
			break
		}
	}
	return hit, f.latency, f.discards, f.noChecksums
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := s3Operation(r)
	hit, latency, discards, noChecksums := f.arrive(operation)
	if latency > 0 {
		select {
		case <-time.After(latency):
		case <-r.Context().Done():
		}
	}
	if hit.hold != nil || hit.flip || noChecksums {
		readPayload(r, hit.flip, noChecksums)
	}
	if hit.hold != nil {
		select {
		case <-hit.hold:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	switch {
	case hit.status != 0:
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(hit.status)
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>by the test</Message><RequestId>TEST</RequestId></Error>`, hit.code)
	case hit.cut:
		io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		panic(http.ErrAbortHandler)
	case hit.cutAfter:
		f.next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case discards:
		acknowledge(w, r, operation)
	case noChecksums:
		f.serveWithoutChecksums(w, r)
	default:
		f.next.ServeHTTP(w, r)
	}
}

// readPayload reads the payload first, and changes it if the fault says so.
func readPayload(r *http.Request, flip, noChecksums bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if flip && len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	if noChecksums {
		body = withoutChecksums(r, body)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// serveWithoutChecksums removes them from the answer.
func (f *front) serveWithoutChecksums(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	f.next.ServeHTTP(answer, r)
	for name, values := range answer.Header() {
		if !strings.HasPrefix(name, "X-Amz-Checksum-") {
			w.Header()[name] = values
		}
	}
	payload := checksumElement.ReplaceAll(answer.Body.Bytes(), nil)
	if r.Method != http.MethodHead { // whose answer tells the length of the object
		w.Header().Set("Content-Length", fmt.Sprint(len(payload)))
	}
	w.WriteHeader(answer.Code)
	w.Write(payload)
}

var checksumElement = regexp.MustCompile(`<Checksum[A-Z0-9a-z]*>[^<]*</Checksum[A-Z0-9a-z]*>`)

// withoutChecksums removes additional checksums from a request.
func withoutChecksums(r *http.Request, body []byte) []byte {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") || name == "X-Amz-Sdk-Checksum-Algorithm" {
			r.Header.Del(name)
		}
	}
	if s3Operation(r) != "CompleteMultipartUpload" {
		return body
	}
	// The digest would no longer match, and this list is not the subject of the test.
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	return checksumElement.ReplaceAll(body, nil)
}

// s3Operation is S3's name of the request.
func s3Operation(r *http.Request) string {
	query := r.URL.Query()
	_, key, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case key == "" && query.Has("uploads"):
		return "ListMultipartUploads"
	case key == "":
		return r.Method + " bucket"
	case query.Has("uploads"):
		return "CreateMultipartUpload"
	case query.Has("uploadId"):
		return map[string]string{"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload", "GET": "ListParts"}[r.Method]
	}
	return map[string]string{"PUT": "PutObject", "HEAD": "HeadObject", "GET": "GetObject", "DELETE": "DeleteObject"}[r.Method]
}

// acknowledge answers like S3, but stores nothing.
func acknowledge(w http.ResponseWriter, r *http.Request, operation string) {
	io.Copy(io.Discard, r.Body)
	checksum := r.Header.Get("X-Amz-Checksum-Crc64nvme")
	if checksum != "" {
		w.Header().Set("X-Amz-Checksum-Crc64nvme", checksum)
		w.Header().Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
	w.Header().Set("Etag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	switch operation {
	case "CreateMultipartUpload":
		fmt.Fprint(w, `<InitiateMultipartUploadResult><Bucket>dicom</Bucket><Key>k</Key><UploadId>upload</UploadId></InitiateMultipartUploadResult>`)
	case "CompleteMultipartUpload":
		fmt.Fprintf(w, `<CompleteMultipartUploadResult><Bucket>dicom</Bucket><Key>k</Key><ETag>"0-1"</ETag><ChecksumCRC64NVME>%s</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>`, checksum)
	case "ListMultipartUploads":
		fmt.Fprint(w, `<ListMultipartUploadsResult><Bucket>dicom</Bucket><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>`)
	case "AbortMultipartUpload":
		w.WriteHeader(http.StatusNoContent)
	case "HeadObject", "GetObject":
		w.WriteHeader(http.StatusNotFound)
	}
}
