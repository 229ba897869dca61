package stow_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func withWADOURL(h *stow.Handler, _ *s3store.Config) { h.Config.WADOURL = "https://wado/dicomweb" }

// modules are the parts of requests to studies/1.2.3, by the status they get.
func modules() map[int][][]byte {
	stored, other := ct("1.1", 10), instance("1.3", "9.9", series, classUID, 10)
	warned := bytes.Replace(ct("1.7", 10), []byte("1.7\x00"), []byte("1.8\x00"), 1)
	classless := instance("1.4", study, series, absent, 10)
	garbage := []byte("not DICOM")
	return map[int][][]byte{
		200: {stored, ct("1.2", 3000)},
		202: {stored, warned, other, garbage},
		400: {garbage, nil},
		409: {other, classless, garbage},
	}
}

// Response module: each attribute of PS3.18 Table I.1-1, as DICOM JSON (Annex F).
func TestResponseModuleAttributes(t *testing.T) {
	const (
		instanceURL = "https://wado/dicomweb/studies/1.2.3/series/1.2.3.4/instances/1.1"
		class       = `{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]}`
		gone        = "" // the attribute is absent
	)
	linked, plain := newService(t, withWADOURL), newService(t)
	body := func(s *service, status int) string {
		answer := s.post(t, "/studies/"+study, "", bytes.NewReader(multipart(modules()[status]...)))
		if answer.status != status {
			t.Fatalf("got %d, want %d", answer.status, status)
		}
		return answer.body
	}
	all, some, none, bare := body(linked, 200), body(linked, 202), body(linked, 409), body(plain, 200)
	two := linked.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 10), instance("1.3", "9.9", series, classUID, 10)))).body
	for _, test := range []struct{ name, body, path, want string }{
		{"Retrieve URL: of the study", all, "00081190", `{"vr":"UR","Value":["https://wado/dicomweb/studies/1.2.3"]}`},
		{"Retrieve URL: type 2, empty without WADOURL", bare, "00081190", `{"vr":"UR"}`},
		{"Retrieve URL: empty for several studies", two, "00081190", `{"vr":"UR"}`},
		{"Retrieve URL: empty when nothing is stored", none, "00081190", `{"vr":"UR"}`},
		{"Failed SOP Sequence: only if something failed", all, "00081198", gone},
		{"Failed SOP Sequence: SOP Class", some, "00081198 0 00081150", class},
		{"Failed SOP Sequence: SOP Instance", some, "00081198 0 00081155", `{"vr":"UI","Value":["1.3"]}`},
		{"Failed SOP Sequence: Failure Reason, a decimal number", some, "00081198 0 00081197", `{"vr":"US","Value":[43265]}`},
		{"Failed SOP Sequence: each failure is an item", none, "00081198 1 00081155", `{"vr":"UI","Value":["1.4"]}`},
		{"Failed SOP Sequence: SOP Class that the instance has not", none, "00081198 1 00081150", `{"vr":"UI"}`},
		{"Referenced SOP Sequence: only if something is stored", none, "00081199", gone},
		{"Referenced SOP Sequence: SOP Class", all, "00081199 0 00081150", class},
		{"Referenced SOP Sequence: SOP Instance", all, "00081199 0 00081155", `{"vr":"UI","Value":["1.1"]}`},
		{"Referenced SOP Sequence: each instance is an item", all, "00081199 1 00081155", `{"vr":"UI","Value":["1.2"]}`},
		{"Referenced SOP Sequence: Retrieve URL of the instance", all, "00081199 0 00081190", `{"vr":"UR","Value":["` + instanceURL + `"]}`},
		{"Referenced SOP Sequence: Retrieve URL, type 2", bare, "00081199 0 00081190", `{"vr":"UR"}`},
		{"Referenced SOP Sequence: Warning Reason", some, "00081199 1 00081196", `{"vr":"US","Value":[45063]}`},
		{"Referenced SOP Sequence: Warning Reason only if warned", some, "00081199 0 00081196", gone},
		{"Referenced SOP Sequence: nothing is coerced", some, "00081199 1 04000561", gone},
		{"Other Failures Sequence: part without a SOP Instance UID", some, "0008119A 0", `{"00081197":{"vr":"US","Value":[49152]}}`},
		{"Other Failures Sequence: only if there are any", all, "0008119A", gone},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := lookup(t, test.body, strings.Fields(test.path)); got != test.want {
				t.Errorf("%s: got %q, want %q in %s", test.path, got, test.want, test.body)
			}
		})
	}
}

// lookup follows tags, and numbers of items, into a DICOM JSON object.
func lookup(t *testing.T, body string, path []string) string {
	t.Helper()
	current := json.RawMessage(body)
	for _, step := range path {
		if n, err := strconv.Atoi(step); err == nil && len(step) < 8 {
			var sequence struct {
				VR    string            `json:"vr"`
				Value []json.RawMessage `json:"Value"`
			}
			if err := json.Unmarshal(current, &sequence); err != nil || sequence.VR != "SQ" || n >= len(sequence.Value) {
				t.Fatalf("no item %d: error %v; %s", n, err, current)
			}
			current = sequence.Value[n]
			continue
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(current, &object); err != nil {
			t.Fatalf("%v: %s", err, current)
		}
		if current = object[step]; current == nil {
			return ""
		}
	}
	return string(current)
}

// The whole answers, as golden files: statuses of PS3.18 Table 10.5.3-1 in both
// media types of §10.5.3.3. Both say the same.
func TestGoldenAnswers(t *testing.T) {
	for status, parts := range modules() {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			s := newService(t, withWADOURL)
			parsed := map[string]storeresponse.Response{}
			for mediaType, extension := range map[string]string{storeresponse.MediaTypeJSON: "json", storeresponse.MediaTypeXML: "xml"} {
				got := s.exchange(t, exchange{path: "/studies/" + study, header: map[string]string{"Accept": mediaType}, body: multipart(parts...)})
				if got.status != status || got.header.Get("Content-Type") != mediaType {
					t.Errorf("got %d, %s; want %d, %s", got.status, got.header.Get("Content-Type"), status, mediaType)
				}
				golden(t, filepath.Join("response", strconv.Itoa(status)+"."+extension), got.body)
				parsed[mediaType] = got.module
			}
			if diff := cmp.Diff(parsed[storeresponse.MediaTypeJSON], parsed[storeresponse.MediaTypeXML]); diff != "" {
				t.Errorf("XML says something else (-JSON +XML):\n%s", diff)
			}
		})
	}
}

// golden compares with a file of testdata, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}
