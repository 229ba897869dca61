package stow_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/stow"
)

// What Marshal writes, ParseResponse reads. Whole answers are in TestGoldenAnswers;
// these are modules that the service does not give, or that need escapes.
func TestResponseModule(t *testing.T) {
	const class = "1.2.840.10008.5.1.4.1.1.2"
	stored := stow.Referenced{SOPClassUID: class, SOPInstanceUID: "1.2.3.1", RetrieveURL: "https://wado/studies/1.2/series/1.3/instances/1.2.3.1"}
	tests := map[string]stow.Response{
		"xml-specials":  {RetrieveURL: `https://wado/?a=1&b="<2>"`, Referenced: []stow.Referenced{stored}},
		"without-class": {Failed: []stow.Failed{{SOPInstanceUID: "1.2.3.3", FailureReason: stow.ReasonMissingAttribute}}},
	}
	for name, response := range tests {
		for extension, mediaType := range map[string]string{".json": stow.MediaTypeJSON, ".xml": stow.MediaTypeXML} {
			t.Run(name+extension, func(t *testing.T) {
				got, err := response.Marshal(mediaType)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("response", name+extension), string(got))
				parsed, err := stow.ParseResponse(mediaType, got)
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

// Modules as other servers write them: XNAT's array, dcm4chee's lower-case tags, the
// strings and the missing namespace of the Python original.
func TestParseForeignResponse(t *testing.T) {
	tests := map[string]struct {
		mediaType, body string
		want            stow.Response
	}{
		"array around the object":     {"application/json", `[{"00081190":{"vr":"UR","Value":["u"]}}]`, stow.Response{RetrieveURL: "u"}},
		"lower-case tag":              {"application/dicom+json", `{"0008119a":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[49152]}}]}}`, stow.Response{OtherFailures: []stow.Reason{0xC000}}},
		"reason as a string":          {"application/json", `{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]},"00081197":{"vr":"US","Value":["272"]}}]}}`, stow.Response{Failed: []stow.Failed{{SOPInstanceUID: "1.2", FailureReason: 0x0110}}}},
		"empty sequence and no value": {"application/json", `{"00081198":{"vr":"SQ","Value":[]},"00081190":{"vr":"UR"}}`, stow.Response{}},
		"xml without namespace":       {"application/xml", `<NativeDicomModel><DicomAttribute tag="00081190" vr="UR" keyword="RetrieveURL"><Value number="1">u</Value></DicomAttribute></NativeDicomModel>`, stow.Response{RetrieveURL: "u"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := stow.ParseResponse(test.mediaType, []byte(test.body))
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
			if got, err := stow.ParseResponse(stow.MediaTypeJSON, []byte(body)); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}
