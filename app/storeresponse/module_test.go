package storeresponse_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/storeresponse"
)

// ParseResponse reads what Encode writes. Complete answers are in TestGoldenAnswers;
// these are modules that the service does not send, or that need escapes.
func TestResponseModule(t *testing.T) {
	const class = "1.2.840.10008.5.1.4.1.1.2"
	stored := storeresponse.Referenced{SOPClassUID: class, SOPInstanceUID: "1.2.3.1", RetrieveURL: "https://wado/studies/1.2/series/1.3/instances/1.2.3.1"}
	tests := map[string]storeresponse.Response{
		"xml-specials":  {RetrieveURL: `https://wado/?a=1&b="<2>"`, Referenced: []storeresponse.Referenced{stored}},
		"without-class": {Failed: []storeresponse.Failed{{SOPInstanceUID: "1.2.3.3", FailureReason: storeresponse.ReasonMissingAttribute}}},
	}
	for name, response := range tests {
		for extension, mediaType := range map[string]string{".json": storeresponse.MediaTypeJSON, ".xml": storeresponse.MediaTypeXML} {
			t.Run(name+extension, func(t *testing.T) {
				got := encode(t, response, mediaType)
				golden(t, name+extension, string(got))
				parsed, err := storeresponse.ParseResponse(mediaType, got)
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

// Encode does not keep the items: the memory limit of the service depends on this. The test has 100,000 items.
func TestEncodeHoldsNoItems(t *testing.T) {
	module := storeresponse.Module{
		RetrieveURL: "https://wado/studies/1.2",
		Failed: func(yield func(storeresponse.Failed) bool) {
			for range 100_000 {
				if !yield(storeresponse.Failed{SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID: "1.2.3.4", FailureReason: storeresponse.ReasonStudyMismatch}) {
					return
				}
			}
		},
	}
	for _, mediaType := range mediaTypes {
		allocations := testing.AllocsPerRun(1, func() {
			if err := module.Encode(io.Discard, mediaType); err != nil {
				t.Error(err)
			}
		})
		if allocations > 20 {
			t.Errorf("%s: %v allocations", mediaType, allocations)
		}
	}
}

func TestEncodeTellsThatItCannotWrite(t *testing.T) {
	_, broken := io.Pipe()
	broken.Close()
	for _, mediaType := range mediaTypes {
		if err := (storeresponse.Module{}).Encode(broken, mediaType); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: got error %v", mediaType, err)
		}
	}
}

// Any answer of a server takes bounded time and memory, however it is nested.
func TestParseHostileResponse(t *testing.T) {
	const n = 2 << 20
	for name, test := range map[string]struct{ mediaType, body string }{
		"millions of empty items":    {"json", `{"00081198":{"Value":[` + strings.Repeat("{},", n/3) + `{}]}}`},
		"items within items":         {"json", strings.Repeat(`{"00081198":{"Value":[`, 3000) + `"` + strings.Repeat("x", n) + `"` + strings.Repeat(`]}}`, 3000)},
		"arrays within arrays":       {"json", strings.Repeat("[", n)},
		"an array of millions":       {"json", "[" + strings.Repeat("{},", n/3) + "{}]"},
		"elements within elements":   {"xml", strings.Repeat("<NativeDicomModel><DicomAttribute><Item>", n/40)},
		"millions of empty elements": {"xml", "<NativeDicomModel>" + strings.Repeat("<DicomAttribute/>", n/17) + "</NativeDicomModel>"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			got, err := storeresponse.ParseResponse(test.mediaType, []byte(test.body))
			runtime.ReadMemStats(&after)
			t.Logf("%v, %d MiB allocated in all, error %v", time.Since(start), (after.TotalAlloc-before.TotalAlloc)>>20, err)
			if len(got.Failed)+len(got.Referenced)+len(got.OtherFailures) > 1 {
				t.Errorf("got %d failed", len(got.Failed))
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
}

// Modules as other servers write them: the array of XNAT, lower-case tags of dcm4chee, the
// strings and the missing namespace of the Python original.
func TestParseForeignResponse(t *testing.T) {
	tests := map[string]struct {
		mediaType, body string
		want            storeresponse.Response
	}{
		"array around the object":     {"application/json", `[{"00081190":{"vr":"UR","Value":["u"]}}]`, storeresponse.Response{RetrieveURL: "u"}},
		"lower-case tag":              {"application/dicom+json", `{"0008119a":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[49152]}}]}}`, storeresponse.Response{OtherFailures: []storeresponse.Reason{0xC000}}},
		"reason as a string":          {"application/json", `{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]},"00081197":{"vr":"US","Value":["272"]}}]}}`, storeresponse.Response{Failed: []storeresponse.Failed{{SOPInstanceUID: "1.2", FailureReason: 0x0110}}}},
		"empty sequence and no value": {"application/json", `{"00081198":{"vr":"SQ","Value":[]},"00081190":{"vr":"UR"}}`, storeresponse.Response{}},
		"array of modules": {"application/json", `[{"00081199":{"Value":[{"00081155":{"Value":["1.2"]}}]}},{"00081199":{"Value":[{"00081155":{"Value":["1.3"]}}]},"00081198":{"Value":[{"00081155":{"Value":["1.4"]}}]}}]`,
			storeresponse.Response{Referenced: []storeresponse.Referenced{{SOPInstanceUID: "1.2"}, {SOPInstanceUID: "1.3"}}, Failed: []storeresponse.Failed{{SOPInstanceUID: "1.4"}}}},
		"JSON after a byte order mark": {"application/json", "\xEF\xBB\xBF\r\n" + `{"00081190":{"Value":["u"]}}`, storeresponse.Response{RetrieveURL: "u"}},
		"JSON called XML":              {"text/xml", `{"00081190":{"Value":["u"]}}`, storeresponse.Response{RetrieveURL: "u"}},
		"XML called text":              {"text/plain", `<NativeDicomModel><DicomAttribute tag="00081190"><Value>u</Value></DicomAttribute></NativeDicomModel>`, storeresponse.Response{RetrieveURL: "u"}},
		"XML in ISO-8859-1":            {"application/dicom+xml", `<?xml version="1.0" encoding="ISO-8859-1"?><NativeDicomModel><DicomAttribute tag="00081190"><Value>` + "caf\xE9" + `</Value></DicomAttribute></NativeDicomModel>`, storeresponse.Response{RetrieveURL: "café"}},
		"XML in UTF-16":                {"application/dicom+xml", utf16LE(`<?xml version="1.0" encoding="UTF-16"?><NativeDicomModel><DicomAttribute tag="00081190"><Value>é</Value></DicomAttribute></NativeDicomModel>`), storeresponse.Response{RetrieveURL: "é"}},
		"xml without namespace":        {"application/xml", `<NativeDicomModel><DicomAttribute tag="00081190" vr="UR" keyword="RetrieveURL"><Value number="1">u</Value></DicomAttribute></NativeDicomModel>`, storeresponse.Response{RetrieveURL: "u"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := storeresponse.ParseResponse(test.mediaType, []byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("module differs (-want +got):\n%s", diff)
			}
		})
	}
	for name, body := range map[string]string{"text": "Bad Gateway", "an object and text": `[{},"x"]`, "no object": "[]", "empty": ""} {
		t.Run("no module: "+name, func(t *testing.T) {
			if got, err := storeresponse.ParseResponse(storeresponse.MediaTypeJSON, []byte(body)); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}

// utf16LE writes a byte order mark.
func utf16LE(text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\uFEFF" + text)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b)
}

var update = flag.Bool("update", false, "rewrite the golden files")

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

// Millions of empty elements, or of attributes, need little memory: the document is refused before it is decoded.
func TestParseXMLIsBounded(t *testing.T) {
	for name, document := range map[string]string{
		"items":      "<NativeDicomModel><DicomAttribute tag=\"00081199\">" + strings.Repeat("<Item/>", 2_000_000) + "</DicomAttribute></NativeDicomModel>",
		"attributes": "<NativeDicomModel " + strings.Repeat("a=\"\" ", 2_000_000) + "/>",
	} {
		if _, err := storeresponse.ParseResponse("application/dicom+xml", []byte(document)); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
