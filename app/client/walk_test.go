package client

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"stowrs-to-s3/app/dicomtest"
)

// sendTo sends folder to a service that stores everything.
func sendTo(t *testing.T, folder string, change func(*Options)) (run, *service) {
	t.Helper()
	s := newService(t, storedAll)
	return sendWith(t, s.URL, folder, change), s
}

func TestFoldersAreWalkedInOrder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for path, uid := range map[string]string{"b/2.dcm": "1.2", "a/deep/1.dcm": "1.1", "c": "1.3", "a.dcm": "1.0"} {
		writeFile(t, filepath.Join(folder, path), instanceBytes(uid, 8))
	}
	r, s := sendTo(t, folder, func(o *Options) { o.Paths = []string{filepath.Join(folder, "c"), folder} })
	wantCounts(t, r, 4, 0)
	wantEqual(t, "UIDs sent", [][]string{{"1.3", "1.1", "1.0", "1.2"}}, s.sentUIDs())
	wantContains(t, "stderr", r.stderr, "skipped "+filepath.Join(folder, "c")+": listed before")
}

func TestWhatIsNotDICOMIsSkipped(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1")
	writeFile(t, filepath.Join(folder, "README.md"), []byte("# Samples\n"))
	writeFile(t, filepath.Join(folder, "empty"), nil)
	writeFile(t, filepath.Join(folder, "DICOMDIR"), instanceBytes("1.2", 8))
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, s := sendTo(t, folder, nil)
	wantCounts(t, r, 1, 0)
	wantEqual(t, "skipped", 4, r.summary.Skipped)
	wantEqual(t, "UIDs sent", [][]string{{"1.1"}}, s.sentUIDs())
	for name, why := range map[string]string{
		"README.md": "not DICOM", "empty": "not DICOM", "pipe": "not a regular file", "DICOMDIR": "an index of a DICOM medium",
	} {
		wantContains(t, "stderr", r.stderr, "skipped "+filepath.Join(folder, name)+": "+why+"\n")
	}
	wantContains(t, "stdout", r.stdout, "1 instance stored, 0 failed, 4 files skipped")
}

func TestSymbolicLinks(t *testing.T) {
	t.Parallel()
	elsewhere, folder := folderOf(t, "1.1", "1.2"), t.TempDir()
	for name, target := range map[string]string{
		"file":  filepath.Join(elsewhere, "1.1.dcm"),
		"again": filepath.Join(elsewhere, "1.1.dcm"),
		"loop":  folder,
	} {
		if err := os.Symlink(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	r, s := sendTo(t, folder, nil)
	wantCounts(t, r, 2, 0) // a link outside of the folder is found each time, because the walk does not remember its target
	wantEqual(t, "UIDs sent", [][]string{{"1.1"}, {"1.1"}}, s.sentUIDs())
	wantContains(t, "stderr", r.stderr, "loop: a symbolic link to a folder")

	r, s = sendTo(t, "", func(o *Options) { o.Paths = []string{folder, elsewhere} })
	wantCounts(t, r, 2, 0)
	wantEqual(t, "UIDs sent", [][]string{{"1.1", "1.2"}}, s.sentUIDs())
	wantContains(t, "stderr", r.stderr, "file: a symbolic link to a file that is sent from its own place")

	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	r, _ = sendTo(t, link, nil)
	wantCounts(t, r, 2, 0)
}

// If a filter leaves out a file at its own place, a link to it is sent (git-annex has such links).
func TestLinkToAFileThatIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"--include": func(o *Options) { o.Include = []string{"*.dcm"} },
		"--exclude": func(o *Options) { o.Exclude = []string{"store"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			writeFile(t, filepath.Join(folder, "store", "SHA256-1"), instanceBytes("1.1", 8))
			writeFile(t, filepath.Join(folder, "view", "unrelated"), nil)
			if err := os.Symlink(filepath.Join(folder, "store", "SHA256-1"), filepath.Join(folder, "view", "one.dcm")); err != nil {
				t.Fatal(err)
			}
			r, s := sendTo(t, folder, change)
			wantCounts(t, r, 1, 0)
			wantEqual(t, "UIDs sent", [][]string{{"1.1"}}, s.sentUIDs())
			r, s = sendTo(t, "", func(o *Options) { // its own name is left out, and comes first
				change(o)
				o.Paths = []string{filepath.Join(folder, "store", "SHA256-1"), filepath.Join(folder, "view", "one.dcm")}
				o.Exclude = []string{"SHA256-1"}
			})
			wantCounts(t, r, 1, 0)
			wantEqual(t, "UIDs sent", [][]string{{"1.1"}}, s.sentUIDs())
		})
	}
}

// An instance that cannot be sent must be reported as failed, and not skipped.
func TestUnsendableInstancesFail(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1")
	whole := instanceBytes("1.2", 8)
	study := bytes.Index(whole, dicomtest.ExplicitLE.UI(0x0020000D, "1.2.3"))
	writeFile(t, filepath.Join(folder, "nostudy.dcm"), append(bytes.Clone(whole[:study]), dicomtest.ExplicitLE.Element(dicomtest.PixelData, "OW", "\x01\x02")...))
	if err := os.Symlink("nowhere", filepath.Join(folder, "dangling.dcm")); err != nil {
		t.Fatal(err)
	}
	empty := bytes.Replace(whole, dicomtest.ExplicitLE.UI(0x0020000E, "1.2.3.1"), dicomtest.ExplicitLE.UI(0x0020000E, ""), 1)
	writeFile(t, filepath.Join(folder, "empty.dcm"), empty)
	writeFile(t, filepath.Join(folder, "cut.dcm"), whole[:study+4]) // within the header of an element

	r, s := sendTo(t, folder, nil)
	wantCounts(t, r, 1, 4)
	wantEqual(t, "UIDs sent", [][]string{{"1.1"}}, s.sentUIDs())
	failures := r.failures()
	wantContains(t, "cut off", failures["cut.dcm"], "C000 cannot understand", "not DICOM")
	wantContains(t, "without study", failures["nostudy.dcm"], "0120 missing attribute", "StudyInstanceUID is missing")
	wantContains(t, "empty series", failures["empty.dcm"], "0121 missing attribute value", "SeriesInstanceUID has no value")
	wantContains(t, "dangling link", failures["dangling.dcm"], "no such file")
	wantContains(t, "stdout", r.stdout, filepath.Join(folder, "nostudy.dcm")+"  1.2")
}

func TestNothingToSend(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		paths func(t *testing.T) []string
		want  string
	}{
		"empty folder": {func(t *testing.T) []string { return []string{t.TempDir()} }, "no DICOM instance found"},
		"only text": {func(t *testing.T) []string {
			folder := t.TempDir()
			writeFile(t, filepath.Join(folder, "a.txt"), []byte("text"))
			return []string{folder}
		}, "no DICOM instance found"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := sendTo(t, "", func(o *Options) { o.Paths = test.paths(t) })
			if r.err == nil {
				t.Fatalf("got %+v, want an error", r.summary)
			}
			wantContains(t, "error", r.err.Error(), test.want)
			wantEqual(t, "requests", 0, len(s.received()))
		})
	}
	t.Run("missing path", func(t *testing.T) {
		t.Parallel()
		folder := folderOf(t, "1.1")
		writeFile(t, filepath.Join(folder, "a.txt"), []byte("text"))
		r, s := sendTo(t, "", func(o *Options) { o.Paths = []string{folder, filepath.Join(folder, "none")} })
		if !errors.Is(r.err, fs.ErrNotExist) {
			t.Errorf("got %v, want fs.ErrNotExist", r.err)
		}
		wantEqual(t, "requests", 0, len(s.received()))
		wantEqual(t, "stderr: nothing is looked at", "", r.stderr)
	})
}

// All instances fail before anything is sent, so the service gets no request.
func TestOnlyUnsendable(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "a.dcm"), append(make([]byte, 128), "DICM"...))
	s := newService(t, func(w http.ResponseWriter, _ upload) { w.WriteHeader(http.StatusInternalServerError) })
	r := sendWith(t, s.URL, folder, nil)
	wantCounts(t, r, 0, 1)
	wantEqual(t, "requests", 0, len(s.received()))
}

// The patterns select by name, or by the whole path; a folder that is left out is not read.
func TestIncludeAndExclude(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for path, uid := range map[string]string{"a/1.dcm": "1.1", "a/2.ima": "1.2", "b/3.dcm": "1.3", "b/tmp/4.dcm": "1.4", "5": "1.5"} {
		writeFile(t, filepath.Join(folder, path), instanceBytes(uid, 8))
	}
	tests := map[string]struct {
		include, exclude []string
		want             []string
	}{
		"include":        {[]string{"*.dcm", "5"}, nil, []string{"1.5", "1.1", "1.3", "1.4"}},
		"exclude a name": {nil, []string{"tmp", "*.ima"}, []string{"1.5", "1.1", "1.3"}},
		"exclude a path": {[]string{"*.dcm"}, []string{filepath.Join(folder, "a", "*")}, []string{"1.3", "1.4"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := sendTo(t, folder, func(o *Options) { o.Include, o.Exclude = test.include, test.exclude })
			wantCounts(t, r, len(test.want), 0)
			wantEqual(t, "UIDs sent", [][]string{test.want}, s.sentUIDs())
			wantEqual(t, "skipped", int64(0), r.summary.Skipped)
		})
	}
	r, _ := sendTo(t, folder, func(o *Options) { o.Include = []string{"[a"} })
	wantEqual(t, "exit code", 2, ExitCode(r.summary, r.err))
}

// A folder is read in windows, in an order that does not depend on their size.
func TestFolderInWindows(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var want []string
	for n := range 100 {
		name := fmt.Sprintf("%02d", n*37%100)
		writeFile(t, filepath.Join(folder, name), nil)
		want = append(want, fmt.Sprintf("%02d", n))
	}
	for _, limit := range []int{1, 7, 50, 99, 100, 101} {
		var got []string
		for after, more := "", true; more; {
			var entries []entry
			var err error
			entries, more, err = readFolder(folder, after, limit)
			if err != nil || len(entries) > limit {
				t.Fatalf("%d entries, want %d at most (%v)", len(entries), limit, err)
			}
			for _, e := range entries {
				got, after = append(got, e.name), e.name
			}
		}
		wantEqual(t, "names", want, got)
	}
}

// A line that is too long for a path is reported, and the paths after it are still read.
func TestLongLineInTheList(t *testing.T) {
	t.Parallel()
	folder, list := folderOf(t, "1.1", "1.2"), filepath.Join(t.TempDir(), "list")
	writeFile(t, list, []byte(filepath.Join(folder, "1.1.dcm")+"\n"+strings.Repeat("x", 200_000)+"\r\n"+filepath.Join(folder, "1.2.dcm")))
	r, s := sendTo(t, "", func(o *Options) { o.Paths, o.FilesFrom = nil, list })
	wantCounts(t, r, 2, 1)
	wantEqual(t, "UIDs sent", [][]string{{"1.1", "1.2"}}, s.sentUIDs())
	wantContains(t, "reason", r.failures()["--files-from, line 2"], "longer than 64 KiB")
}
