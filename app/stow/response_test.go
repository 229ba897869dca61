package stow

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// PS3.18 Table I.1-1, in both media types of §10.5.3.3, kept as golden files.
func TestResponseModule(t *testing.T) {
	stored := Referenced{SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID: "1.2.3.1", RetrieveURL: "https://wado/studies/1.2/series/1.3/instances/1.2.3.1"}
	warned := Referenced{SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID: "1.2.3.2", WarningReason: ReasonWarnMismatch}
	failed := Failed{SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID: "1.2.3.3", FailureReason: ReasonStudyMismatch}
	tests := map[string]Response{
		"all-stored":    {RetrieveURL: "https://wado/studies/1.2", Referenced: []Referenced{stored}},
		"all-failed":    {Failed: []Failed{failed}, OtherFailures: []Reason{ReasonCannotUnderstand}},
		"mixed":         {Referenced: []Referenced{stored, warned}, Failed: []Failed{failed}, OtherFailures: []Reason{ReasonCannotUnderstand}},
		"xml-specials":  {RetrieveURL: `https://wado/?a=1&b="<2>"`, Referenced: []Referenced{stored}},
		"without-class": {Failed: []Failed{{SOPInstanceUID: "1.2.3.3", FailureReason: ReasonMissingAttribute}}},
	}
	for name, response := range tests {
		for extension, mediaType := range map[string]string{".json": MediaTypeJSON, ".xml": MediaTypeXML} {
			t.Run(name+extension, func(t *testing.T) {
				got, err := response.Marshal(mediaType)
				if err != nil {
					t.Fatal(err)
				}
				golden := filepath.Join("testdata", "response", name+extension)
				if *update {
					if err := os.WriteFile(golden, got, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("%s differs (-want +got):\n%s", golden, diff)
				}
				parsed, err := ParseResponse(mediaType, got)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(response, parsed); diff != "" {
					t.Errorf("parsed module differs (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// Modules as other servers write them (STOW-RS.md 1.2 and 3.2).
func TestParseForeignResponse(t *testing.T) {
	tests := map[string]struct {
		mediaType, body string
		want            Response
	}{
		"array around the object":     {"application/json", `[{"00081190":{"vr":"UR","Value":["u"]}}]`, Response{RetrieveURL: "u"}},
		"lower-case tag":              {"application/dicom+json", `{"0008119a":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[49152]}}]}}`, Response{OtherFailures: []Reason{0xC000}}},
		"reason as a string":          {"application/json", `{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]},"00081197":{"vr":"US","Value":["272"]}}]}}`, Response{Failed: []Failed{{SOPInstanceUID: "1.2", FailureReason: 0x0110}}}},
		"empty sequence and no value": {"application/json", `{"00081198":{"vr":"SQ","Value":[]},"00081190":{"vr":"UR"}}`, Response{}},
		"xml without namespace":       {"application/xml", `<NativeDicomModel><DicomAttribute tag="00081190" vr="UR" keyword="RetrieveURL"><Value number="1">u</Value></DicomAttribute></NativeDicomModel>`, Response{RetrieveURL: "u"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseResponse(test.mediaType, []byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("module differs (-want +got):\n%s", diff)
			}
		})
	}
	for name, body := range map[string]string{"text": "Bad Gateway", "two objects": "[{},{}]", "empty": ""} {
		t.Run("no module: "+name, func(t *testing.T) {
			if got, err := ParseResponse(MediaTypeJSON, []byte(body)); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}
