package client

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
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

// What a run writes down, line by line.
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
	wantEqual(t, "first line", `{"journal":"stowrs send","url":"`+s.URL+`/studies"}`, first)
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
	want := []record{
		line("1.1", "sending", "", ""), line("1.2", "sending", "", ""),
		line("1.1", "stored", crcOf(t, folder, "1.1"), ""),
		line("1.2", "failed", crcOf(t, folder, "1.2"), "A901 the instance belongs to another study than the request names"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

// A rerun sends what is not stored, or has changed.
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

// Wherever a kill has cut the journal, the next run drops no more than the torn line.
func TestTornJournal(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1", "1.2"), filepath.Join(t.TempDir(), "journal")
	s := newService(t, storedAll)
	wantCounts(t, sendWith(t, s.URL, folder, func(o *Options) { o.Journal, o.Batch = journal, 1 }), 2, 0)
	content, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(content) + 1 {
		writeFile(t, journal, content[:n])
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

// Files that are no journal, or that of another service, stay as they are.
func TestForeignJournals(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"text": "some text", "lines": "some\ntext\n", "DICOM": string(instanceBytes("1.1", 100)), "JSON": "{}\n",
		"another service": `{"journal":"stowrs send","url":"https://other/studies"}` + "\n",
		"damaged within":  `{"journal":"stowrs send","url":"http://host/studies"}` + "\nnoise\n{}\n",
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

// A run that was killed may have stored what it had begun to send.
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

// crcOf is what S3 calls the CRC64NVME of a file.
func crcOf(t *testing.T, folder, uid string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, uid+".dcm"))
	if err != nil {
		t.Fatal(err)
	}
	const polynomial = 0x9a6c9329ac4bc9b5 // of NVM Express, reflected; bit by bit, so that no table is trusted
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
