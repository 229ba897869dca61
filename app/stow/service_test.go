package stow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

const boundary = "myboundary"

// multipart frames parts as clients do.
func multipart(parts ...[]byte) []byte { return framed(boundary, parts...) }

func framed(boundary string, parts ...[]byte) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\nContent-Type: application/dicom\r\n\r\n")
		b.Write(p)
		b.WriteString("\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return b.Bytes()
}

// service is the handler behind HTTP, with an S3.
type service struct {
	url    string
	client *http.Client
	s3     *s3test.Server

	mu      sync.Mutex
	records []map[string]any // of the audit log
	log     bytes.Buffer
}

type option func(*stow.Handler, *s3store.Config)

func newService(t testing.TB, options ...option) *service {
	t.Helper()
	s := &service{s3: s3test.Start(t, "dicom"), client: http.DefaultClient}
	server := httptest.NewServer(s.handler(t, options...))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// smallParts makes a multipart upload of every instance longer than 64 KiB.
func smallParts(_ *stow.Handler, c *s3store.Config) { c.PartBytes = 64 << 10 }

// handler serves POST like package server, and answers a refusal with its detail as text.
func (s *service) handler(t testing.TB, options ...option) http.Handler {
	storeConfig := s3store.Config{Bucket: "dicom", Threads: 4, LargestPartBytes: 16 << 20, RetryTime: time.Second}
	h := stow.Handler{
		Config: stow.Config{HeadWindowBytes: 16 << 20, MaxRequests: 8},
		Log:    slog.New(slog.NewJSONHandler(writer{s, false}, nil)), Audit: slog.New(slog.NewJSONHandler(writer{s, true}, nil)),
		Ledger: memory.New(64<<20, 16<<20, 16<<20), Stop: t.Context(), Observe: func(stow.Transaction) {},
	}
	for _, o := range options {
		o(&h, &storeConfig)
	}
	h.Store = s3store.New(storeConfig, s.s3.Client(t), h.Ledger, h.Log)
	handler := stow.NewHandler(h)
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		var refusal *stow.Refusal
		if errors.As(err, &refusal) {
			_ = c.String(refusal.StatusCode, refusal.Detail)
			return
		}
		_ = c.String(http.StatusInternalServerError, err.Error())
	}
	e.POST("/studies", handler.Post)
	e.POST("/studies/:study", handler.Post)
	return e
}

type writer struct {
	s     *service
	audit bool
}

func (w writer) Write(p []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.audit {
		var record map[string]any
		if err := json.Unmarshal(p, &record); err != nil {
			return 0, err
		}
		w.s.records = append(w.s.records, record)
		return len(p), nil
	}
	return w.s.log.Write(p)
}

type answer struct {
	proto  string // "HTTP/1.1"
	status int
	header http.Header
	body   string
	module storeresponse.Response
}

// post sends a body; contentType "" means that of multipart.
func (s *service) post(t *testing.T, path, contentType string, body io.Reader) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, r, contentType)
}

// undeclared hides the length of a body, so that it is sent in chunks.
func undeclared(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }

// multipartType is the Content-Type of multipart with another boundary.
func multipartType(boundary string) string {
	return `multipart/related; type="application/dicom"; boundary=` + boundary
}

const noContentType = "none"

func (s *service) do(t *testing.T, r *http.Request, contentType string) answer {
	t.Helper()
	switch contentType {
	case "":
		r.Header.Set("Content-Type", multipartType(boundary))
	case noContentType:
	default:
		r.Header.Set("Content-Type", contentType)
	}
	response, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{proto: response.Proto, status: response.StatusCode, header: response.Header, body: string(got)}
	if mediaType := response.Header.Get("Content-Type"); mediaType == storeresponse.MediaTypeJSON || mediaType == storeresponse.MediaTypeXML {
		if a.module, err = storeresponse.ParseResponse(mediaType, got); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// outcomes is the module in short form: "stored 1.2 | failed 1.3 A901 | other C000".
func (a answer) outcomes() string {
	var words []string
	for _, r := range a.module.Referenced {
		word := "stored " + r.SOPInstanceUID
		if r.WarningReason != 0 {
			word += " " + r.WarningReason.Hex()
		}
		words = append(words, word)
	}
	for _, f := range a.module.Failed {
		words = append(words, "failed "+f.SOPInstanceUID+" "+f.FailureReason.Hex())
	}
	for _, reason := range a.module.OtherFailures {
		words = append(words, "other "+reason.Hex())
	}
	return strings.Join(words, " | ")
}

// stopped is a context that ends when a channel is closed.
func stopped(t testing.TB, stop <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-stop
		cancel()
	}()
	return ctx
}
