// Package s3test is an S3 server for tests: it keeps objects in memory, checks what S3 checks, and fails on demand.
//
// It serves what an uploader needs, with path-style addresses: HeadBucket, PutObject, GetObject and HeadObject, the five operations of a
// multipart upload with ListParts, ListMultipartUploads and ListObjectsV2 (without delimiter and start-after). Checksums in headers and trailers are verified, conditional writes are
// atomic, and listings come page by page. Each request can be delayed, refused, held or cut (see [Fault]), and so can all of them at
// once (see [Server.SetLatency], [Server.SetOutage], [Server.SetCapacity], [Server.SetUnreachable]).
//
// Limits: signatures and permissions are not checked, and there are no ranges, versions, copies or deletes. A multipart
// upload has a CRC64NVME over the full object, whatever its parts have. Any other operation is answered with 501 NotImplemented.
package s3test

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	region          = "us-east-1"
	accessKeyID     = "AKIATEST"
	secretAccessKey = "test-secret"
)

// Server is an S3 endpoint with one bucket. All methods are safe for concurrent use; set the fields before the first request.
type Server struct {
	// MinPartSize, in bytes, is the smallest size of any part but the last of a multipart upload; with a smaller part,
	// CompleteMultipartUpload fails with EntityTooSmall. 0, the default, allows any size; S3 has 5 MiB.
	MinPartSize int64
	// NoChecksums imitates an older S3-compatible server: it ignores x-amz-checksum-* in headers and trailers, and returns none.
	// It still verifies the signed hash of a payload, so with UNSIGNED-PAYLOAD it verifies nothing.
	NoChecksums bool
	// Discard verifies the bytes of objects but keeps neither them nor the log of requests, so that a load test does not fill the memory.
	// Then GetObject answers 501, Object returns no bytes, and Requests no requests.
	Discard bool

	bucket   string
	caFile   string           // PEM file with the server's certificate; empty without TLS
	http     *httptest.Server // nil until Listen
	stop     sync.Once
	stopping chan struct{} // is closed to end the requests that wait

	unreachable atomic.Bool
	ahead       atomic.Int64 // of the clock, in nanoseconds

	mu       sync.Mutex // guards the fields below; never held while a request is read, waits or is answered
	objects  map[string]object
	uploads  map[string]*upload
	created  int // multipart uploads ever created
	requests []Request
	counters Counters
	faults   []*injected
	// Settings for all requests, until they are set again.
	latency  map[string]time.Duration // by operation; "" is the others
	capacity int
	served   int // requests in flight, without those that capacity refuses
	outage   Fault
}

// New returns a server with an empty bucket. It is an [http.Handler] for a listener of the caller's, or can [Server.Listen] itself.
func New(bucket string) *Server {
	return &Server{
		bucket: bucket, objects: map[string]object{}, uploads: map[string]*upload{}, latency: map[string]time.Duration{},
		counters: Counters{map[string]int{}, 0, map[string]int{}, map[string]int{}}, stopping: make(chan struct{}),
	}
}

// Listen serves on a TCP address such as "127.0.0.1:0" until Close: plain HTTP, or HTTPS if caFile is not empty. The certificate is
// that of net/http/httptest; Listen writes it to caFile, as PEM. Call it once. With plain HTTP the SDK sends checksums as headers,
// with HTTPS as trailers.
func (s *Server) Listen(address, caFile string) error {
	tcp, err := net.Listen("tcp", address) //nolint:noctx // at once
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	// Tests include clients that distrust the certificate or close the connection; their errors are not logged.
	config := &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)}
	s.http = &httptest.Server{Listener: listener{tcp, s}, Config: config}
	if caFile == "" {
		s.http.Start()
		return nil
	}
	s.caFile = caFile
	s.http.StartTLS()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	return os.WriteFile(caFile, certificate, 0o600) //nolint:wrapcheck // it names the file
}

// Close cuts all connections, and returns when no request is served any more. Requests that wait are dropped. Objects can still
// be read with the methods of Server.
func (s *Server) Close() {
	s.stop.Do(func() { close(s.stopping) })
	if s.http != nil {
		_ = s.http.Listener.Close() // so that no new connection arrives between the next two calls, which close it again
		s.http.CloseClientConnections()
		s.http.Close()
	}
}

// listener closes each connection that it accepts while the server is unreachable.
type listener struct {
	net.Listener
	server *Server
}

func (l listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || !l.server.unreachable.Load() {
			return conn, err //nolint:wrapcheck // for net/http
		}
		_ = conn.Close()
	}
}

// URL is the endpoint of a server that listens, without a trailing slash: http://127.0.0.1:port or https://127.0.0.1:port.
func (s *Server) URL() string { return s.http.URL }

// Environ returns the variables ("NAME=value") that make the SDK of a child process use this server, and ignore the machine's
// own AWS configuration. Append them after os.Environ(), so that they take precedence.
func (s *Server) Environ() []string {
	environ := []string{
		"AWS_ENDPOINT_URL_S3=" + s.URL(),
		"AWS_ACCESS_KEY_ID=" + accessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + secretAccessKey,
		"AWS_SESSION_TOKEN=",
		"AWS_REGION=" + region,
		"AWS_PROFILE=",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
	}
	if s.caFile != "" {
		environ = append(environ, "AWS_CA_BUNDLE="+s.caFile)
	}
	return environ
}
