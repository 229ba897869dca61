package client

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alexflint/go-arg"
)

func TestTarget(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"http://host":                             "http://host/studies",
		"http://host:8080/":                       "http://host:8080/studies",
		" https://host/studies ":                  "https://host/studies",
		"https://host/studies/":                   "https://host/studies",
		"https://host/dicomweb":                   "https://host/dicomweb/studies",
		"https://host/dicom-web//":                "https://host/dicom-web/studies",
		"https://host/studies/1.2.3":              "https://host/studies/1.2.3",
		"https://host/studies/1.2.3/":             "https://host/studies/1.2.3",
		"https://host/studies/dicomweb":           "https://host/studies/dicomweb/studies",
		"https://host/mystudies":                  "https://host/mystudies/studies",
		"https://user:pass@host/x?tenant=1":       "https://user:pass@host/x/studies?tenant=1",
		"https://host/a%2Fb":                      "https://host/a%2Fb/studies",
		"https://[::1]:8443/aets/A B/rs#fragment": "https://[::1]:8443/aets/A%20B/rs/studies",
	}
	for given, want := range tests {
		got, err := Options{URL: given}.target()
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		wantEqual(t, given, want, got.String())
	}
	for _, given := range []string{"", "host:8080", "localhost/studies", "ftp://host", "https://", "http://[::1"} {
		if got, err := (Options{URL: given}).target(); err == nil {
			t.Errorf("%q: got %s, want an error", given, got)
		}
	}
}

func TestUnusableOptions(t *testing.T) {
	t.Parallel()
	r := sendWith(t, "http://host", t.TempDir(), func(o *Options) {
		o.Batch, o.BatchBytes, o.Parallel, o.Attempts, o.Accept, o.Key = 0, -1, 0, 0, "html", "key.pem"
	})
	if r.err == nil {
		t.Fatal("got no error")
	}
	wantContains(t, "error", r.err.Error(), "--batch is 0", "--batch-bytes is -1", "--parallel is 0", "--attempts is 0", `--accept is "html"`, "--key without --cert")
}

// --report replaces its file, so it must not be the file of --journal.
func TestReportIsNotTheJournal(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1")
	journal, link := filepath.Join(folder, "journal"), filepath.Join(folder, "link")
	s := newService(t, storedAll)
	wantCounts(t, sendWith(t, s.URL, folder, func(o *Options) { o.Journal = journal }), 1, 0)
	if err := os.Symlink("journal", link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{journal, link, filepath.Join(folder, "new")} {
		r := sendWith(t, s.URL, folder, func(o *Options) {
			o.Journal, o.Report = journal, name
			if filepath.Base(name) == "new" { // neither file exists yet
				o.Journal = name
			}
		})
		wantEqual(t, name+": exit code", 2, ExitCode(r.summary, r.err))
		if content, _ := os.ReadFile(journal); !bytes.Contains(content, []byte(`"stored"`)) {
			t.Fatalf("--report %s replaced the journal", name)
		}
	}
}

// go-arg makes the command line from the struct tags.
func TestFlags(t *testing.T) {
	t.Parallel()
	parse := func(args ...string) (Options, error) {
		var o Options
		parser, err := arg.NewParser(arg.Config{}, &o)
		if err != nil {
			t.Fatal(err)
		}
		if err := parser.Parse(args); err != nil {
			return o, err
		}
		return o, o.validate()
	}
	got, err := parse("--url", "http://host", "a", "b,c")
	if err != nil {
		t.Fatal(err)
	}
	want := Options{URL: "http://host", Accept: "json", Batch: 100, BatchBytes: 256 << 20, Parallel: 16, Attempts: 5, MaxWait: time.Hour, Paths: []string{"a", "b,c"}}
	wantEqual(t, "defaults", want, got)

	got, err = parse("--url=http://host", "--insecure", "--accept=xml", "--batch=7", "--batch-bytes=1.5GB", "--parallel=2", "--attempts=1", "--max-wait=90s", "--report=r", "--response", "a")
	if err != nil {
		t.Fatal(err)
	}
	want = Options{URL: "http://host", Insecure: true, Accept: "xml", Batch: 7, BatchBytes: 1500000000, Parallel: 2, Attempts: 1, MaxWait: 90 * time.Second, Report: "r", Response: true, Paths: []string{"a"}}
	wantEqual(t, "flags", want, got)

	for name, args := range map[string][]string{
		"no URL": {"a"}, "no path": {"--url=http://host"}, "accept": {"--url=http://host", "--accept=html", "a"},
		"no size": {"--url=http://host", "--batch-bytes=much", "a"}, "size zero": {"--url=http://host", "--batch-bytes=0", "a"},
		"size too large": {"--url=http://host", "--batch-bytes=9EiB", "a"},
	} {
		if o, err := parse(args...); err == nil {
			t.Errorf("%s: got %+v, want an error", name, o)
		}
	}
}
