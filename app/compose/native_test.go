package compose_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// PS3.5 §8.1.2, §A.2: native Pixel Data are OW if a sample has more than 8 bits,
// otherwise OB or OW, whatever VR the metadata name.
func TestNativePixelDataHaveTheirVR(t *testing.T) {
	for _, bits := range []int{8, 16} {
		for _, vr := range []string{"OB", "OW", "UN", "UT", "LO", "UI", "US", "OD", ""} {
			want := "OW"
			if bits == 8 && vr != "OW" {
				want = "OB"
			}
			hole, pixels := reference("7FE00010", vr, "p"), noise(16*bits/8)
			if vr == "" {
				hole = `"7FE00010":{"BulkDataURI":"p"}`
				want = "OW" // PS3.6 allows both
			}
			s := newService(t, 1<<20)
			got := s.compose(t, multipart(jsonPart(jsonOf("1.1", pixelsOf(4, 4, bits), hole)), bulkPart("p", pixels)))
			if got.outcomes() != "stored 1.1" {
				t.Fatalf("%d bits, %q: got %s", bits, vr, got.says)
			}
			s.wantEnd(t, "1.1", element(0x7FE0, 0x0010, want, pixels))
			if vr != "OB" && vr != "OW" && vr != "UN" && vr != "OD" {
				continue
			}
			inline := fmt.Sprintf(`"7FE00010":{"vr":%q,"InlineBinary":%q}`, vr, base64.StdEncoding.EncodeToString(pixels))
			if got := s.compose(t, multipart(jsonPart(jsonOf("1.2", pixelsOf(4, 4, bits), inline)))); got.outcomes() != "stored 1.2" {
				t.Fatalf("%d bits, inline %q: got %s", bits, vr, got.says)
			}
			s.wantEnd(t, "1.2", element(0x7FE0, 0x0010, want, pixels))
		}
	}
}

// For an icon nothing else is checked: OW can contain samples of any size (PS3.5 §8.1.2).
func TestPixelDataOfAnIcon(t *testing.T) {
	for _, vr := range []string{"OB", "UT", "OW"} {
		s := newService(t, 1<<20)
		icon := `"00880200":{"vr":"SQ","Value":[{` + grey(2, 2) + "," + reference("7FE00010", vr, "icon") + `}]}`
		if got := s.compose(t, multipart(jsonPart(jsonOf("1.1", icon)), bulkPart("icon", noise(8)))); got.outcomes() != "stored 1.1" {
			t.Fatal(got.says)
		}
		s.wantEnd(t, "1.1", element(0x7FE0, 0x10, "OW", noise(8)), []byte("\xFE\xFF\x0D\xE0\x00\x00\x00\x00\xFE\xFF\xDD\xE0\x00\x00\x00\x00"))
	}
}

// Native Pixel Data have exactly the length that the Image Pixel attributes require
// (PS3.5 §8.1.1), whether it is declared or not; one byte of padding is allowed.
func TestNativePixelDataHaveTheirLength(t *testing.T) {
	for _, test := range []struct {
		attributes string
		length     int
		stored     bool
	}{
		{grey(10, 10), 200, true},
		{grey(10, 10), 199, false},
		{grey(10, 10), 201, false},
		{grey(10, 10), 210, false},
		{grey(10, 10), 0, false},
		{pixelsOf(5, 5, 8), 24, false},
		{pixelsOf(5, 5, 8), 25, true},
		{pixelsOf(5, 5, 8), 26, true},
		{pixelsOf(5, 5, 8), 27, false},
		{pixelsOf(5, 5, 1), 4, true}, // 25 bits
		{pixelsOf(5, 5, 1) + "," + framesOf(3), 10, true},
		{strings.NewReplacer("MONOCHROME2", "YBR_FULL_422", `"Value":[1]`, `"Value":[3]`).Replace(pixelsOf(4, 4, 8)) + `,"00280006":{"vr":"US","Value":[0]}`, 32, true}, // PS3.3 §C.7.6.3.1.2
		{`"00280010":{"vr":"US","Value":[4]}`, 16, false},
		{grey(10, 10) + `,"00280008":{"vr":"IS","Value":["x"]}`, 200, false},
	} {
		var outcomes []string
		for _, part := range []bodyPart{
			bulkPart("p", noise(test.length)), bulkPart(fmt.Sprintf("p|Content-Length: %d", test.length), noise(test.length)),
		} {
			s := newService(t, 1<<20)
			got := s.compose(t, multipart(jsonPart(jsonOf("1.1", test.attributes, reference("7FE00010", "OW", "p"))), part))
			outcomes = append(outcomes, got.outcomes())
		}
		want := "failed 1.1 C000"
		if test.stored {
			want = "stored 1.1"
		}
		if outcomes[0] != want || outcomes[1] != want {
			t.Errorf("%d bytes for %.300s: undeclared %s, declared %s, want %s", test.length, test.attributes, outcomes[0], outcomes[1], want)
		}
	}
}

// PS3.5 §8.2: the attributes of compressed Pixel Data describe the bit stream.
func TestAttributesThatContradictAStream(t *testing.T) {
	number := func(tag string, n int) string { return fmt.Sprintf(`%q:{"vr":"US","Value":[%d]}`, tag, n) }
	a := jpegOf(t, 40, 60, 1)
	deep := newService(t, 1<<20).compose(t, multipart(jsonPart(jsonOf("1.1", number("00280100", 8), reference("7FE00010", "OW", "p"))), codedPart("image/png", "p", pngOf(t, 4, 4))))
	if deep.outcomes() != "failed 1.1 C000" || !strings.Contains(deep.says, "8 for (0028,0100)") {
		t.Errorf("a PNG of 16 bits for Bits Allocated 8: got %s: %s", deep.outcomes(), deep.says)
	}
	for name, test := range map[string]struct {
		attributes string
		says       string // "": stored
	}{
		"Bits Allocated 16":                  {number("00280100", 16), "16 for (0028,0100)"},
		"Bits Allocated 8, Bits Stored 16":   {number("00280100", 8) + "," + number("00280101", 16), "16 for (0028,0101)"},
		"Bits Stored 0":                      {number("00280101", 0), "0 for (0028,0101)"},
		"High Bit 15":                        {number("00280102", 15), "15 for (0028,0102)"},
		"High Bit 6":                         {number("00280102", 6), "6 for (0028,0102)"},
		"Bits Stored 7, High Bit 7":          {number("00280101", 7) + "," + number("00280102", 7), "7 for (0028,0102)"},
		"Bits Stored 7, High Bit 6":          {number("00280101", 7) + "," + number("00280102", 6), ""},
		"Pixel Representation 2":             {number("00280103", 2), "2 for (0028,0103)"},
		"Number of Frames 0":                 {framesOf(0), "(0028,0008)"},
		"Samples per Pixel 3":                {number("00280002", 3), "3 for (0028,0002)"},
		"Columns 61":                         {number("00280011", 61), "61 for (0028,0011)"},
		"Bits Stored 7, of which 8 are room": {number("00280100", 8) + "," + number("00280101", 7), ""},
		"Pixel Representation 1":             {number("00280103", 1), ""}, // JPEG does not tell
	} {
		s := newService(t, 1<<20)
		got := s.compose(t, multipart(jsonPart(jsonOf("1.1", test.attributes, reference("7FE00010", "OB", "p"))), codedPart("image/jpeg", "p", a)))
		if (got.outcomes() == "stored 1.1") != (test.says == "") || !strings.Contains(got.says, test.says) {
			t.Errorf("%s: got %s: %s", name, got.outcomes(), got.says)
		}
	}
}

// Other properties of a stream: the sign of its samples (ISO/IEC 15444-1 §A.5.1), the frames of a video.
func TestAttributesThatContradictOtherStreams(t *testing.T) {
	sign := func(n int) string { return fmt.Sprintf(`"00280103":{"vr":"US","Value":[%d]}`, n) }
	for _, test := range []struct {
		file, mediaType, attribute string
		stored                     bool
	}{
		{"signed.j2k", "image/j2c", sign(1), true},
		{"signed.j2k", "image/j2c", sign(0), true}, // found in archives, and stored as declared
		{"grey.j2k", "image/j2c", sign(0), true},
		{"grey.j2k", "image/j2c", sign(1), true},
		{"grey.j2k", "image/j2c", sign(2), false},
		{"high41.mp4", "video/mp4", framesOf(5), true},
		{"high41.mp4", "video/mp4", framesOf(4), false},
		{"high41.mp4", "video/mp4", framesOf(1), false},
		{"avc.h264", "video/mp4", framesOf(4), true}, // the stream does not contain their number
		{"avc.h264", "video/mp4", framesOf(-4), false},
	} {
		content, err := os.ReadFile("bulkdata/testdata/" + test.file)
		if err != nil {
			t.Fatal(err)
		}
		got := newService(t, 1<<20).compose(t, multipart(jsonPart(jsonOf("1.1", test.attribute, reference("7FE00010", "OB", "p"))), codedPart(test.mediaType, "p", content)))
		if (got.outcomes() == "stored 1.1") != test.stored {
			t.Errorf("%s, %s: got %s: %s", test.file, test.attribute, got.outcomes(), got.says)
		}
	}
}

// PS3.3 §C.7.6.3.1, PS3.5 §8.1.1: Image Pixel attributes that contradict each other, for
// bulkdata, for inline values, and for a stream that does not describe itself.
func TestAttributesThatContradictEachOther(t *testing.T) {
	attributes := func(samples int, photometric string, allocated, stored, high, sign int, more string) string {
		return fmt.Sprintf(`"00280002":{"vr":"US","Value":[%d]},"00280004":{"vr":"CS","Value":[%q]},"00280010":{"vr":"US","Value":[4]},"00280011":{"vr":"US","Value":[4]},`+
			`"00280100":{"vr":"US","Value":[%d]},"00280101":{"vr":"US","Value":[%d]},"00280102":{"vr":"US","Value":[%d]},"00280103":{"vr":"US","Value":[%d]}`, samples, photometric, allocated, stored, high, sign) + more
	}
	planes := func(n int) string { return fmt.Sprintf(`,"00280006":{"vr":"US","Value":[%d]}`, n) }
	for _, test := range []struct {
		attributes string
		length     int
		says       string // "": stored
	}{
		{attributes(1, "MONOCHROME2", 16, 12, 11, 1, ""), 32, ""},
		{attributes(1, "MONOCHROME2", 8, 12, 7, 0, ""), 16, "(0028,0101)"},
		{attributes(1, "MONOCHROME2", 8, 8, 8, 0, ""), 16, "(0028,0102)"},
		{attributes(1, "MONOCHROME2", 8, 8, 7, 2, ""), 16, "(0028,0103)"},
		{attributes(1, "RGB", 8, 8, 7, 0, ""), 16, "(0028,0004)"},
		{attributes(3, "MONOCHROME2", 8, 8, 7, 0, planes(0)), 48, "(0028,0004)"},
		{attributes(3, "RGB", 8, 8, 7, 0, planes(1)), 48, ""},
		{attributes(3, "RGB", 8, 8, 7, 0, planes(2)), 48, "(0028,0006)"},
		{attributes(3, "RGB", 8, 8, 7, 0, ""), 48, "(0028,0006)"},
	} {
		hole, pixels := reference("7FE00010", "OB", "p"), noise(test.length)
		inline := fmt.Sprintf(`"7FE00010":{"vr":"OB","InlineBinary":%q}`, base64.StdEncoding.EncodeToString(pixels))
		rle := append([]byte{1, 0, 0, 0, 64}, make([]byte, 100)...)
		for _, parts := range [][]bodyPart{
			{jsonPart(jsonOf("1.1", test.attributes, hole)), bulkPart("p", pixels)},
			{jsonPart(jsonOf("1.1", test.attributes, inline))},
			{jsonPart(jsonOf("1.1", test.attributes, hole)), codedPart("image/dicom-rle", "p", rle)},
		} {
			got := newService(t, 1<<20).compose(t, multipart(parts...))
			if (got.outcomes() == "stored 1.1") != (test.says == "") || !strings.Contains(got.says, test.says) {
				t.Errorf("%s: got %s: %s, want %s", test.attributes, got.outcomes(), got.says, test.says)
			}
		}
	}
}

// PS3.18 §8.7.3.3: a part declared with any transfer syntax (*), as in an Accept header, has the default one.
func TestTransferSyntaxOfNativePixels(t *testing.T) {
	for syntax, want := range map[string]string{"*": "stored 1.1", "1.2.840.10008.1.2.1": "stored 1.1", "1.2.840.10008.1.2.4.50": "failed 1.1 C000"} {
		part := codedPart("application/octet-stream; transfer-syntax="+syntax, "p", noise(32))
		if got := newService(t, 1<<20).compose(t, multipart(jsonPart(jsonOf("1.1", grey(4, 4), reference("7FE00010", "OW", "p"))), part)); got.outcomes() != want {
			t.Errorf("%s: got %s: %s", syntax, got.outcomes(), got.says)
		}
	}
}

// PS3.3 §C.7.6.1.1.5: an image that was compressed with loss says 01, and never 00 again.
func TestLossIsNotHidden(t *testing.T) {
	for _, before := range []string{"", `"00282110":{"vr":"CS","Value":["00"]}`, `"00282110":{"vr":"CS","Value":["01"]},"00282114":{"vr":"CS","Value":["ISO_15444_1"]}`} {
		s := newService(t, 1<<20)
		attributes := strings.Join(strings.Fields(before+" "+reference("7FE00010", "OB", "p")), ",")
		if got := s.compose(t, multipart(jsonPart(jsonOf("1.1", attributes)), codedPart("image/jpeg", "p", jpegOf(t, 40, 60, 1)))); got.outcomes() != "stored 1.1" {
			t.Fatal(got.says)
		}
		dataset := s.parse(t, "1.1")
		loss, err := dataset.FindElementByTag(tag.LossyImageCompression)
		if err != nil || loss.Value.String() != "[01]" {
			t.Errorf("%s: got %v %v", before, loss, err)
		}
		method, err := dataset.FindElementByTag(tag.LossyImageCompressionMethod)
		if err != nil || (method.Value.String() == "[ISO_15444_1]") != strings.Contains(before, "ISO_15444_1") {
			t.Errorf("%s: got %v %v", before, method, err)
		}
	}
}

// Attributes that describe the bit stream, the UIDs of an instance and the encoding of
// its text cannot be bulkdata, at any depth, compressed or not.
func TestDerivedAttributesAreNoHoles(t *testing.T) {
	for _, tagAndVR := range strings.Fields("00080005/CS 00080016/UI 00080018/UI 0020000D/UI 0020000E/UI 00181063/DS " +
		"00280002/US 00280004/CS 00280006/US 00280008/IS 00280009/AT 00280010/US 00280011/US 00280100/US 00280101/US 00280102/US 00280103/US 00282110/CS 00282114/CS") {
		name, vr, _ := strings.Cut(tagAndVR, "/")
		for _, bulk := range []bodyPart{codedPart("image/jpeg", "p", jpegOf(t, 40, 60, 1)), bulkPart("p", noise(32)), codedPart("image/png", "p", pngOf(t, 4, 4))} {
			s := newService(t, 1<<20)
			metadata := strings.Replace(jsonOf("1.1", grey(4, 4), reference("7FE00010", "OB", "p")), fmt.Sprintf("%q:{", name), `"00090001":{`, 1)
			metadata = strings.TrimSuffix(metadata, "}") + "," + reference(name, vr, "rows") + "}"
			got := s.compose(t, multipart(jsonPart(metadata), bulk, bulkPart("rows", []byte{40, 0})))
			if len(got.stored) > 0 || !strings.Contains(got.says, fmt.Sprintf("(%s,%s) cannot be bulkdata", name[:4], name[4:])) {
				t.Errorf("%s: got %s: %s", name, got.outcomes(), got.says)
			}
		}
	}
}

// PS3.5 §6.1.2: bytes that are not text in the Specific Character Set are not stored under it.
func TestBulkTextIsOfTheDeclaredCharset(t *testing.T) {
	latin, utf := "Gr\xfc\xdfe", "Grüße"
	charset := func(term string) string { return fmt.Sprintf(`"00080005":{"vr":"CS","Value":[%q]},`, term) }
	const name = `"00100010":{"vr":"PN","Value":[{"Alphabetic":"M\u00fcller"}]},`
	const item = `"00081140":{"vr":"SQ","Value":[{"00080005":{"vr":"CS","Value":["ISO_IR 100"]}}]},`
	const nested = `"00081140":{"vr":"SQ","Value":[{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00420011":{"vr":"UT","BulkDataURI":"n"}}]},`
	for text, want := range map[string]string{"ASCII": "stored 1.1", utf: "failed 1.1 C000", latin: "failed 1.1 C000"} { // it is unknown which of the two it is
		s := newService(t, 1<<20)
		if got := s.compose(t, multipart(jsonPart(jsonOf("1.1", charset("ISO_IR 100")+strings.TrimSuffix(nested, ","))), bulkPart("n", []byte(text)))); got.outcomes() != want {
			t.Errorf("%q in an item: got %s: %s", text, got.outcomes(), got.says)
		}
	}
	for _, test := range []struct {
		metadata, vr, text string
		stored             bool
	}{
		{charset("ISO_IR 100"), "UT", latin, true},
		{charset("ISO_IR 100"), "UT", "ASCII", true},
		{charset("ISO_IR 100") + name, "UT", latin, false}, // the dataset becomes ISO_IR 192
		{charset("ISO_IR 100") + name, "UT", utf, true},
		{charset("ISO_IR 100") + name, "LT", utf[:3], false}, // half a character
		{charset("ISO_IR 100") + name, "UR", latin, true},    // PS3.5 §6.1.2.2: Specific Character Set does not apply to this VR
		{charset("ISO_IR 100") + name, "OB", latin, true},
		{charset("ISO_IR 100") + name, "LO", "ASCII", true},
		{charset("ISO_IR 192"), "UC", utf, true},
		{charset("ISO_IR 192"), "UC", latin, false},
		{charset("ISO 2022 IR 87"), "ST", "\x1b$B;3\x1b(B", true},
		{charset("ISO 2022 IR 87") + name, "ST", "\x1b$B;3\x1b(B", false}, // its bytes only look like ASCII
		{"", "UT", utf, false},
		{"", "UT", latin, false},
		{"", "UT", "ASCII, \r\n\t", true},
		{charset("ISO_IR 6"), "UT", latin, false},
		{item, "UT", utf, false},
	} {
		s := newService(t, 1<<20)
		text := strings.Repeat("a", 100_001) + test.text
		if test.vr == "LO" || test.vr == "LT" || test.vr == "ST" {
			text = test.text
		}
		metadata := test.metadata + reference("00420011", test.vr, "p")
		got := s.compose(t, multipart(jsonPart(jsonOf("1.1", metadata)), bulkPart("p", []byte(text))))
		if want := "stored 1.1"; (got.outcomes() == want) != test.stored {
			t.Errorf("%q of %s under %s: got %s: %s", test.text, test.vr, test.metadata, got.outcomes(), got.says)
		}
		if strings.Contains(got.says, "Gr") {
			t.Errorf("the error tells the value: %s", got.says)
		}
	}
}
