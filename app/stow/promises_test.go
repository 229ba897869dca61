package stow_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/stow"
)

// The checksum of a content coding follows after all bytes, when they are already stored. So no coding is
// accepted (RFC 9110 §15.5.16), and the answer says what is.
func TestContentCodingsAreRefused(t *testing.T) {
	for _, coding := range []string{"gzip", "x-gzip", "GZIP", "deflate", "br", "identity, gzip"} {
		s := newService(t)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/studies", bytes.NewReader(multipart(ct("1.1", 100))))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Encoding", coding)
		if got := s.do(t, r, ""); got.status != http.StatusUnsupportedMediaType || !strings.Contains(got.body, "identity") || len(s.s3.Keys()) > 0 {
			t.Errorf("%s: got %d %q, objects %v", coding, got.status, got.body, s.s3.Keys())
		}
	}
	s, data := newService(t), ct("1.1", 100)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/studies", bytes.NewReader(multipart(data)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", "Identity")
	if got := s.do(t, r, ""); got.status != 200 {
		t.Errorf("identity: got %d %q", got.status, got.body)
	}
	s.wantStored(t, data)
}

// Promise 1: a piece of an instance, as a client sends it that can resume uploads, is none (RFC 9110 §14.5), be it the body or a part.
func TestPiecesAreRefused(t *testing.T) {
	s, data := newService(t), ct("1.1", 10_000)
	piece := data[:5000]
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/studies", bytes.NewReader(piece))
	if err != nil {
		t.Fatal(err)
	}
	const contentRange = "bytes 0-4999/10368"
	r.Header.Set("Content-Range", contentRange)
	if got := s.do(t, r, "application/dicom"); got.status != http.StatusBadRequest || !strings.Contains(got.body, "as a whole") || len(s.s3.Keys()) > 0 {
		t.Errorf("body: got %d %q, objects %v", got.status, got.body, s.s3.Keys())
	}
	other := ct("1.2", 100)
	body := bytes.Replace(multipart(piece, other), []byte("\r\n\r\n"), []byte("\r\nContent-Range: "+contentRange+"\r\n\r\n"), 1)
	if got := s.post(t, "/studies", "", bytes.NewReader(body)); got.status != http.StatusAccepted || !strings.Contains(got.header.Get("Warning"), "C000") {
		t.Errorf("part: got %d %q", got.status, got.body)
	}
	s.wantStored(t, other)
}

// panicking is a body that panics once, after so many bytes were read.
type panicking struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (p *panicking) Read(b []byte) (int, error) {
	if p.left <= 0 {
		p.left = 1 << 40
		panic("fault of the service")
	}
	n, err := p.ReadCloser.Read(b[:min(len(b), p.left)])
	p.left -= n
	return n, err
}

// A panic anywhere frees what the request held, and aborts what it sent; the client gets
// an answer, the audit log gets its record, and instances that were received completely are stored.
func TestPanic(t *testing.T) {
	whole, rest := ct("1.1", 1000), ct("1.2", 40<<20)
	body := multipart(whole, rest)
	for _, at := range []int{0, 10, 500, len(whole) + 400, len(whole) + 20<<20} {
		var ledger *memory.Ledger
		s := &service{s3: s3test.Start(t, "dicom"), client: http.DefaultClient}
		handler := s.handler(t, smallParts, func(h *stow.Handler, _ *s3store.Config) { ledger, h.Config.MaxRequests = h.Ledger, 1 })
		armed := true
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if armed {
				r.Body = &panicking{r.Body, at}
			}
			handler.ServeHTTP(w, r)
		}))
		defer server.Close()
		s.url = server.URL
		got := s.post(t, "/studies", "", bytes.NewReader(body))
		want, stored := http.StatusInternalServerError, 0.0
		if at > len(whole) {
			want, stored = http.StatusAccepted, 1
		}
		if got.status != want {
			t.Errorf("panic at %d: got %d %s, want %d", at, got.status, got.body, want)
		}
		if len(s.records) != 1 || s.records[0]["status"] != float64(want) || s.records[0]["stored"] != stored {
			t.Errorf("panic at %d: audit records %v", at, s.records)
		}
		if held := ledger.InUseBytes(); held != 0 || len(s.s3.OpenUploads()) > 0 {
			t.Errorf("panic at %d: %d bytes are held, uploads %v", at, held, s.s3.OpenUploads())
		}
		armed = false
		if got := s.post(t, "/studies", "", bytes.NewReader(multipart(whole))); got.status != 200 {
			t.Errorf("panic at %d: the next request gets %d %s", at, got.status, got.body)
		}
		s.wantStored(t, whole)
	}
}

// Every failure of an instance is also described in words (PS3.18 §10.5.3.2), once
// for all instances with the same failure, and without a value of an attribute.
func TestFailuresInWords(t *testing.T) {
	s := newService(t)
	secret := "Doe^Jane"
	unnamed := append([]byte("DICM"), explicitLE.UI(0x00080016, classUID)...)
	got := s.post(t, "/studies/1.99", "", bytes.NewReader(multipart(ct("1.1", 10), []byte(secret), unnamed, []byte(secret+secret), ct("1.2", 10))))
	warnings := got.header.Values("Warning")
	for _, want := range []string{
		`299 stowrs-to-s3 "5 of 5 not stored: 0120 A901 C000"`,
		`299 stowrs-to-s3 "instance 1 and 1 more: StudyInstanceUID differs from the study in the URL"`,
		`299 stowrs-to-s3 "instance 3: SOPInstanceUID is missing"`,
	} {
		if !slices.Contains(warnings, want) {
			t.Errorf("no Warning %s in %q", want, warnings)
		}
	}
	if strings.Contains(strings.Join(warnings, ""), "Doe") {
		t.Errorf("a value in %q", warnings)
	}
}

// The text of S3's errors is for the operator; the sender is told what to do.
func TestStorageFailureInWords(t *testing.T) {
	s := newService(t)
	s.s3.Inject(s3test.Fault{Operation: "PutObject", Status: http.StatusForbidden, Code: "AccessDenied"})
	got := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 10))))
	warnings := strings.Join(got.header.Values("Warning"), "|")
	if got.status != 503 || !strings.Contains(warnings, "send it again later") || strings.Contains(warnings, "AccessDenied") {
		t.Errorf("got %d %s", got.status, warnings)
	}
}

// RESPONSEDELAY ends when the service is cut: the answer reports what is stored.
func TestDelayEndsWithTheService(t *testing.T) {
	stop := make(chan struct{})
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) {
		h.Config.ResponseDelay, h.Stop = time.Hour, stopped(t, stop)
	})
	time.AfterFunc(200*time.Millisecond, func() { close(stop) })
	if got := s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 10)))); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// If a body ends early, all instances whose bulkdata did not arrive fail, each under its own UIDs.
func TestBrokenBodyOfMetadata(t *testing.T) {
	s := newService(t)
	const parts = "--myboundary\r\nContent-Type: application/dicom+json\r\n\r\n"
	metadata := func(sop string) string {
		return `{"00080016":{"vr":"UI","Value":["` + classUID + `"]},"00080018":{"vr":"UI","Value":["` + sop + `"]},"0020000D":{"vr":"UI","Value":["` + study +
			`"]},"0020000E":{"vr":"UI","Value":["` + series + `"]},"00420011":{"vr":"OB","BulkDataURI":"b` + sop + `"}}`
	}
	body := parts + "[" + metadata("1.1") + "," + metadata("1.2") + "," + metadata("1.3") + "]\r\n--myboundary\r\nContent-Location: b1.1\r\n\r\nwhole\r\n--myboundary\r\n"
	got := s.post(t, "/studies", `multipart/related; type="application/dicom+json"; boundary=myboundary`, strings.NewReader(body))
	if got.status != 202 || got.outcomes() != "stored 1.1 | failed 1.2 C000 | failed 1.3 C000" {
		t.Errorf("got %d %s, warnings %q", got.status, got.outcomes(), got.header.Values("Warning"))
	}
}

// Promise 7: the UIDs of an instance are those of its metadata. A value before the UIDs whose length
// is known only at the end is not parsed as elements, whatever it contains.
func TestValueInFrontOfTheNameIsNotTheName(t *testing.T) {
	const other = "9.9.9"
	element := func(name uint32, vr, sop string) string {
		return fmt.Sprintf(`"%08X":{"vr":"%s","%s"}`, name, vr, sop)
	}
	metadata := `{"00080016":{"vr":"UI","Value":["` + classUID + `"]},"00080018":{"vr":"UI","Value":["1.1"]},` + element(0x00091001, "OB", `BulkDataURI":"b`) +
		`,"00090010":{"vr":"LO","Value":["MAKER"]},"0020000D":{"vr":"UI","Value":["` + study + `"]},"0020000E":{"vr":"UI","Value":["` + series + `"]}}`
	forged := join(explicitLE.UI(0x0020000D, other), explicitLE.UI(0x0020000E, other))
	for name, value := range map[string][]byte{"ordinary": []byte("Comment."), "elements": forged} {
		s := newService(t)
		body := join([]byte("--myboundary\r\nContent-Type: application/dicom+json\r\n\r\n"+metadata+"\r\n--myboundary\r\nContent-Location: b\r\n\r\n"), value, []byte("\r\n--myboundary--\r\n"))
		got := s.post(t, "/studies", `multipart/related; type="application/dicom+json"; boundary=myboundary`, undeclared(body))
		if got.status != 200 || !slices.Equal(s.s3.Keys(), []string{study + "/" + series + "/1.1"}) {
			t.Errorf("%s: got %d %s, objects %v", name, got.status, got.header.Values("Warning"), s.s3.Keys())
		}
		s = newService(t)
		if got := s.post(t, "/studies/"+other, `multipart/related; type="application/dicom+json"; boundary=myboundary`, undeclared(body)); got.outcomes() != "failed 1.1 A901" {
			t.Errorf("%s, under another study: got %d %s", name, got.status, got.outcomes())
		}
	}
}

// A silent client loses its slot when others need it.
func TestSilentClientLosesItsSlot(t *testing.T) {
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) {
		h.Config.MaxRequests, h.Config.StallTimeout, h.Config.RateWindow = 1, time.Hour, 600*time.Millisecond
	})
	s.dial(t, "Content-Length: 1000")
	time.Sleep(50 * time.Millisecond)
	data, began := ct("1.1", 100), time.Now()
	for {
		got := s.post(t, "/studies", "", bytes.NewReader(multipart(data)))
		if got.status == 200 {
			break
		}
		if got.status != 503 || time.Since(began) > 5*time.Second {
			t.Fatalf("after %s: got %d", time.Since(began), got.status)
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.wantStored(t, data)
}
