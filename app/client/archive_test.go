package client

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stowrs-to-s3/app/storeresponse"
)

// named is a file in an archive.
type named struct {
	name    string
	content []byte
}

func zipOf(t *testing.T, method uint16, files ...named) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		entry, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: method})
		if err == nil {
			_, err = entry.Write(f.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarOf(t *testing.T, files ...named) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.content)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packed returns the archives of each kind with the same files, by name.
func packed(t *testing.T, files ...named) map[string][]byte {
	t.Helper()
	return map[string][]byte{
		"deflated.zip": zipOf(t, zip.Deflate, files...), "stored.ZIP": zipOf(t, zip.Store, files...),
		"a.tar": tarOf(t, files...), "a.tar.gz": gzipped(t, tarOf(t, files...)), "a.tgz": gzipped(t, tarOf(t, files...)),
	}
}

// Files in an archive are sent byte for byte, like those of a folder, also when they are sent again.
func TestArchives(t *testing.T) {
	t.Parallel()
	originals, uids := t.TempDir(), []string(nil)
	files := []named{{"README", []byte("text")}, {"cd/DICOMDIR", instanceBytes("1.99", 8)}, {"inner.zip", zipOf(t, zip.Store)}, {"tmp/x/y.dcm", instanceBytes("1.98", 8)}}
	for n := range 30 {
		uid := "1." + strconv.Itoa(n+1)
		content := instanceBytes(uid, 4<<(n%18))
		writeFile(t, filepath.Join(originals, uid+".dcm"), content)
		files, uids = append(files, named{"study/" + uid + ".dcm", content}), append(uids, uid)
	}
	slices.Sort(uids)
	for name, content := range packed(t, files...) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			writeFile(t, filepath.Join(folder, name), content)
			s := newService(t, plain(503, "", ""), cut, storedAll)
			journal := filepath.Join(t.TempDir(), "journal")
			change := func(o *Options) {
				o.Exclude, o.Journal, o.Parallel, o.Batch = []string{"tmp"}, journal, 3, 7
			}
			r := sendWith(t, s.URL, folder, change)
			wantCounts(t, r, 30, 1)
			wantEqual(t, "skipped", 2, r.summary.Skipped)
			s.wantByteExact(t, originals)
			wantContains(t, "stderr", r.stderr, filepath.Join(name, "README")+": not DICOM")
			wantContains(t, "failure", r.failures()["inner.zip"], "an archive in an archive is not read")
			requests := len(s.received())
			r = sendWith(t, s.URL, folder, change)
			wantEqual(t, "stored before", 30, r.summary.Before)
			wantEqual(t, "requests of the second run", 0, len(s.received())-requests)
		})
	}
}

// Two files with the same name in an archive are two files, in the journal as well.
func TestNameTwiceInAnArchive(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "a.tar"), tarOf(t, named{"x", instanceBytes("1.1", 8)}, named{"x", instanceBytes("1.2", 8)}))
	s := newService(t, storedAll)
	journal := filepath.Join(t.TempDir(), "journal")
	change := func(o *Options) { o.Journal, o.Attempts = journal, 1 }
	s.replies = []reply{reasons(409, map[string]storeresponse.Reason{"1.2": 0xC000}), storedAll}
	wantCounts(t, sendWith(t, s.URL, folder, change), 1, 1)
	wantCounts(t, sendWith(t, s.URL, folder, change), 1, 0)
	wantEqual(t, "UIDs sent", [][]string{{"1.1", "1.2"}, {"1.2"}}, s.sentUIDs())
}

// A damaged part of an archive is reported; everything undamaged arrives, and nothing else.
func TestDamagedArchives(t *testing.T) {
	t.Parallel()
	files := []named{{"1.1.dcm", instanceBytes("1.1", 5000)}, {"1.2.dcm", instanceBytes("1.2", 5000)}, {"1.3.dcm", instanceBytes("1.3", 90_000)}}
	_, _ = rand.Read(files[2].content[1000:80_000]) // random, so that it is not compressed to almost nothing
	stored := zipOf(t, zip.Store, files...)
	at := bytes.Index(stored, []byte("\r\n--\r\n--")) + 100
	flipped := slices.Clone(stored)
	flipped[at] ^= 1
	all, packed := tarOf(t, files...), gzipped(t, tarOf(t, files...))
	encrypted := slices.Clone(stored)
	encrypted[bytes.LastIndex(encrypted, []byte("PK\x01\x02"))+8] |= 1
	for name, test := range map[string]struct {
		name           string
		content        []byte
		stored, failed int
		why            string
	}{
		"a bit":             {"a.zip", flipped, 2, 1, "does not have the checksum"},
		"encrypted":         {"a.zip", encrypted, 2, 1, "encrypted"},
		"cut zip":           {"a.zip", stored[:len(stored)-3], 0, 1, "cannot be read to its end"},
		"text":              {"a.tgz", []byte("text"), 0, 1, "cannot be read to its end"},
		"cut tar":           {"a.tar", all[:len(all)-50_000], 2, 2, "ends before"},
		"cut tar.gz":        {"a.tar.gz", packed[:len(packed)-40_000], 2, 2, "EOF"},
		"checksum of gzip":  {"a.tar.gz", append(packed[:len(packed)-8:len(packed)-8], make([]byte, 8)...), 3, 1, "invalid checksum"},
		"more than it can":  {"a.zip", lying(t), 0, 1, "more than can be packed"},
		"empty tar":         {"a.tar", make([]byte, 1024), 0, 0, ""},
		"no folder escapes": {"a.tar", tarOf(t, named{"../../1.1.dcm", files[0].content}), 1, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			writeFile(t, filepath.Join(folder, test.name), test.content)
			s := newTolerantService(t)
			r := sendWith(t, s.URL, folder, nil)
			if r.summary.Stored != int64(test.stored) || r.summary.Failed != int64(test.failed) {
				t.Errorf("stored %d, failed %d, want %d and %d\n%s%s", r.summary.Stored, r.summary.Failed, test.stored, test.failed, r.stderr, r.stdout)
			}
			why := ""
			for _, text := range r.failures() {
				why += text + "\n"
			}
			wantContains(t, "failures", why, test.why)
		})
	}
}

// lying is a zip whose index uses the same bytes again and again, like a zip bomb.
func lying(t *testing.T) []byte {
	t.Helper()
	content := zipOf(t, zip.Deflate, named{"a", make([]byte, 10<<20)})
	at := bytes.LastIndex(content, []byte("PK\x01\x02"))
	end := bytes.LastIndex(content, []byte("PK\x05\x06"))
	index, tail := content[at:end], slices.Clone(content[end:])
	const times = 300
	out := append(slices.Clone(content[:at]), bytes.Repeat(index, times)...)
	tail[8], tail[9], tail[10], tail[11] = times&0xff, times>>8, times&0xff, times>>8
	n := len(index) * times
	tail[12], tail[13], tail[14] = byte(n), byte(n>>8), byte(n>>16)
	return append(out, tail...)
}

// newTolerantService accepts incomplete requests, and stores their complete instances.
func newTolerantService(t *testing.T) *service {
	t.Helper()
	s := &service{replies: []reply{storedAll}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, err := readUpload(r); err == nil {
			s.next(u)(w, u)
		} else {
			_, _ = io.Copy(io.Discard, r.Body)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// An archive in --files-from, and a link to an archive, are read like any other.
func TestArchivesByList(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "a.zip"), zipOf(t, zip.Deflate, named{"1.1.dcm", instanceBytes("1.1", 8)}, named{"1.2.txt", instanceBytes("1.2", 8)}))
	if err := os.Symlink("a.zip", filepath.Join(folder, "b.zip")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, "list"), []byte(strings.Join([]string{filepath.Join(folder, "b.zip"), ""}, "\n")))
	s := newService(t, storedAll)
	r := sendWith(t, s.URL, folder, func(o *Options) {
		o.Paths, o.FilesFrom, o.Include = nil, filepath.Join(folder, "list"), []string{"*.dcm"}
	})
	wantCounts(t, r, 1, 0)
	wantEqual(t, "UIDs sent", [][]string{{"1.1"}}, s.sentUIDs())
}
