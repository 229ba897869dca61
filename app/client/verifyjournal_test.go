package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/commitment/references"
	"stowrs-to-s3/app/storeresponse"
)

// committing is a service that has stored everything that it is asked about, except for these.
func committing(t *testing.T, lacks ...string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, err := references.Read(r.Body, r.Header.Get("Content-Type"), func(int64) error { return nil })
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for n := range m.All {
			if slices.Contains(lacks, m.All[n].SOPInstanceUID) {
				m.All[n].FailureReason = references.ReasonNoSuchInstance
			}
		}
		w.Header().Set("Content-Type", storeresponse.MediaTypeJSON)
		_ = references.Write(w, storeresponse.MediaTypeJSON, m.All)
	}))
	t.Cleanup(server.Close)
	return server
}

// verifyWith runs Verify with these changes of the usual options.
func verifyWith(t *testing.T, change func(*VerifyOptions)) (v Verified, code int, output string) {
	t.Helper()
	o := VerifyOptions{Batch: 7, Parallel: 2, MaxWait: time.Minute}
	change(&o)
	var out strings.Builder
	v, err := verify(t.Context(), o, &out, io.Discard, time.Millisecond)
	return v, VerifyExitCode(v, err), out.String()
}

// journalOf writes a journal with these outcomes, in turn; each line contains the checksum, as S3 writes it.
func journalOf(t *testing.T, url string, lines ...[3]string) string {
	t.Helper()
	content := appendLine(nil, opening{Journal: journalName, URL: url + "/studies", Sums: true})
	for _, line := range lines {
		content = appendLine(content, record{Path: "/" + line[0], Study: "1.2", Series: "1.3", Instance: line[0], Outcome: line[1], CRC64NVME: line[2]})
	}
	journal := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(journal, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return journal
}

// Users delete files according to verify. If the service reported a duplicate (0111) after a request whose answer was lost, the UIDs are
// stored, but perhaps with other bytes: this is reported separately, and does not count as stored until the bytes are compared.
func TestVerifyTellsUnverifiedApart(t *testing.T) {
	t.Parallel()
	const right, other = "AAAAAAAAAAA=", "AAAAAAAAAAE="
	lines := [][3]string{
		{"1.1", outcomeSending, ""}, {"1.1", outcomeStored, right},
		{"1.2", outcomeSending, ""}, {"1.2", outcomeUnverified, right},
		{"1.3", outcomeUnverified, ""}, // the answer came before all of it was sent
		{"1.4", outcomeSending, ""},
		{"1.5", outcomeFailed, ""},
		{"1.6", outcomeFailed, ""}, {"1.6", outcomeStored, right},
		{"1.7", outcomeUnverified, right},
	}
	service := committing(t, "1.7")
	objects := func(crc string) func(context.Context, string, string, string) (string, bool, error) {
		return func(_ context.Context, _, _, instance string) (string, bool, error) {
			if instance == "1.2" {
				return crc, true, nil
			}
			return right, instance != "1.7", nil
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*VerifyOptions)
		lines  [][3]string
		want   Verified
		code   int
		words  []string
	}{
		{"asked by UIDs", func(o *VerifyOptions) { o.URL = service.URL }, lines, Verified{There: 2, Missing: 3, Unverified: 2}, 1, []string{
			"2 instances are stored, 3 missing, 2 not verified", "unverified /1.2 1.2/1.3/1.2: ", "unverified /1.3", "missing    /1.4", "missing    /1.5", "missing    /1.7",
		}},
		{"nothing but unverified", func(o *VerifyOptions) { o.URL = service.URL }, lines[3:4], Verified{Unverified: 1}, 1, []string{"0 instances are stored, 0 missing, 1 not verified"}},
		{"compared, the same bytes", func(o *VerifyOptions) { o.Checksum = objects(right) }, lines, Verified{There: 3, Missing: 3, Failed: 1}, 1, []string{
			"3 instances are stored with these bytes, 3 missing, 0 different, 1 not known", "not known  /1.3: the journal has no checksum of it",
		}},
		{"compared, other bytes", func(o *VerifyOptions) { o.URL, o.Checksum = service.URL, objects(other) }, lines, Verified{There: 2, Missing: 3, Different: 1, Failed: 1}, 1, []string{
			"different  /1.2",
		}},
		{"compared, and all is well", func(o *VerifyOptions) { o.Checksum = objects(right) }, lines[:4], Verified{There: 2}, 0, []string{"2 instances are stored with these bytes"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, code, output := verifyWith(t, func(o *VerifyOptions) {
				tc.change(o)
				o.Journal, o.Checksums = journalOf(t, service.URL, tc.lines...), o.Checksum != nil
			})
			if got != tc.want || code != tc.code {
				t.Errorf("exit %d, %+v; want %d, %+v\n%s", code, got, tc.code, tc.want, output)
			}
			wantContains(t, "stdout", output, tc.words...)
		})
	}
}

// A file that failed, was corrected and sent again is stored; a file that was stored, and failed after a change, is not.
func TestVerifyGoesByTheLastVersion(t *testing.T) {
	t.Parallel()
	service := committing(t)
	content := appendLine(nil, opening{Journal: journalName, URL: service.URL + "/studies", Sums: true})
	for n, outcome := range []string{outcomeFailed, outcomeStored, outcomeStored, outcomeFailed} {
		uid := []string{"1.1", "1.2"}[n/2]
		content = appendLine(content, record{Path: "/" + uid, Size: int64(n), Study: "1.2", Series: "1.3", Instance: uid, Outcome: outcome})
	}
	journal := filepath.Join(t.TempDir(), "journal")
	writeFile(t, journal, content)
	got, code, output := verifyWith(t, func(o *VerifyOptions) { o.URL, o.Journal = service.URL, journal })
	if want := (Verified{There: 2, Missing: 1}); got != want || code != 1 || !strings.Contains(output, "missing    /1.2 ") {
		t.Errorf("exit %d, %+v, want 1, %+v\n%s", code, got, want, output)
	}
}

// The journal that send has written contains the checksum of the bytes, although the service did not answer about them; so they can be compared.
func TestVerifyComparesWhatSendCouldNot(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1"), filepath.Join(t.TempDir(), "journal")
	s := newService(t, cut, reasons(409, map[string]storeresponse.Reason{"1.1": storeresponse.ReasonDuplicateInstance}))
	r := sendWith(t, s.URL, folder, func(o *Options) { o.Journal = journal })
	wantCounts(t, r, 1, 0)
	wantEqual(t, "unverified", 1, r.summary.Unverified)
	right, err := checksumOf(candidate{path: filepath.Join(folder, "1.1.dcm")})
	if err != nil {
		t.Fatal(err)
	}
	for crc, want := range map[string]Verified{right: {There: 1}, "AAAAAAAAAAA=": {Different: 1}} {
		got, _, output := verifyWith(t, func(o *VerifyOptions) {
			o.Journal, o.Checksums = journal, true
			o.Checksum = func(context.Context, string, string, string) (string, bool, error) { return crc, true, nil }
		})
		if got != want {
			t.Errorf("%+v, want %+v\n%s", got, want, output)
		}
	}
}

// A run that was killed, or stopped because of its service, has found only some of the files. A user who deletes the folder because
// everything in the journal is stored would lose the others.
func TestVerifyOfARunThatDidNotEnd(t *testing.T) {
	t.Parallel()
	folder, journal := folderOf(t, "1.1", "1.2"), filepath.Join(t.TempDir(), "journal")
	s := newService(t, storedAll, plain(401, "", ""), storedAll)
	for n, want := range []int{1, 0} {
		r := sendWith(t, s.URL, folder, func(o *Options) { o.Journal, o.Batch = journal, 1 })
		wantEqual(t, "exit code of send", []int{3, 0}[n], ExitCode(r.summary, r.err))
		if n == 0 { // as if it had been killed before it read the second file
			content, err := os.ReadFile(journal)
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.SplitAfter(content, []byte("\n"))
			writeFile(t, journal, bytes.Join(lines[:4], nil))
		}
		if code, output := verifiedBy(t, journal); code != want || (want == 1) != strings.Contains(output, "not known  a run of "+folder+": it has not come to its end") {
			t.Errorf("after run %d: exit %d, want %d\n%s", n+1, code, want, output)
		}
	}
}

// verifiedBy asks a service that has everything, with the journal of another service.
func verifiedBy(t *testing.T, journal string) (code int, output string) {
	t.Helper()
	content, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	service, asked := committing(t), filepath.Join(t.TempDir(), "journal")
	_, content, _ = bytes.Cut(content, []byte("\n"))
	writeFile(t, asked, append(appendLine(nil, opening{Journal: journalName, URL: service.URL + "/studies", Sums: true}), content...))
	_, code, output = verifyWith(t, func(o *VerifyOptions) { o.URL, o.Journal = service.URL, asked })
	return code, output
}

// A folder or an archive that could not be read is no longer reported after a later run with the same inputs has read it. A run with other inputs changes nothing.
func TestVerifyOfWhatCouldBeReadLater(t *testing.T) {
	t.Parallel()
	folder, other, journal := t.TempDir(), folderOf(t, "1.9"), filepath.Join(t.TempDir(), "journal")
	archive, whole := filepath.Join(folder, "a.tar"), tarOf(t, named{"1.1.dcm", instanceBytes("1.1", 600)})
	s := newService(t, storedAll)
	for _, step := range []struct {
		folder  string
		content []byte
		code    int
	}{{folder, whole[:512+1024+100], 1}, {other, whole, 1}, {folder, whole[:512+1024+100], 1}, {folder, whole, 0}, {other, whole, 0}} {
		writeFile(t, archive, step.content)
		sendWith(t, s.URL, step.folder, func(o *Options) { o.Journal = journal })
		if code, output := verifiedBy(t, journal); code != step.code {
			t.Errorf("exit %d, want %d\n%s", code, step.code, output)
		}
	}
}
