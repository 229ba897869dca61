package client

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/storeresponse"
)

// journalled sends folder with a journal.
func journalled(t *testing.T, url, folder, journal string) run {
	t.Helper()
	return sendWith(t, url, folder, func(o *Options) { o.Journal = journal })
}

// The lines of a journal, one after the other.
func TestJournalLines(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1", "1.2"), filepath.Join(t.TempDir(), "journal")
	s := newService(t, reasons(202, map[string]storeresponse.Reason{"1.2": 0xA901}))
	wantCounts(t, journalled(t, s.URL, folder, journal), 1, 1)
	content, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(content), "\n")
	wantContains(t, "first line", first, `{"journal":"stowrs send","url":"`+s.URL+`/studies","sums":true,"sum":"`)
	var got []record
	for line := range strings.Lines(rest) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if age := time.Since(r.Time); age < 0 || age > time.Minute {
			t.Errorf("time is %s", r.Time)
		}
		r.Time = time.Time{}
		got = append(got, r)
	}
	line := func(uid, outcome, crc, reason string) record {
		path := filepath.Join(folder, uid+".dcm")
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return record{Path: path, Size: 910, Modified: info.ModTime().UTC(), Study: "1.2.3", Series: "1.2.3.1", Instance: uid,
			CRC64NVME: crc, Outcome: outcome, Reason: reason}
	}
	of := "a run of " + folder
	want := []record{
		{Path: of, Outcome: "walking"},
		line("1.1", "sending", "", ""), line("1.2", "sending", "", ""),
		line("1.1", "stored", crcOf(t, folder, "1.1"), ""),
		line("1.2", "failed", crcOf(t, folder, "1.2"), "A901 the instance belongs to another study than the request names"),
		{Path: of, Outcome: "walked"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

// A second run sends only what is not stored, or has changed.
func TestRerunSkipsWhatIsStored(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1", "1.2", "1.3", "1.4\xff"), filepath.Join(t.TempDir(), "journal")
	if err := os.Rename(filepath.Join(folder, "1.4\xff.dcm"), filepath.Join(folder, "\xff.dcm")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, "\xff.dcm"), instanceBytes("1.4", 8))
	s := newService(t, reasons(202, map[string]storeresponse.Reason{"1.2": 0xA901}), storedAll)
	wantCounts(t, journalled(t, s.URL, folder, journal), 3, 1)
	now := time.Now().Add(time.Second)
	if err := os.Chtimes(filepath.Join(folder, "1.3.dcm"), now, now); err != nil {
		t.Fatal(err)
	}
	r := journalled(t, s.URL+"/studies/", folder, journal)
	wantCounts(t, r, 2, 0)
	wantEqual(t, "sent again", []string{"1.2", "1.3"}, s.sentUIDs()[1])
	wantContains(t, "stdout", r.stdout, "2 instances, 1.2 kB, stored before, by the journal")

	r = journalled(t, s.URL, folder, journal)
	wantCounts(t, r, 0, 0)
	wantEqual(t, "exit code", 0, ExitCode(r.summary, r.err))
	wantEqual(t, "requests", 2, len(s.received()))
}

// A journal of a version without checksums can be continued: its lines are accepted, and new lines get checksums.
func TestJournalWithoutChecksums(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1", "1.2"), filepath.Join(t.TempDir(), "journal")
	s := newService(t, storedAll)
	wantCounts(t, journalled(t, s.URL, folder, journal), 2, 0)
	content, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	old := regexp.MustCompile(`(,"sums":true)?,"sum":"[0-9a-f]*"`).ReplaceAllString(string(content), "")
	old = regexp.MustCompile(`(?m)^.*"instance":"1.2".*\n`).ReplaceAllString(old, "")
	writeFile(t, journal, []byte(old))
	r := journalled(t, s.URL, folder, journal)
	wantCounts(t, r, 1, 0)
	wantEqual(t, "stored before", int64(1), r.summary.Before)
	if content, err = os.ReadFile(journal); err != nil {
		t.Fatal(err)
	}
	writeFile(t, journal, bytes.Replace(content, []byte(`"instance":"1.2"`), []byte(`"instance":"1.3"`), 1))
	r = journalled(t, s.URL, folder, journal)
	wantEqual(t, "exit code of a damaged new line", 2, ExitCode(r.summary, r.err))
}

// A link to the journal is locked as well.
func TestJournalIsLockedByAnyName(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	name := func(s string) string { return filepath.Join(folder, s) }
	target, err := Options{URL: "http://host"}.target()
	if err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(name("journal"), target)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.close() }()
	if err := errors.Join(os.Symlink("journal", name("symbolic")), os.Link(name("journal"), name("hard"))); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"symbolic", "hard", "../" + filepath.Base(folder) + "/journal"} {
		if _, err := openJournal(name(link), target); err == nil || !strings.Contains(err.Error(), "another process is using") {
			t.Errorf("%s: got %v", link, err)
		}
	}
}

func TestJournalIsOfOneProcess(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal")
	s := newService(t, storedAll)
	target, err := Options{URL: s.URL}.target()
	if err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(journal, target)
	if err != nil {
		t.Fatal(err)
	}
	r := journalled(t, s.URL, folderOf(t, "1.1"), journal)
	wantEqual(t, "exit code", 2, ExitCode(r.summary, r.err))
	wantContains(t, "error", r.err.Error(), "another process is using")
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, journalled(t, s.URL, folderOf(t, "1.1"), journal), 1, 0)
}

// A run that was killed may have stored the instances that it had begun to send.
func TestDuplicateAfterAKill(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1", "1.2"), filepath.Join(t.TempDir(), "journal")
	s := newService(t, reasons(202, map[string]storeresponse.Reason{"1.1": 0x0111, "1.2": 0x0111}))
	line := func(uid, outcome string) string {
		info, err := os.Stat(filepath.Join(folder, uid+".dcm"))
		if err != nil {
			t.Fatal(err)
		}
		return string(appendLine(nil, record{Path: filepath.Join(folder, uid+".dcm"), Size: 910, Modified: info.ModTime(), Outcome: outcome}))
	}
	writeFile(t, journal, []byte(`{"journal":"stowrs send","url":"`+s.URL+`/studies"}`+"\n"+line("1.1", "sending")+line("1.2", "sending")+line("1.2", "failed")))
	r := journalled(t, s.URL, folder, journal)
	wantCounts(t, r, 1, 1)
	wantContains(t, "stdout", r.stdout, "1 instance stored (1 already stored, not verified), 1 failed")
}

// crcOf is the CRC64NVME of a file, in the form of S3.
func crcOf(t *testing.T, folder, uid string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, uid+".dcm"))
	if err != nil {
		t.Fatal(err)
	}
	const polynomial = 0x9a6c9329ac4bc9b5 // of NVM Express, reflected; computed bit by bit, independently of the library's tables
	crc := ^uint64(0)
	for _, b := range content {
		crc ^= uint64(b)
		for range 8 {
			if crc&1 == 1 {
				crc = crc>>1 ^ polynomial
			} else {
				crc >>= 1
			}
		}
	}
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, ^crc))
}
