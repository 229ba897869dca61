package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stowrs-to-s3/app/commitment/references"
	"stowrs-to-s3/app/storeresponse"
)

// An instance counts as stored only if the answer names it without a failure. Nothing else in an answer is sufficient,
// because users delete files afterwards.
func TestVerifyBelievesNamesOnly(t *testing.T) {
	sample := filepath.Join("..", "..", "dcm-samples", "slice-1.dcm")
	module := func(edit func(all []references.Reference) []references.Reference) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			m, err := references.Read(r.Body, r.Header.Get("Content-Type"), func(int64) error { return nil })
			if err != nil || !regexp.MustCompile(`^/base/commitment-requests/2\.25\.[1-9][0-9]{30,38}$`).MatchString(r.URL.Path) {
				t.Errorf("request %s: %v", r.URL.Path, err)
			}
			if m.All[0].SOPClassUID != "1.2.840.10008.5.1.4.1.1.2" {
				t.Errorf("SOP Class %q", m.All[0].SOPClassUID)
			}
			w.Header().Set("Content-Type", storeresponse.MediaTypeXML)
			_ = references.Write(w, storeresponse.MediaTypeXML, edit(m.All))
		}
	}
	says := func(status int, contentType, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	var calls atomic.Int32
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		code   int
		words  string
	}{
		"committed":     {module(func(all []references.Reference) []references.Reference { return all }), 0, "1 instance is stored, 0 missing"},
		"not there":     {module(func(all []references.Reference) []references.Reference { all[0].FailureReason = 0x0112; return all }), 1, "1 missing"},
		"not committed": {module(func(all []references.Reference) []references.Reference { all[0].FailureReason = 0x0213; return all }), 1, "1 not known"},
		"not named":     {module(func([]references.Reference) []references.Reference { return nil }), 1, "does not name it"},
		"both": {module(func(all []references.Reference) []references.Reference {
			failed := all[0]
			failed.FailureReason = 0x0112
			return append(all, failed)
		}), 1, "1 missing"},
		"both, the second without a study": {module(func(all []references.Reference) []references.Reference {
			failed := all[0]
			failed.Series, failed.FailureReason = nil, 0x0110
			return append([]references.Reference{failed}, all...)
		}), 1, "1 not known"},
		"another transaction": {func(w http.ResponseWriter, r *http.Request) {
			m, _ := references.Read(r.Body, r.Header.Get("Content-Type"), func(int64) error { return nil })
			var text bytes.Buffer
			_ = references.Write(&text, storeresponse.MediaTypeJSON, m.All)
			_, _ = w.Write(append(bytes.TrimSuffix(text.Bytes(), []byte("}")), `,"00081195":{"vr":"UI","Value":["2.25.1"]}}`...))
		}, 3, "nothing says what is stored"},
		"committed with a reason why not": {func(w http.ResponseWriter, r *http.Request) {
			m, _ := references.Read(r.Body, r.Header.Get("Content-Type"), func(int64) error { return nil })
			var text strings.Builder
			_ = references.Write(&text, storeresponse.MediaTypeJSON, m.All)
			_, _ = io.WriteString(w, strings.ReplaceAll(text.String(), `"00081155"`, `"00081197":{"vr":"US","Value":[274]},"00081155"`))
		}, 1, "1 missing"},
		"another series": {module(func(all []references.Reference) []references.Reference {
			all[0].Series.SeriesInstanceUID = "1.2"
			return all
		}), 1, "does not name it"},
		"without a study": {module(func(all []references.Reference) []references.Reference { all[0].Series = nil; return all }), 1, "does not name it"},
		"an empty object": {says(200, "application/dicom+json", "{}"), 1, "does not name it"},
		"a page":          {says(200, "text/html", "<html>"), 3, "nothing says what is stored"},
		"a cut module":    {says(200, "application/dicom+json", `{"00081110":{"vr":"SQ"`), 3, "nothing says what is stored"},
		"a long answer":   {says(200, "application/dicom+json", strings.Repeat(" ", answerLimit+1)), 3, "give a smaller --batch"},
		"later":           {says(202, "", ""), 3, "202"},
		"no such service": {says(404, "text/plain", "404 page not found"), 3, "COMMITMENT"},
		"no access":       {says(401, "", ""), 3, "401"},
		"not understood":  {says(400, "text/plain", "no"), 3, "400"},
		"out":             {says(503, "text/plain", "later"), 3, "not available"},
		"out once": {func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			module(func(all []references.Reference) []references.Reference { return all })(w, r)
		}, 0, "1 instance is stored"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.answer)
			defer server.Close()
			var out strings.Builder
			o := VerifyOptions{URL: server.URL + "/base/studies", Batch: 10, Parallel: 2, MaxWait: 100 * time.Millisecond, Paths: []string{sample}}
			v, err := verify(t.Context(), o, &out, io.Discard, time.Millisecond)
			if code := VerifyExitCode(v, err); code != tc.code || !strings.Contains(out.String(), tc.words) {
				t.Errorf("exit %d (%v), want %d with %q:\n%s", code, err, tc.code, tc.words, out.String())
			}
		})
	}
}

// Checksums are compared with those of the file, or with those in the journal.
func TestVerifyChecksums(t *testing.T) {
	sample := filepath.Join("..", "..", "dcm-samples", "slice-1.dcm")
	right, err := checksumOf(candidate{path: sample})
	if err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(t.TempDir(), "journal")
	lines := appendLine(appendLine(nil, opening{Journal: journalName, URL: "https://elsewhere/studies", Sums: true}), record{Path: "/gone", Study: "1.1", Series: "1.2", Instance: "1.3", CRC64NVME: "AAAAAAAAAAA=", Outcome: outcomeStored})
	if err := os.WriteFile(journal, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(damaged, []byte(strings.Replace(string(lines), "/gone", "/done", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		paths   []string
		journal string
		answer  string
		found   bool
		err     error
		code    int
		words   string
	}{
		{[]string{sample}, "", right, true, nil, 0, "with these bytes"},
		{[]string{sample}, "", "AAAAAAAAAAA=", true, nil, 1, "1 different"},
		{[]string{sample}, "", "", true, nil, 1, "no CRC64NVME"},
		{[]string{sample}, "", "", false, nil, 1, "1 missing"},
		{[]string{sample}, "", right, true, fmt.Errorf("access is denied"), 1, "access is denied"},
		{nil, journal, "AAAAAAAAAAA=", true, nil, 0, "with these bytes"},
		{nil, journal, right, true, nil, 1, "1 different"},
		{nil, damaged, "AAAAAAAAAAA=", true, nil, 2, ""},
	} {
		var out strings.Builder
		o := VerifyOptions{
			Batch: 10, Parallel: 1, Paths: tc.paths, Journal: tc.journal, Checksums: true,
			Checksum: func(context.Context, string, string, string) (string, bool, error) {
				return tc.answer, tc.found, tc.err
			},
		}
		v, err := Verify(t.Context(), o, &out, io.Discard)
		if code := VerifyExitCode(v, err); code != tc.code || !strings.Contains(out.String(), tc.words) {
			t.Errorf("%v: exit %d (%v), want %d:\n%s", tc, code, err, tc.code, out.String())
		}
	}
}

// An instance with an invalid UID cannot be stored, and must not spoil the request about the others.
func TestVerifyWhatIsNoUID(t *testing.T) {
	server := committing(t)
	journal := filepath.Join(t.TempDir(), "journal")
	lines := appendLine(nil, opening{Journal: journalName, URL: server.URL + "/studies", Sums: true})
	for i, uid := range []string{"1.3", strings.Repeat("1", 200), "1.a", ""} {
		lines = appendLine(lines, record{Path: fmt.Sprint("/", i), Study: "1.1", Series: "1.2", Instance: uid, Outcome: outcomeStored})
	}
	if err := os.WriteFile(journal, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	v, err := Verify(t.Context(), VerifyOptions{URL: server.URL, Batch: 10, Parallel: 1, Journal: journal}, &out, io.Discard)
	if code := VerifyExitCode(v, err); code != 1 || v.There != 1 || v.Missing != 3 || strings.Count(out.String(), "not a UID") != 3 {
		t.Errorf("exit %d (%v), %+v:\n%s", code, err, v, out.String())
	}
}

func TestVerifyInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only after the body does net/http notice that the client leaves
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	v, err := Verify(ctx, VerifyOptions{URL: server.URL, Batch: 1, Parallel: 2, Paths: []string{filepath.Join("..", "..", "dcm-samples")}}, io.Discard, io.Discard)
	if code := VerifyExitCode(v, err); code != exitInterrupted || v.There != 0 {
		t.Errorf("exit %d (%v), %d there; want 130 and none", code, err, v.There)
	}
}
