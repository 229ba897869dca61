package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

func scanned(t *testing.T, folder string) []*instance {
	t.Helper()
	var all []*instance
	w := &walk{
		found: func(_ context.Context, c candidate) error {
			i, err := identify(c)
			all = append(all, i)
			return err
		},
		pass: func(path, why string) { t.Errorf("%s: %s", path, why) },
		fail: func(path string, err error) { t.Errorf("%s: %v", path, err) },
	}
	if err := w.begin([]string{folder}); err != nil {
		t.Fatal(err)
	}
	if err := w.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return all
}

// PS3.18 §8.6.1.2: the framing, byte by byte, with reads of any size.
func TestBodyFraming(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1", "1.2")
	for name, through := range map[string]func(io.Reader) io.Reader{
		"at once":      func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counted := 0
			b := newBody(scanned(t, folder), func(n int) { counted += n })
			length := b.length()
			got, err := io.ReadAll(through(b))
			if err != nil {
				t.Fatal(err)
			}
			var want strings.Builder
			for _, uid := range []string{"1.1", "1.2"} {
				want.WriteString("--" + b.boundary + "\r\nContent-Type: application/dicom\r\nContent-Length: 910\r\n\r\n")
				want.Write(instanceBytes(uid, 586))
				want.WriteString("\r\n")
			}
			want.WriteString("--" + b.boundary + "--\r\n")
			wantEqual(t, "body", want.String(), string(got))
			wantEqual(t, "length", int64(len(got)), length)
			wantEqual(t, "bytes told of", 2*910, counted)
			wantEqual(t, "Content-Type", `multipart/related; type="application/dicom"; boundary="`+b.boundary+`"`, b.contentType())
		})
	}
}

// The length is declared, so that services that refuse chunked bodies (411) accept it.
func TestRequestHasContentLength(t *testing.T) {
	t.Parallel()
	_, s := sendTo(t, folderOf(t, "1.1", "1.2"), nil)
	if u := s.received()[0]; u.length <= 2*910 || u.header.Get("Transfer-Encoding") != "" {
		t.Errorf("Content-Length is %d, want over 1820", u.length)
	}
}

func TestClosedBody(t *testing.T) {
	t.Parallel()
	b := newBody(scanned(t, folderOf(t, "1.1")), func(int) {})
	if _, err := io.CopyN(io.Discard, b, 500); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want errClosed", err)
	}
}

// A file that has changed since it was identified fails alone; the others are sent again.
func TestFilesThatChangeWhileSending(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(path string) error
		want   string
	}{
		"vanishes": {os.Remove, "not sent: no such file"},
		"shrinks":  {func(path string) error { return os.Truncate(path, 100) }, errChanged.Error()},
		"grows":    {func(path string) error { return os.Truncate(path, 1<<20) }, errChanged.Error()},
		"is another file": {func(path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		}, errChanged.Error()},
	}
	for name, test := range tests {
		t.Run("between attempts: "+name, func(t *testing.T) {
			t.Parallel()
			folder := folderOf(t, "1.1", "1.2", "1.3")
			s := newService(t, func(w http.ResponseWriter, _ upload) {
				if err := test.change(filepath.Join(folder, "1.2.dcm")); err != nil {
					t.Error(err)
				}
				w.WriteHeader(http.StatusServiceUnavailable)
			}, storedAll)
			r := sendWith(t, s.URL, folder, nil)
			wantCounts(t, r, 2, 1)
			wantEqual(t, "second request", []string{"1.1", "1.3"}, s.sentUIDs()[1])
			wantContains(t, "failure", r.failures()["1.2.dcm"], test.want)
		})
		t.Run("under way: "+name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			for _, uid := range []string{"1.1", "1.2"} {
				writeFile(t, filepath.Join(folder, uid+".dcm"), instanceBytes(uid, 16<<20))
			}
			changed := false
			s := &service{replies: []reply{storedAll}}
			whole := s.handler(t)
			s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if changed {
					whole.ServeHTTP(w, r)
					return
				}
				changed = true
				_, _ = io.CopyN(io.Discard, r.Body, 1000) // the first file is being sent
				if err := test.change(filepath.Join(folder, "1.2.dcm")); err != nil {
					t.Error(err)
				}
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					t.Error("the body ended as if it were whole")
				}
			}))
			t.Cleanup(s.Close)
			r := sendWith(t, s.URL, folder, func(o *Options) { o.Attempts = 1 })
			wantCounts(t, r, 1, 1)
			wantEqual(t, "second request", [][]string{{"1.1"}}, s.sentUIDs())
			wantContains(t, "failure", r.failures()["1.2.dcm"], test.want)
		})
	}
}

// A file of the same size whose bytes are overwritten while it is read.
func TestBodyRefusesTornFile(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1")
	instances := scanned(t, folder)
	b := newBody(instances, func(int) {})
	if _, err := io.CopyN(io.Discard, b, 500); err != nil {
		t.Fatal(err)
	}
	earlier := time.Unix(0, instances[0].modified-1)
	if err := os.Chtimes(instances[0].path, earlier, earlier); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(b)
	if !errors.Is(err, errChanged) {
		t.Errorf("got %v, want errChanged", err)
	}
	if strings.Contains(string(rest), b.boundary) {
		t.Error("the part is closed by a boundary")
	}
	if _, unsendable, _ := b.outcome(); unsendable != instances[0] {
		t.Errorf("got %v, want the instance", unsendable)
	}
}

// A large instance is streamed: memory does not grow with its size.
func TestLargeInstanceIsStreamed(t *testing.T) {
	const size = 200 << 20
	folder := folderOf(t, "1.1")
	path := filepath.Join(folder, "1.1.dcm")
	if err := os.Truncate(path, size); err != nil { // a sparse file
		t.Fatal(err)
	}
	var received int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received, _ = io.Copy(io.Discard, r.Body)
		respondModule(w, 200, storeresponse.MediaTypeJSON, storeresponse.Response{Referenced: []storeresponse.Referenced{{SOPInstanceUID: "1.1"}}})
	}))
	t.Cleanup(server.Close)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := sendWith(t, server.URL, folder, nil)
	runtime.ReadMemStats(&after)
	wantCounts(t, r, 1, 0)
	if received <= size {
		t.Errorf("received %d bytes, want over %d", received, size)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("allocated %d bytes for an instance of %d", grown, size)
	}
}
