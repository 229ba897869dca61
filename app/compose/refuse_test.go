package compose_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose"
	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/related"
)

// An error in metadata or bulkdata harms only its instance, and is named.
func TestBulkdataThatDoNotFit(t *testing.T) {
	pixels := noise(2 * 16 * 16)
	image := func(sop, uri string) string { return jsonOf(sop, grey(16, 16), reference("7FE00010", "OW", uri)) }
	two := jsonPart(image("1.1", "a"), image("1.2", "b"))
	for name, test := range map[string]struct {
		parts []bodyPart
		cut   int // bytes missing at the end
		want  string
		says  string
		err   error // of the whole
	}{
		"unresolved":                  {parts: []bodyPart{two, bulkPart("a", pixels)}, want: "stored 1.1 | failed 1.2 C000", says: "Content-Location \"b\""},
		"all unresolved":              {parts: []bodyPart{two}, want: "failed 1.1 C000 | failed 1.2 C000", says: "(7FE0,0010)"},
		"superfluous":                 {parts: []bodyPart{two, bulkPart("a", pixels), bulkPart("c", pixels), bulkPart("b", pixels)}, want: "stored 1.1 | stored 1.2 | other C000", says: "Content-Location \"c\""},
		"without Content-Location":    {parts: []bodyPart{jsonPart(jsonOf("1.1")), {"Content-Type: application/octet-stream", pixels}}, want: "stored 1.1 | other C000", says: "part 2"},
		"twice":                       {parts: []bodyPart{two, bulkPart("a", pixels), bulkPart("a", pixels), bulkPart("b", pixels)}, want: "stored 1.1 | stored 1.2 | other C000", says: "came twice"},
		"too short":                   {parts: []bodyPart{two, bulkPart("a", pixels[:500]), bulkPart("b", pixels)}, want: "stored 1.2 | failed 1.1 C000", says: "500 bytes instead of 512"},
		"too long":                    {parts: []bodyPart{two, bulkPart("a", noise(515)), bulkPart("b", pixels)}, want: "stored 1.2 | failed 1.1 C000", says: "longer than 512"},
		"declared too short":          {parts: []bodyPart{two, bulkPart("a|Content-Length: 100", pixels[:100]), bulkPart("b", pixels)}, want: "stored 1.2 | failed 1.1 C000", says: "ask for 512"},
		"not as long as it says":      {parts: []bodyPart{two, bulkPart("a|Content-Length: 600", pixels), bulkPart("b", pixels)}, want: "stored 1.2 | failed 1.1 C000", says: "600 bytes"},
		"cut off in the second":       {parts: []bodyPart{two, bulkPart("a", pixels), bulkPart("b", pixels)}, cut: 100, want: "stored 1.1 | failed 1.2 C000", err: related.ErrTruncated},
		"cut off in the first":        {parts: []bodyPart{two, bulkPart("a", pixels)}, cut: 100, want: "failed 1.1 C000 | failed 1.2 C000", err: related.ErrTruncated},
		"cut off in the metadata":     {parts: []bodyPart{two}, cut: 100, err: related.ErrTruncated},
		"no SOP Instance UID":         {parts: []bodyPart{jsonPart(strings.Replace(jsonOf("1.1"), "00080018", "00080019", 1), jsonOf("1.2"))}, want: "stored 1.2 | other 0120"},
		"a value of another kind":     {parts: []bodyPart{jsonPart(jsonOf("1.1", `"00280010":{"vr":"US","Value":["many"]}`), jsonOf("1.2"))}, want: "stored 1.2 | failed 1.1 C000", says: "0028,0010"},
		"not JSON":                    {parts: []bodyPart{jsonPart(`{"00080016"`)}, err: compose.ErrSyntax},
		"an empty array":              {parts: []bodyPart{jsonPart()}},
		"dataset of another VR model": {parts: []bodyPart{jsonPart(jsonOf("1.1", reference("00189087", "FD", "a"))), bulkPart("a", noise(1<<17))}, want: "failed 1.1 C000", says: "at most 65534"},
		"Pixel Data said to be PDF":   {parts: []bodyPart{jsonPart(image("1.1", "a")), {"Content-Type: image/bmp|Content-Location: a", pixels}}, want: "failed 1.1 C000", says: "image/bmp"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 1<<20)
			body := multipart(test.parts...)
			got := s.compose(t, body[:len(body)-test.cut])
			if got.outcomes() != test.want || !errors.Is(got.err, test.err) {
				t.Errorf("got %s, error %v, want %s, error %v\n%s", got.outcomes(), got.err, test.want, test.err, got.says)
			}
			if !strings.Contains(got.says, test.says) {
				t.Errorf("got %q, want an error that says %s", got.says, test.says)
			}
		})
	}
}

// PS3.5 Table 6.2-1: binary values consist of complete words or numbers, inline and
// as bulkdata, whether their length is declared, kept or known only at the end.
func TestBulkdataAreWholeValues(t *testing.T) {
	for vrAndUnit := range strings.FieldsSeq("OB/1 UN/1 UT/1 OW/2 OF/4 OL/4 OD/8 OV/8 US/2 SS/2 UL/4 SL/4 FL/4 AT/4 FD/8 SV/8 UV/8") {
		vr, text, _ := strings.Cut(vrAndUnit, "/")
		unit := int(text[0] - '0')
		for length := range 20 {
			want := "stored 1.1"
			if length%unit != 0 {
				want = "failed 1.1 C000"
			}
			value := make([]byte, length)
			for _, part := range []bodyPart{bulkPart("a", value), bulkPart(fmt.Sprintf("a|Content-Length: %d", length), value)} {
				for _, parts := range [][]bodyPart{{part}, {bulkPart("b", nil), part}, {part, bulkPart("b", nil)}} {
					holes := []string{reference("00091001", vr, "a")}
					if len(parts) > 1 {
						holes = append(holes, reference("00540011", "OB", "b"))
					}
					if got := newService(t, 1<<20).compose(t, multipart(append([]bodyPart{jsonPart(jsonOf("1.1", holes...))}, parts...)...)); got.outcomes() != want {
						t.Errorf("%s of %d bytes: got %s, want %s: %s", vr, length, got.outcomes(), want, got.says)
					}
				}
			}
		}
	}
}

// The bytes of a part with a content coding (RFC 9110 §8.4, RFC 2045 §6) are not those of its value.
func TestEncodedParts(t *testing.T) {
	for header, want := range map[string]string{
		"Content-Encoding: gzip": "failed 1.1 C000", "Content-Encoding: identity, gzip": "failed 1.1 C000", "content-encoding: DEFLATE": "failed 1.1 C000",
		"Content-Transfer-Encoding: base64": "failed 1.1 C000", "Content-Transfer-Encoding: quoted-printable": "failed 1.1 C000",
		"Content-Encoding: Identity": "stored 1.1", "Content-Transfer-Encoding: BINARY": "stored 1.1", "Content-Transfer-Encoding: 8bit": "stored 1.1", "Content-Transfer-Encoding: 7bit": "stored 1.1",
	} {
		got := newService(t, 1<<20).compose(t, multipart(jsonPart(jsonOf("1.1", reference("00420011", "OB", "a"))), bulkPart("a|"+header, noise(99))))
		if name, _, _ := strings.Cut(header, ":"); got.outcomes() != want || want != "stored 1.1" && !strings.Contains(strings.ToLower(got.says), strings.ToLower(name)) {
			t.Errorf("%s: got %s: %s", header, got.outcomes(), got.says)
		}
	}
}

// METADATALIMIT limits the metadata, and the bulkdata that arrive before their turn.
func TestMetadataLimit(t *testing.T) {
	const limit = 256 << 10
	comment := fmt.Sprintf(`"00204000":{"vr":"LT","Value":[%q]}`, strings.Repeat("x", 9000))
	var many []string
	for i := range 40 {
		many = append(many, jsonOf(fmt.Sprintf("1.%d", i+1), comment))
	}
	late := jsonOf("1.1", reference("00420011", "OB", "a"), reference("00540011", "OB", "b"))
	for name, test := range map[string]struct {
		parts []bodyPart
		want  string
		err   error
	}{
		"much metadata":                   {[]bodyPart{jsonPart(many...)}, "", memory.ErrTooMuch},
		"less metadata":                   {[]bodyPart{jsonPart(many[:5]...)}, "stored 1.1 | stored 1.2 | stored 1.3 | stored 1.4 | stored 1.5", nil},
		"in order, much":                  {[]bodyPart{jsonPart(late), bulkPart("a|Content-Length: 1000000", noise(1e6)), bulkPart("b", noise(3e6))}, "stored 1.1", nil},
		"in order, unknown, in the midst": {[]bodyPart{jsonPart(late), bulkPart("a", noise(1e6)), bulkPart("b", noise(1e6))}, "failed 1.1 A700", nil},
		"out of order, little":            {[]bodyPart{jsonPart(late), bulkPart("b", noise(5e4)), bulkPart("a", noise(5e4))}, "stored 1.1", nil},
		"out of order, much":              {[]bodyPart{jsonPart(late, jsonOf("1.2")), bulkPart("b", noise(1e6)), bulkPart("a", noise(1e6))}, "stored 1.2 | failed 1.1 A700", nil},
		"much before native Pixel Data": {
			[]bodyPart{
				jsonPart(jsonOf("1.1", reference("00091001", "OB", "a"), grey(64, 64), reference("7FE00010", "OW", "p"))),
				bulkPart("a|Content-Length: 1000000", noise(1e6)), bulkPart("p", noise(2*64*64)),
			}, "stored 1.1", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, limit)
			got := s.compose(t, multipart(test.parts...))
			if got.outcomes() != test.want || !errors.Is(got.err, test.err) {
				t.Errorf("got %s, error %v, want %s, error %v\n%s", got.outcomes(), got.err, test.want, test.err, got.says)
			}
		})
	}
}

// PS3.5 §9.1: a UID has at most 64 characters. A value whose beginning looks like a UID with padding is not that UID: the
// instance is stored under the UIDs of its dataset or not at all.
func TestUIDsAreNotCut(t *testing.T) {
	s := newService(t, 1<<20)
	got := s.compose(t, multipart(jsonPart(jsonOf("1.1"+strings.Repeat(" ", 140)+"9"))))
	for sop, object := range s.objects {
		if id, _ := dicom.Identify(bytes.NewReader(object), 1<<20); id.SOPInstanceUID != sop || dicom.ValidUID(sop) {
			t.Errorf("got %s: it is %q in the file, and %q in the answer", got.outcomes(), id.SOPInstanceUID, sop)
		}
	}
}
