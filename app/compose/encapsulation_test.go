package compose_test

import (
	"bytes"
	"testing"
)

// PS3.5 §A.4, PS3.3 §C.7.6.3.1.8: the Extended Offset Table and its Lengths say where the frames are in the Pixel Data as their sender had
// encapsulated them. The file has other fragments, or native pixels, so that a reader would find a frame in the wrong place: they are left out.
func TestOffsetTablesAreLeftOut(t *testing.T) {
	frames := []bodyPart{codedPart("image/jpeg", "p", jpegOf(t, 40, 60, 1)), codedPart("image/jpeg", "p", jpegOf(t, 40, 60, 7))}
	native := []bodyPart{bulkPart("p", noise(2*16*16))}
	const inline = `"7FE00001":{"vr":"OV","InlineBinary":"AAAAAAAAAAAFAAAAAAAAAA=="},"7FE00002":{"vr":"OV","InlineBinary":"BQAAAAAAAAAFAAAAAAAAAA=="},"7FE00003":{"vr":"UV","Value":[10]}`
	bulk := reference("7FE00001", "OV", "table") + "," + reference("7FE00002", "OV", "lengths")
	tables := []bodyPart{bulkPart("table", noise(16)), bulkPart("lengths|Content-Length: 16", noise(16))}
	for name, test := range map[string]struct {
		about, pixels  string // metadata
		before, frames []bodyPart
	}{
		"inline":                {framesOf(2) + "," + inline, "OB", nil, frames},
		"as bulkdata":           {framesOf(2) + "," + bulk, "OB", tables, frames},
		"beside native pixels":  {grey(16, 16) + "," + inline, "OW", nil, native},
		"bulkdata and native":   {grey(16, 16) + "," + bulk, "OW", tables, native},
		"without a vr":          {framesOf(2) + `,"7FE00001":{},"7FE00002":{"InlineBinary":""}`, "OB", nil, frames},
		"in an item of another": {framesOf(2) + `,"00880200":{"vr":"SQ","Value":[{` + inline + `}]}`, "OB", nil, frames},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 1<<20)
			about := test.about + "," + reference("7FE00010", test.pixels, "p")
			got := s.compose(t, multipart(append(append([]bodyPart{jsonPart(jsonOf("1.1", about))}, test.before...), test.frames...)...))
			if got.outcomes() != "stored 1.1" {
				t.Fatalf("got %s: %s", got.outcomes(), got.says)
			}
			for _, tag := range []string{"\xE0\x7F\x01\x00O", "\xE0\x7F\x02\x00O", "\xE0\x7F\x03\x00U"} {
				if bytes.Contains(s.objects["1.1"], []byte(tag)) {
					t.Errorf("%x is in the file", tag)
				}
			}
		})
	}
}
