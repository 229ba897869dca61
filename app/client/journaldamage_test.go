package client

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// At whatever byte a kill has cut the journal, the next run drops only the incomplete line.
func TestTornJournal(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1", "1.2"), filepath.Join(t.TempDir(), "journal")
	s := newService(t, storedAll)
	wantCounts(t, sendWith(t, s.URL, folder, func(o *Options) { o.Journal, o.Batch = journal, 1 }), 2, 0)
	content, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	zeros := append(bytes.Clone(content), make([]byte, 3*longestLine)...) // as a machine failure may leave
	for n := range len(content) + 2 {
		writeFile(t, journal, zeros[:n])
		if n > len(content) {
			writeFile(t, journal, zeros)
			n = len(content)
		}
		o := Options{URL: s.URL}
		target, err := o.target()
		if err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(journal, target)
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		whole := content[:strings.LastIndexByte(string(content[:n]), '\n')+1]
		wantEqual(t, "stored", strings.Count(string(whole), `"outcome":"stored"`), len(j.stored))
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(journal)
		if err != nil {
			t.Fatal(err)
		}
		if len(whole) == 0 {
			whole = content[:strings.IndexByte(string(content), '\n')+1]
		}
		wantEqual(t, "journal", string(whole), string(got))
	}
}

// Files that are not a journal, or that belong to another service, are not changed.
func TestForeignJournals(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"text": "some text", "lines": "some\ntext\n", "DICOM": string(instanceBytes("1.1", 100)), "JSON": "{}\n",
		"another service": `{"journal":"stowrs send","url":"https://other/studies"}` + "\n",
		"damaged opening": strings.Replace(string(appendLine(nil, opening{Journal: journalName, URL: "http://host/studies", Sums: true})), "sums", "sumz", 1),
		"one long line":   strings.Repeat("x", 3*longestLine), "a long line": strings.Repeat("x", 3*longestLine) + "\n",
		"damaged within": `{"journal":"stowrs send","url":"http://host/studies"}` + "\nnoise\n{}\n",
	} {
		journal := filepath.Join(t.TempDir(), "journal")
		writeFile(t, journal, []byte(content))
		r := journalled(t, "http://host", folderOf(t, "1.1"), journal)
		wantEqual(t, name+": exit code", 2, ExitCode(r.summary, r.err))
		got, err := os.ReadFile(journal)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, name, content, string(got))
	}
}

// A journal must be a regular file: reading a pipe would wait for ever.
func TestJournalIsAFile(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{t.TempDir(), os.DevNull} {
		r := journalled(t, "http://host", folderOf(t, "1.1"), journal)
		wantEqual(t, journal+": exit code", 2, ExitCode(r.summary, r.err))
		wantContains(t, "error", r.err.Error(), "not a regular file")
	}
}

// A line with a flipped bit is refused, even if it is still JSON.
func TestDamagedJournalLine(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1"), filepath.Join(t.TempDir(), "journal")
	s := newService(t, storedAll)
	wantCounts(t, journalled(t, s.URL, folder, journal), 1, 0)
	content, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	changed := map[string]string{
		"size": strings.Replace(string(content), `"size":910`, `"size":911`, 1), "outcome": strings.Replace(string(content), `"stored"`, `"failed"`, 1),
		"sum": strings.ReplaceAll(string(content), `"sum":"`, `"sun":"`), "no sum": regexp.MustCompile(`,"sum":"[0-9a-f]*"}\n$`).ReplaceAllString(string(content), "}\n"),
	}
	for n := range content {
		flipped := bytes.Clone(content)
		flipped[n] ^= 4
		changed[fmt.Sprint("byte ", n)] = string(flipped)
	}
	for name, damaged := range changed {
		writeFile(t, journal, []byte(damaged))
		r := journalled(t, s.URL, folder, journal)
		if ExitCode(r.summary, r.err) == 2 {
			continue
		}
		if name != fmt.Sprint("byte ", len(content)-1) { // without its line break, a line counts as incomplete: its instance is sent again
			t.Errorf("%s: the damage is not seen", name)
		}
	}
	writeFile(t, journal, []byte(changed["size"]))
	wantContains(t, "error", journalled(t, s.URL, folder, journal).err.Error(), "line 3: the line is damaged")
}
