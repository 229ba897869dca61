package client

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Users delete files after send or verify has ended with 0. So a file that may contain instances must not be skipped in this case: if it
// is not read, or not to its end, it has failed.
func TestWhatMayHideInstances(t *testing.T) {
	t.Parallel()
	one, two := named{"1.1.dcm", instanceBytes("1.1", 8)}, named{"1.2.dcm", instanceBytes("1.2", 2000)}
	joined := slices.Concat(tarOf(t, one), tarOf(t, two))
	damaged := tarOf(t, one, two)
	clear(damaged[1024:2048]) // the header of the second file and the beginning of its preamble: this looks like the end of the archive
	typed := func(flag byte, content []byte) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		h := &tar.Header{Name: "1.2.dcm", Linkname: "1.1.dcm", Size: int64(len(content)), Mode: 0o600, Typeflag: flag}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(content)
		_ = w.Close()
		return append(tarOf(t, one)[:1024], b.Bytes()...)
	}
	link := func(mode os.FileMode) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		h := &zip.FileHeader{Name: "1.2.dcm"}
		h.SetMode(mode)
		entry, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = entry.Write(two.content)
		_ = w.Close()
		return b.Bytes()
	}
	for name, test := range map[string]struct {
		file                    string
		content                 []byte
		stored, failed, skipped int64
		why                     string
	}{
		"joined tars":               {"a.tar", joined, 1, 1, 0, "something follows its end"},
		"joined and compressed":     {"a.tar.gz", gzipped(t, joined), 1, 1, 0, "something follows its end"},
		"two of tar.gz":             {"a.tgz", append(gzipped(t, tarOf(t, one)), gzipped(t, tarOf(t, two))...), 1, 1, 0, "something follows its end"},
		"zeros within":              {"a.tar", damaged, 1, 1, 0, "something follows its end"},
		"filled with zeros":         {"a.tar", append(tarOf(t, one), make([]byte, 1<<20)...), 1, 0, 0, ""},
		"nothing but zeros":         {"a.tar", make([]byte, 1<<20), 0, 0, 1, ""},
		"of no bytes":               {"a.tar", nil, 0, 0, 1, ""},
		"an empty zip":              {"a.zip", zipOf(t, zip.Store), 0, 0, 1, ""},
		"a contiguous file":         {"a.tar", typed(tar.TypeCont, two.content), 2, 0, 0, ""},
		"a file of the last volume": {"a.tar", typed('M', two.content), 1, 1, 0, "of a type that is not known"},
		"a hard link":               {"a.tar", typed(tar.TypeLink, nil), 1, 0, 1, ""},
		"a symbolic link in a zip":  {"a.zip", link(os.ModeSymlink | 0o777), 0, 0, 1, ""},
		"a device with content":     {"a.zip", link(os.ModeDevice | 0o600), 1, 0, 0, ""},
		"a name like no path":       {"a.tar", tarOf(t, one, named{strings.Repeat("\x01", 60_000), two.content}), 1, 1, 0, "its path is longer than 8 KiB"},
		"another compression":       {"a.tar.xz", []byte("\xFD7zXZ\x00"), 0, 1, 0, "an archive of this kind is not read"},
		"a compressed instance":     {"1.1.dcm.gz", gzipped(t, one.content), 0, 1, 0, "an archive of this kind is not read"},
		"only its name":             {"1.1.dcm.gz", one.content, 1, 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, journal := t.TempDir(), filepath.Join(t.TempDir(), "journal")
			writeFile(t, filepath.Join(folder, test.file), test.content)
			s := newTolerantService(t)
			for n := range 2 { // the second time with the journal, which must be readable
				r := sendWith(t, s.URL, folder, func(o *Options) { o.Journal = journal })
				stored := r.summary.Stored
				if n > 0 {
					stored = r.summary.Before
				}
				if stored != test.stored || r.summary.Failed != test.failed || r.summary.Skipped != test.skipped {
					t.Errorf("run %d: stored %d, failed %d, skipped %d, want %d, %d and %d (%v)\n%s%s", n, stored, r.summary.Failed, r.summary.Skipped,
						test.stored, test.failed, test.skipped, r.err, r.stderr, r.stdout)
				}
				var all string
				for _, text := range r.failures() {
					all += text
				}
				wantContains(t, "failures", all, test.why)
			}
			service := committing(t)
			v, code, output := verifyWith(t, func(o *VerifyOptions) { o.URL, o.Paths = service.URL, []string{folder} })
			if v.There != test.stored || v.Failed != test.failed || test.failed > 0 && code == 0 {
				t.Errorf("verify: exit %d, %+v\n%s", code, v, output)
			}
		})
	}
}

// A file that is written while it is read is not reported as "not DICOM".
func TestFileBeingWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "1.1.dcm")
	writeFile(t, path, nil)
	i, err := identify(candidate{path: path, size: 910})
	if err != nil || i.fate != failed {
		t.Fatalf("got %+v, %v", i, err)
	}
	wantContains(t, "why", i.detail, "has changed")
}

// A line of --files-from that is too long for a path must not make the journal unreadable.
func TestLongLineOfAList(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1"), filepath.Join(t.TempDir(), "journal")
	list := filepath.Join(t.TempDir(), "list")
	writeFile(t, list, []byte(filepath.Join(folder, "1.1.dcm")+"\n"+strings.Repeat("\x01", 60_000)+"\n"))
	s := newService(t, storedAll)
	for n, want := range []int{1, 0} {
		r := sendWith(t, s.URL, "", func(o *Options) { o.Paths, o.FilesFrom, o.Journal = nil, list, journal })
		wantCounts(t, r, want, 1)
		wantEqual(t, "stored before", int64(n), r.summary.Before)
	}
}
