package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// The complete output, with fixed times and rates.
func TestOutput(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1", "1.2", "1.3")
	writeFile(t, filepath.Join(folder, "README.md"), []byte("text"))
	s := newService(t, reasons(202, map[string]storeresponse.Reason{"1.3": 0xA901}))
	r := sendWith(t, s.URL+"/", folder, nil)
	wantCounts(t, r, 2, 1)
	steady := func(text string) string {
		text = strings.NewReplacer(folder, "FOLDER", s.URL, "URL").Replace(text)
		return regexp.MustCompile(`\d+\.\d\d s|\d+\.\d MB/s`).ReplaceAllString(text, "N")
	}
	wantEqual(t, "stderr", `sending to URL/studies
skipped FOLDER/README.md: not DICOM
`, steady(r.stderr))
	wantEqual(t, "stdout", `failed, 1 instance: A901 the instance belongs to another study than the request names
  give --url without the study
  FOLDER/1.3.dcm  1.3
2 instances stored, 1 failed, 1 file skipped; 1.8 kB in N, N
`, steady(r.stdout))
}

// --response shows the last answer unchanged.
func TestResponseIsPrintedVerbatim(t *testing.T) {
	t.Parallel()
	const body = `{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.1"]}}]},  "extra" : {"vr":"LO"} }`
	s := newService(t, plain(503, "text/plain", "first"), func(w http.ResponseWriter, _ upload) {
		w.Header()["Date"] = []string{"Thu, 01 Jan 2026 00:00:00 GMT"}
		w.Header().Set("Content-Type", storeresponse.MediaTypeJSON)
		_, _ = w.Write([]byte(body))
	})
	r := sendWith(t, s.URL, folderOf(t, "1.1"), func(o *Options) { o.Response = true })
	wantCounts(t, r, 1, 0)
	want := "HTTP/1.1 200 OK\nContent-Length: 100\nContent-Type: application/dicom+json\nDate: Thu, 01 Jan 2026 00:00:00 GMT\n\n" + body + "\n"
	if !strings.HasPrefix(r.stdout, want) {
		t.Errorf("got:\n%s\nwant it to begin with:\n%s", r.stdout, want)
	}
}

// If many instances fail, the terminal shows only 20; the report contains all.
func TestReasonsAreGrouped(t *testing.T) {
	t.Parallel()
	tally := newTally(nil)
	for n := range 30 {
		i := &instance{candidate: candidate{path: fmt.Sprintf("c\x1b[2J%02d", n)}, sopInstanceUID: "1.3"}
		i.fail(0xC000, "")
		tally.settle(i)
	}
	i := &instance{candidate: candidate{path: "b"}}
	i.fail(0, "not sent: permission denied")
	tally.settle(i)
	i = &instance{candidate: candidate{path: "d"}, sopInstanceUID: "1.4"}
	i.store(0xB000)
	tally.settle(i)
	var out bytes.Buffer
	l := &lines{w: &out}
	failures, warnings := tally.groups()
	l.summary(Summary{Counts: Counts{Stored: 1234, StoredBytes: 3e9, Skipped: 2, Failed: 31}, Duration: 2 * time.Second}, failures, warnings)
	var want strings.Builder
	want.WriteString("stored with a warning, 1 instance: B000 warning\nfailed, 30 instances: C000 cannot understand: not DICOM, damaged, or cut off\n  get the file once more from where it was made\n")
	for n := range 20 {
		fmt.Fprintf(&want, "  c [2J%02d  1.3\n", n)
	}
	want.WriteString("  and 10 more\nfailed, 1 instance: not sent: permission denied\n" +
		"1,234 instances stored, 31 failed, 2 files skipped; 3.0 GB in 2.00 s, 1500.0 MB/s\n")
	wantEqual(t, "summary", want.String(), out.String())
}

func TestLongMessagesAreCut(t *testing.T) {
	t.Parallel()
	a := answer{status: "500 Internal Server Error", code: 500, body: bytes.Repeat([]byte("ä"), 1000)}
	wantEqual(t, "message", strings.Repeat("ä", 300)+"…", a.message())
}

func TestPasswordInURLIsNotShown(t *testing.T) {
	t.Parallel()
	s := newService(t, storedAll)
	r := sendWith(t, strings.Replace(s.URL, "http://", "http://user:secret@", 1), folderOf(t, "1.1"), nil)
	wantCounts(t, r, 1, 0)
	if strings.Contains(r.stderr+r.stdout, "secret") {
		t.Errorf("the password is shown:\n%s%s", r.stderr, r.stdout)
	}
	wantEqual(t, "Authorization", "Basic dXNlcjpzZWNyZXQ=", s.received()[0].header.Get("Authorization"))
}

// outcomes are the lines of a report.
func outcomes(t *testing.T, report string) []Outcome {
	t.Helper()
	content, err := os.ReadFile(report)
	if err != nil {
		return nil
	}
	var all []Outcome
	for line := range strings.Lines(string(content)) {
		var o Outcome
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Errorf("--report: %q: %v", line, err)
		}
		all = append(all, o)
	}
	return all
}

// The report contains a path that is not UTF-8 byte for byte.
func TestReportOfAnyPath(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "\xff.dcm"), append(make([]byte, 128), "DICM"...))
	r, _ := sendTo(t, folder, nil)
	wantCounts(t, r, 0, 1)
	wantEqual(t, "path", filepath.Join(folder, "\xff.dcm"), string(r.outcomes[0].PathBytes))
	wantEqual(t, "path as text", "", r.outcomes[0].Path)
}
