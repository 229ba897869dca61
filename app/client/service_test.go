package client

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
	"stowrs-to-s3/app/storeresponse"
)

// instanceBytes is a DICOM file with the given SOP Instance UID and pixel data that ends in that UID.
func instanceBytes(uid string, pixels int) []byte {
	return dicomtest.Instance{
		SOP: uid, Study: "1.2.3", Series: "1.2.3.1",
		Pixels: append(bytes.Repeat([]byte{0x0D, 0x0A, '-', '-'}, (pixels+3)/4)[:pixels], uid...),
	}.File()
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// folderOf makes a folder with one instance for each UID, named UID.dcm, of 910 bytes each.
func folderOf(t *testing.T, uids ...string) string {
	t.Helper()
	folder := t.TempDir()
	for _, uid := range uids {
		writeFile(t, filepath.Join(folder, uid+".dcm"), instanceBytes(uid, 586))
	}
	return folder
}

// upload is one request as a service received it.
type upload struct {
	header http.Header
	length int64
	uids   []string
	files  [][]byte
}

// reply answers one request.
type reply func(w http.ResponseWriter, u upload)

// service is a STOW-RS server that gives its replies in turn, and then repeats the last one.
type service struct {
	*httptest.Server
	mu      sync.Mutex
	uploads []upload
	replies []reply
}

// newService checks the framing of each request (PS3.18 §8.6.1.2): boundary quoted, lengths as declared.
func newService(t *testing.T, replies ...reply) *service {
	t.Helper()
	s := &service{replies: replies}
	s.Server = httptest.NewServer(s.handler(t))
	t.Cleanup(s.Close)
	return s
}

func (s *service) handler(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, err := readUpload(r)
		if err != nil {
			t.Errorf("request: %v", err)
		}
		s.next(u)(w, u)
	})
}

func (s *service) next(u upload) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads = append(s.uploads, u)
	return s.replies[min(len(s.uploads), len(s.replies))-1]
}

func (s *service) received() []upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.uploads)
}

// sentUIDs lists the SOP Instance UIDs of each request.
func (s *service) sentUIDs() [][]string {
	var all [][]string
	for _, u := range s.received() {
		all = append(all, u.uids)
	}
	return all
}

// wantByteExact checks that every part of every request is the file of its UID.
func (s *service) wantByteExact(t *testing.T, folder string) {
	t.Helper()
	for n, u := range s.received() {
		for i, uid := range u.uids {
			want, err := os.ReadFile(filepath.Join(folder, uid+".dcm"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, u.files[i]) {
				t.Errorf("request %d: %s differs from its file: %d bytes, want %d", n, uid, len(u.files[i]), len(want))
			}
		}
	}
}

func readUpload(r *http.Request) (upload, error) {
	u := upload{header: r.Header, length: r.ContentLength}
	_, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return u, err
	}
	parts := multipart.NewReader(r.Body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return u, nil
		}
		if err != nil {
			return u, err
		}
		file, err := io.ReadAll(part)
		if err != nil {
			return u, err
		}
		if declared := part.Header.Get("Content-Length"); declared != strconv.Itoa(len(file)) {
			return u, io.ErrUnexpectedEOF
		}
		identity, err := dicom.Identify(bytes.NewReader(file), 1<<30)
		if err != nil {
			return u, err
		}
		u.files = append(u.files, file)
		u.uids = append(u.uids, identity.SOPInstanceUID)
	}
}

// storedAll reports every instance as stored.
func storedAll(w http.ResponseWriter, u upload) { respond(w, 200, u, nil) }

// reasons answers with a module in which the instances in the map have failed and the others are stored.
func reasons(status int, reasons map[string]storeresponse.Reason) reply {
	return func(w http.ResponseWriter, u upload) { respond(w, status, u, reasons) }
}

func respond(w http.ResponseWriter, status int, u upload, reasons map[string]storeresponse.Reason) {
	var module storeresponse.Response
	for _, uid := range u.uids {
		if reason, failed := reasons[uid]; failed {
			module.Failed = append(module.Failed, storeresponse.Failed{SOPClassUID: dicomtest.CTImageStorage, SOPInstanceUID: uid, FailureReason: reason})
		} else {
			module.Referenced = append(module.Referenced, storeresponse.Referenced{SOPClassUID: dicomtest.CTImageStorage, SOPInstanceUID: uid})
		}
	}
	respondModule(w, status, u.header.Get("Accept"), module)
}

func respondModule(w http.ResponseWriter, status int, mediaType string, module storeresponse.Response) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_ = module.Module().Encode(w, mediaType) // the client may have left
}

// module answers with the same module to every request.
func module(status int, m storeresponse.Response) reply {
	return func(w http.ResponseWriter, u upload) { respondModule(w, status, u.header.Get("Accept"), m) }
}

func plain(status int, contentType, body string) reply {
	return func(w http.ResponseWriter, _ upload) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cut closes the connection without an answer.
func cut(http.ResponseWriter, upload) { panic(http.ErrAbortHandler) }

// run is the result of one Send.
type run struct {
	summary        Summary
	err            error
	stdout, stderr string
	outcomes       []Outcome // of --report
}

// sendWith sends folder one request at a time, with pauses of a millisecond.
func sendWith(t *testing.T, url, folder string, change func(*Options)) run {
	t.Helper()
	o := Options{
		URL: url, Accept: "json", Batch: 100, BatchBytes: 256 << 20, Parallel: 1, Attempts: 5,
		Paths: []string{folder}, MaxWait: time.Minute, Report: filepath.Join(t.TempDir(), "report"),
	}
	if change != nil {
		change(&o)
	}
	var stdout, stderr bytes.Buffer
	summary, err := send(t.Context(), o, &stdout, &stderr, time.Millisecond)
	return run{summary, err, stdout.String(), stderr.String(), outcomes(t, o.Report)}
}

// failures maps the names of files to the reasons of their failure.
func (r run) failures() map[string]string {
	texts := make(map[string]string)
	for _, o := range r.outcomes {
		if o.Outcome == "failed" {
			texts[filepath.Base(o.Path)] = o.Detail
		}
	}
	return texts
}

func wantCounts(t *testing.T, r run, stored, failed int) {
	t.Helper()
	if r.err != nil {
		t.Fatalf("Send: %v", r.err)
	}
	if r.summary.Stored != int64(stored) || r.summary.Failed != int64(failed) {
		t.Errorf("got %d stored and %d failed, want %d and %d\n%s%s",
			r.summary.Stored, r.summary.Failed, stored, failed, r.stderr, r.stdout)
	}
}

func wantEqual[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

func wantContains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q:\n%s", what, part, text)
		}
	}
}
