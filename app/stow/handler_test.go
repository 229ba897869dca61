package stow_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/stow"
)

const (
	classUID = "1.2.840.10008.5.1.4.1.1.2"
	study    = "1.2.3"
	series   = "1.2.3.4"
)

// instance is a PS3.10 file, explicit VR little endian, with pixels of pixelBytes.
func instance(sop, study, series, class string, pixelBytes int) []byte {
	var meta, b bytes.Buffer
	ui := func(b *bytes.Buffer, group, element uint16, value string) {
		if value == "absent" {
			return
		}
		if len(value)%2 == 1 {
			value += "\x00"
		}
		_ = binary.Write(b, binary.LittleEndian, []uint16{group, element})
		b.WriteString("UI")
		_ = binary.Write(b, binary.LittleEndian, uint16(len(value)))
		b.WriteString(value)
	}
	ui(&meta, 0x0002, 0x0002, class)
	ui(&meta, 0x0002, 0x0003, sop)
	ui(&meta, 0x0002, 0x0010, "1.2.840.10008.1.2.1")
	b.Write(make([]byte, 128))
	b.WriteString("DICM\x02\x00\x00\x00UL\x04\x00")
	_ = binary.Write(&b, binary.LittleEndian, uint32(meta.Len()))
	b.Write(meta.Bytes())
	ui(&b, 0x0008, 0x0016, class)
	ui(&b, 0x0008, 0x0018, sop)
	ui(&b, 0x0020, 0x000D, study)
	ui(&b, 0x0020, 0x000E, series)
	b.WriteString("\xE0\x7F\x10\x00OW\x00\x00")
	_ = binary.Write(&b, binary.LittleEndian, uint32(pixelBytes))
	for i := range pixelBytes {
		b.WriteByte(byte(i * i >> 3))
	}
	return b.Bytes()
}

func ct(sop string, pixelBytes int) []byte { return instance(sop, study, series, classUID, pixelBytes) }

const boundary = "myboundary"

func multipart(parts ...[]byte) []byte {
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
	url string
	s3  *s3test.Server

	mu      sync.Mutex
	records []map[string]any // of the audit log
	log     bytes.Buffer
}

type option func(*stow.Handler, *s3store.Config)

func newService(t *testing.T, options ...option) *service {
	t.Helper()
	s := &service{s3: s3test.Start(t, "dicom")}
	storeConfig := s3store.Config{Bucket: "dicom", Threads: 4, MemoryBudgetBytes: 64 << 20, HeadWindowBytes: 16 << 20}
	h := stow.Handler{
		Config: stow.Config{HeadWindowBytes: 16 << 20, MaxRequests: 8},
		Log:    slog.New(slog.NewJSONHandler(writer{s, false}, nil)), Audit: slog.New(slog.NewJSONHandler(writer{s, true}, nil)),
		Stop: t.Context(), Observe: func(stow.Transaction) {},
	}
	for _, o := range options {
		o(&h, &storeConfig)
	}
	client := s.s3.Client(t, func(o *s3.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 2, 1 })
	})
	h.Store = s3store.New(storeConfig, client, h.Log)
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
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
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
	status int
	header http.Header
	body   string
	module stow.Response
}

// post sends a body; contentType "" is that of multipart.
func (s *service) post(t *testing.T, path, contentType string, body io.Reader) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, r, contentType)
}

func (s *service) do(t *testing.T, r *http.Request, contentType string) answer {
	t.Helper()
	if contentType == "" {
		contentType = `multipart/related; type="application/dicom"; boundary=` + boundary
	}
	r.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: string(got)}
	if response.Header.Get("Content-Type") == stow.MediaTypeJSON {
		if a.module, err = stow.ParseResponse(stow.MediaTypeJSON, got); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// outcomes is the module in short: "stored 1.2 | failed 1.3 A901 | other C000".
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

// The statuses of PS3.18 Table 10.5.3-1 and the reasons of Table I.2-2: every bad
// part harms only itself (promise 4).
func TestStore(t *testing.T) {
	a, b := ct("1.1", 10), ct("1.2", 3000)
	garbage := []byte("this is not DICOM at all, it is only text")
	mismatched := bytes.Replace(ct("1.7", 10), []byte("1.7\x00"), []byte("1.8\x00"), 1)
	tests := map[string]struct {
		path, contentType string
		body              []byte
		status            int
		want              string
	}{
		"all stored":                    {body: multipart(a, b), status: 200, want: "stored 1.1 | stored 1.2"},
		"the study of the URL":          {path: "/studies/" + study, body: multipart(a), status: 200, want: "stored 1.1"},
		"single application/dicom body": {contentType: "application/dicom", body: a, status: 200, want: "stored 1.1"},
		"garbage among good ones":       {body: multipart(a, garbage, b), status: 202, want: "stored 1.1 | stored 1.2 | other C000"},
		"only garbage":                  {body: multipart(garbage, nil), status: 400, want: "other C000 | other C000"},
		"empty single body":             {contentType: "application/dicom", status: 400, want: "other C000"},
		"another study's instance":      {path: "/studies/9.9", body: multipart(a), status: 409, want: "failed 1.1 A901"},
		"another study's among others":  {path: "/studies/" + study, body: multipart(a, instance("1.3", "9.9", series, classUID, 1)), status: 202, want: "stored 1.1 | failed 1.3 A901"},
		"study missing":                 {body: multipart(instance("1.3", "absent", series, classUID, 1)), status: 409, want: "failed 1.3 0120"},
		"series empty":                  {body: multipart(instance("1.3", study, "", classUID, 1)), status: 409, want: "failed 1.3 0121"},
		"SOP Instance UID missing":      {body: multipart(instance("absent", study, series, classUID, 1)), status: 409, want: "other 0120"},
		"SOP Class UID missing":         {body: multipart(instance("1.3", study, series, "absent", 1)), status: 409, want: "failed 1.3 0120"},
		"study over-long":               {body: multipart(instance("1.3", strings.Repeat("1", 65), series, classUID, 1)), status: 409, want: "failed 1.3 0117"},
		"study of letters":              {body: multipart(instance("1.3", "abc.123", series, classUID, 1)), status: 409, want: "failed 1.3 0117"},
		"study is a path":               {body: multipart(instance("1.3", "../../etc", series, classUID, 1)), status: 409, want: "failed 1.3 0117"},
		"study is a dot":                {body: multipart(instance("1.3", ".", series, classUID, 1)), status: 409, want: "failed 1.3 0117"},
		"series is two dots":            {body: multipart(instance("1.3", study, "..", classUID, 1)), status: 409, want: "failed 1.3 0117"},
		"SOP Instance UID is 1..2":      {body: multipart(instance("1..2", study, series, classUID, 1)), status: 409, want: "other 0117"},
		"File Meta names another":       {body: multipart(mismatched), status: 202, want: "stored 1.7 B007"},
		"truncated body":                {body: multipart(a, b)[:len(multipart(a, b))-500], status: 202, want: "stored 1.1 | failed 1.2 C000"},
		"truncated first instance":      {body: multipart(b)[:1000], status: 400, want: "failed 1.2 C000"},
		"closing boundary missing":      {body: bytes.TrimSuffix(multipart(a, b), []byte("--\r\n")), status: 202, want: "stored 1.1 | failed 1.2 C000"},
		"part is shorter than declared": {body: bytes.Replace(multipart(a, b), []byte("\r\n\r\n"), []byte("\r\nContent-Length: 9999\r\n\r\n"), 1), status: 202, want: "stored 1.2 | failed 1.1 C000"},
		"zero parts":                    {body: multipart(), status: 400},
		"empty body":                    {status: 400},
		"boundary does not occur":       {body: []byte("nothing here"), status: 400},
		"no boundary":                   {contentType: `multipart/related; type="application/dicom"`, body: multipart(a), status: 400},
		"not multipart":                 {contentType: "text/plain", body: a, status: 415},
		"study of the URL is no UID":    {path: "/studies/abc", body: multipart(a), status: 400},
		"study of the URL is over-long": {path: "/studies/" + strings.Repeat("1", 65), body: multipart(a), status: 400},
		"study of the URL is a path":    {path: "/studies/..%2f..", body: multipart(a), status: 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			if test.path == "" {
				test.path = "/studies"
			}
			got := s.post(t, test.path, test.contentType, bytes.NewReader(test.body))
			if got.status != test.status || got.outcomes() != test.want {
				t.Errorf("got %d %q, want %d %q; body %s\n%s", got.status, got.outcomes(), test.status, test.want, got.body, s.log.String())
			}
			want := map[string]bool{}
			for _, r := range got.module.Referenced {
				key := s3store.Key("", study, series, r.SOPInstanceUID, "")
				want[key] = true
				for _, sent := range [][]byte{a, b, mismatched} {
					if stored, _, _ := s.s3.Object(key); bytes.Equal(stored, sent) {
						delete(want, key)
					}
				}
			}
			if len(want) > 0 || len(s.s3.Keys()) != len(got.module.Referenced) || len(s.s3.OpenUploads()) > 0 {
				t.Errorf("stored as reported, but not byte-exact: %v; in the bucket: %v", want, s.s3.Keys())
			}
			if len(s.records) != 1 || int(s.records[0]["status"].(float64)) != got.status {
				t.Errorf("audit records: %v", s.records)
			}
		})
	}
}

// Promise 1: an outage is 503 with the response module, so that senders come again.
func TestOutageIsTemporary(t *testing.T) {
	tests := map[string]struct {
		fault  s3test.Fault
		status int
		want   string
	}{
		"everything fails":   {s3test.Fault{Status: 500, Code: "InternalError"}, 503, "failed 1.1 0110 | failed 1.2 0110"},
		"everything is slow": {s3test.Fault{Status: 503, Code: "SlowDown"}, 503, "failed 1.1 A700 | failed 1.2 A700"},
		"one fails":          {s3test.Fault{Key: func(k string) bool { return strings.HasSuffix(k, "/1.2") }, Status: 500, Code: "InternalError"}, 202, "stored 1.1 | failed 1.2 0110"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			test.fault.Operation = "PutObject"
			s.s3.Inject(test.fault)
			got := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 10), ct("1.2", 10))))
			if got.status != test.status || got.outcomes() != test.want {
				t.Errorf("got %d %q, want %d %q", got.status, got.outcomes(), test.status, test.want)
			}
			if retryAfter := got.header.Get("Retry-After"); (retryAfter != "") != (test.status == 503) {
				t.Errorf("Retry-After is %q at status %d", retryAfter, test.status)
			}
			if strings.Contains(got.body, "InternalError") || strings.Contains(got.body, "dicom/") {
				t.Errorf("the client sees detail of S3: %s", got.body)
			}
		})
	}
}

// An outage that mixes with conflicts is a conflict: PS3.18 Table 10.5.3-1, "a mixture of reasons".
func TestMixtureOfFailures(t *testing.T) {
	s := newService(t)
	s.s3.Inject(s3test.Fault{Operation: "PutObject", Status: 500, Code: "InternalError"})
	got := s.post(t, "/studies/"+study, "", bytes.NewReader(multipart(ct("1.1", 10), instance("1.2", "9.9", series, classUID, 1))))
	if want := "failed 1.1 0110 | failed 1.2 A901"; got.status != 409 || got.outcomes() != want {
		t.Errorf("got %d %q, want 409 %q", got.status, got.outcomes(), want)
	}
}

// undeclared hides the length of a body, so that it is sent in chunks.
func undeclared(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }

func TestMaxRequestSize(t *testing.T) {
	limit := func(h *stow.Handler, _ *s3store.Config) { h.Config.MaxRequestBytes = 5000 }
	body := multipart(ct("1.1", 1000), ct("1.2", 1000), ct("1.3", 9000))
	t.Run("declared: refused at once", func(t *testing.T) {
		s := newService(t, limit)
		if got := s.post(t, "/studies", "", bytes.NewReader(body)); got.status != 413 || len(s.s3.Keys()) != 0 {
			t.Errorf("got %d, bucket %v; want 413 and nothing", got.status, s.s3.Keys())
		}
	})
	t.Run("in chunks: what came before is stored", func(t *testing.T) {
		s := newService(t, limit)
		got := s.post(t, "/studies", "", undeclared(body))
		if want := "stored 1.1 | stored 1.2 | failed 1.3 A700"; got.status != 202 || got.outcomes() != want {
			t.Errorf("got %d %q, want 202 %q", got.status, got.outcomes(), want)
		}
	})
	t.Run("in chunks: nothing came before", func(t *testing.T) {
		s := newService(t, limit)
		got := s.post(t, "/studies", "", undeclared(multipart(ct("1.3", 9000))))
		if want := "failed 1.3 A700"; got.status != 413 || got.outcomes() != want {
			t.Errorf("got %d %q, want 413 %q", got.status, got.outcomes(), want)
		}
	})
}

func TestMaxInstanceSize(t *testing.T) {
	s := newService(t, func(_ *stow.Handler, c *s3store.Config) { c.MaxInstanceBytes = 2000 })
	got := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 10), ct("1.2", 9000), ct("1.3", 10))))
	if want := "stored 1.1 | stored 1.3 | failed 1.2 A700"; got.status != 202 || got.outcomes() != want {
		t.Errorf("got %d %q, want 202 %q", got.status, got.outcomes(), want)
	}
}

// The request over MAXREQUESTS is refused before its body is read, the others go on.
func TestMaxRequests(t *testing.T) {
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) { h.Config.MaxRequests = 1 })
	hold := make(chan struct{})
	s.s3.Inject(s3test.Fault{Operation: "PutObject", Hold: hold, Times: 1})
	first := make(chan answer)
	go func() { first <- s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 10)))) }()
	for len(s.s3.Requests()) == 0 {
		select {
		case a := <-first:
			t.Fatalf("the first request ended with %d", a.status)
		default:
		}
	}
	second := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.2", 10))))
	if second.status != 503 || second.header.Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q; want 503", second.status, second.header.Get("Retry-After"))
	}
	close(hold)
	if a := <-first; a.status != 200 {
		t.Errorf("the first request ended with %d", a.status)
	}
	if third := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.2", 10)))); third.status != 200 {
		t.Errorf("afterwards: got %d, want 200", third.status)
	}
}

// When the service is cut, uploads end, nothing is left, and the sender is told to come again.
func TestServiceIsCut(t *testing.T) {
	ctx, cut := context.WithCancel(t.Context())
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) { h.Stop = ctx })
	reading, writing := io.Pipe()
	go func() {
		_, _ = writing.Write(multipart(ct("1.1", 20<<20))[:18<<20])
		cut()
	}()
	got := s.post(t, "/studies", "", reading)
	// The rest of the body, of which nothing is known, may have an item of its own.
	if want := "failed 1.1 A700"; got.status != 503 || strings.TrimSuffix(got.outcomes(), " | other A700") != want {
		t.Errorf("got %d %q, want 503 %q", got.status, got.outcomes(), want)
	}
	if len(s.s3.Keys())+len(s.s3.OpenUploads()) > 0 {
		t.Errorf("left in S3: %v, open uploads %v", s.s3.Keys(), s.s3.OpenUploads())
	}
}

// A transfer syntax that is no UID must not reach the headers of the request to S3.
func TestTransferSyntaxThatIsNoUID(t *testing.T) {
	s := newService(t)
	odd := bytes.Replace(ct("1.1", 10), []byte("1.2.840.10008.1.2.1\x00"), []byte("1.2.8\r\nX-Odd: \xff\xfe 123"), 1)
	got := s.post(t, "/studies", "", bytes.NewReader(multipart(odd)))
	stored, metadata, _ := s.s3.Object(study + "/" + series + "/1.1")
	if got.status != 200 || !bytes.Equal(stored, odd) {
		t.Errorf("got %d %s\n%s", got.status, got.body, s.log.String())
	}
	if _, found := metadata["transfer-syntax"]; found {
		t.Errorf("metadata: %q", metadata)
	}
}

// Twice in one request: the last one stays, though the first may be slow to store.
func TestInstanceTwiceInOneRequest(t *testing.T) {
	for name, size := range map[string]int{"puts": 10, "multipart uploads": 9 << 20} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			hold := make(chan struct{})
			first := s3test.Fault{Operation: "PutObject", Hold: hold, Times: 1}
			if size > 8<<20 {
				first.Operation = "CompleteMultipartUpload"
			}
			s.s3.Inject(first)
			go func() { // until the second overtakes the first, which it must not
				defer close(hold)
				for deadline := time.Now().Add(300 * time.Millisecond); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
					if s.s3.MaxInFlight(first.Operation) > 1 || len(s.s3.Keys()) > 0 {
						return
					}
				}
			}()
			one, two := ct("1.1", size), ct("1.1", size+1)
			got := s.post(t, "/studies", "", bytes.NewReader(multipart(one, two)))
			if want := "stored 1.1 | stored 1.1"; got.status != 200 || got.outcomes() != want {
				t.Errorf("got %d %q, want 200 %q", got.status, got.outcomes(), want)
			}
			if stored, _, _ := s.s3.Object(study + "/" + series + "/1.1"); !bytes.Equal(stored, two) {
				t.Errorf("%d bytes are stored, want the %d of the last", len(stored), len(two))
			}
		})
	}
}

// The body may notice that the service is cut before the uploads do: between two
// parts, or in a head. The sender must come again all the same.
func TestServiceIsCutBeforeAnInstanceIsKnown(t *testing.T) {
	for name, sent := range map[string]int{"in a head": 300, "between two parts": len(multipart(ct("1.1", 10))) - len("--\r\n")} {
		t.Run(name, func(t *testing.T) {
			ctx, cut := context.WithCancel(t.Context())
			s := newService(t, func(h *stow.Handler, _ *s3store.Config) { h.Stop = ctx })
			s.s3.Inject(s3test.Fault{Operation: "PutObject", Status: 500, Code: "InternalError"})
			reading, writing := io.Pipe()
			go func() {
				_, _ = writing.Write(multipart(ct("1.1", 10))[:sent])
				cut()
			}()
			if got := s.post(t, "/studies", "", reading); got.status != 503 {
				t.Errorf("got %d %q, want 503", got.status, got.outcomes())
			}
		})
	}
}

func TestRetrieveURL(t *testing.T) {
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) {
		h.Config.WADOURL, h.Config.Prefix, h.Config.Suffix = "https://wado/dicomweb", "in/box", ".dcm"
	})
	one := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 1))))
	two := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 1), instance("1.2", "9.9", series, classUID, 1))))
	if want := "https://wado/dicomweb/studies/1.2.3"; one.module.RetrieveURL != want {
		t.Errorf("one study: got %q, want %q", one.module.RetrieveURL, want)
	}
	if want := "https://wado/dicomweb/studies/1.2.3/series/1.2.3.4/instances/1.1"; one.module.Referenced[0].RetrieveURL != want {
		t.Errorf("instance: got %q, want %q", one.module.Referenced[0].RetrieveURL, want)
	}
	if two.module.RetrieveURL != "" {
		t.Errorf("two studies: got %q, want none", two.module.RetrieveURL)
	}
	if diff := cmp.Diff([]string{"in/box/1.2.3/1.2.3.4/1.1.dcm", "in/box/9.9/1.2.3.4/1.2.dcm"}, s.s3.Keys()); diff != "" {
		t.Errorf("keys differ (-want +got):\n%s", diff)
	}
}

// PS3.18 Table 10.5.3-2 and §10.5.3.2.
func TestResponseHeaders(t *testing.T) {
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) { h.Config.WADOURL = "https://wado/dicomweb" })
	one := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 1))))
	mixed := s.post(t, "/studies/"+study, "", bytes.NewReader(multipart(ct("1.1", 1), nil, nil, instance("1.2", "9.9", series, classUID, 1))))
	none := s.post(t, "/studies", "", bytes.NewReader(multipart(nil)))
	for name, test := range map[string]struct {
		answer            answer
		location, warning string
	}{
		"stored":         {one, "https://wado/dicomweb/studies/1.2.3", ""},
		"some stored":    {mixed, "https://wado/dicomweb/studies/1.2.3", `299 stowrs-to-s3 "3 of 4 not stored: A901 C000"`},
		"nothing stored": {none, "", `299 stowrs-to-s3 "1 of 1 not stored: C000"`},
	} {
		for header, want := range map[string]string{"Location": test.location, "Content-Location": test.location, "Warning": test.warning} {
			if got := test.answer.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
	}
}

// The audit record has what alarms and dashboards read; the log names no patient and no value that is no UID.
func TestRecords(t *testing.T) {
	s := newService(t)
	s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 10), instance("1.2", "Doe^Jane", series, classUID, 1))))
	record := s.records[0]
	for _, name := range []string{"request_id", "status", "stored", "failed", "warnings", "bytes", "duration_ms", "remote", "client_dn"} {
		if _, found := record[name]; !found {
			t.Errorf("the audit record has no %s: %v", name, record)
		}
	}
	got := fmt.Sprint(record["msg"], " ", record["status"], record["stored"], record["failed"])
	if want := "store transaction 202 1 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if log := s.log.String(); strings.Contains(log, "Doe") || !strings.Contains(log, `"failure_reason":"0117"`) {
		t.Errorf("log: %s", log)
	}
}
