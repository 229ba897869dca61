// Package s3test is an S3 over HTTP for tests: it keeps objects in memory, checks what S3 checks, and breaks on demand.
//
// github.com/johannesboyne/gofakes3 answers for buckets, listings, reads and deletes. This package adds what that library lacks and
// an uploader depends on: checksums in headers and trailers are verified, multipart uploads carry full-object and composite checksums,
// conditional writes are atomic, open uploads can be listed page by page and aged, and every request can be made to fail (see [Fault]).
//
// Not covered: signatures and permissions are not checked, buckets have no versions, and object copies, tags and access lists answer
// 501 NotImplemented. A listing shows the MD5 of a multipart object as its ETag; reads show the right one.
package s3test

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

const (
	region          = "us-east-1"
	accessKeyID     = "AKIATEST"
	secretAccessKey = "test-secret"
)

// Server is one S3 endpoint with one bucket, listening on 127.0.0.1. All methods are safe for concurrent use.
type Server struct {
	// MinPartSize, in bytes, is the smallest size of any part but the last of a multipart upload; smaller ones fail
	// CompleteMultipartUpload with EntityTooSmall. 0, the default, allows any size; S3 has 5 MiB. Set it before the first request.
	MinPartSize int64

	bucket   string
	http     *httptest.Server
	caBundle string        // PEM file with the server's certificate; empty without TLS
	stopping chan struct{} // closed when the test ends: frees requests that are held

	storeMu sync.Mutex // guards the fields of this group; held while an operation reads or changes them
	backend *s3mem.Backend
	fake    http.Handler
	records map[string]record // by bucket/key; the backend knows whether the object exists
	uploads map[string]*upload
	created int // multipart uploads ever created

	logMu    sync.Mutex // guards the fields of this group
	requests []Request
	flights  []flight
	faults   []*injected
}

// Start serves S3 over plain HTTP until the test ends, with an empty bucket of the given name.
// Over plain HTTP the SDK sends checksums as headers.
func Start(t testing.TB, bucket string) *Server {
	t.Helper()
	s := newServer(t, bucket)
	s.http.Start()
	return s
}

// StartTLS is Start over HTTPS, with the certificate of net/http/httptest. Over HTTPS the SDK sends checksums as trailers.
func StartTLS(t testing.TB, bucket string) *Server {
	t.Helper()
	s := newServer(t, bucket)
	s.http.StartTLS()
	s.caBundle = filepath.Join(t.TempDir(), "s3-ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	if err := os.WriteFile(s.caBundle, certificate, 0o600); err != nil {
		t.Fatalf("write CA bundle: %v", err)
	}
	return s
}

func newServer(t testing.TB, bucket string) *Server {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatalf("create bucket %q: %v", bucket, err)
	}
	s := &Server{
		bucket:   bucket,
		stopping: make(chan struct{}),
		backend:  backend,
		fake:     gofakes3.New(backend, gofakes3.WithoutVersioning()).Server(),
		records:  map[string]record{},
		uploads:  map[string]*upload{},
	}
	s.http = httptest.NewUnstartedServer(s)
	// Clients that distrust the certificate or hang up are part of tests, not news.
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(func() {
		close(s.stopping)
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// URL is the endpoint, without a trailing slash: http://127.0.0.1:port or https://127.0.0.1:port.
func (s *Server) URL() string { return s.http.URL }

// Client returns an SDK client for the server: path-style addressing, static credentials, region us-east-1, and trust in the
// server's certificate. Everything else is the SDK's default; optFns may change it.
func (s *Server) Client(t testing.TB, optFns ...func(*s3.Options)) *s3.Client {
	t.Helper()
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		if certificate := s.http.Certificate(); certificate != nil {
			tr.TLSClientConfig.RootCAs = x509.NewCertPool()
			tr.TLSClientConfig.RootCAs.AddCert(certificate)
		}
	})
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.URL()),
		UsePathStyle: true,
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(accessKeyID, secretAccessKey, ""),
		HTTPClient:   transport,
		// As config.LoadDefaultConfig sets them; the zero values are no defaults but send and check nothing.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}, optFns...)
}

// Environ returns the variables ("NAME=value") that make the SDK of a child process use this server and nothing of the machine's
// own AWS configuration. Append them after os.Environ(), so that they win.
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
	if s.caBundle != "" {
		environ = append(environ, "AWS_CA_BUNDLE="+s.caBundle)
	}
	return environ
}
