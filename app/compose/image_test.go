package compose_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"
)

// jpegOf is a JPEG with one colour component.
func jpegOf(t *testing.T, rows, columns, seed int) []byte {
	t.Helper()
	picture := image.NewGray(image.Rect(0, 0, columns, rows))
	for i := range picture.Pix {
		picture.Pix[i] = byte(i * seed)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// longer inserts n bytes before the end of a JPEG.
func longer(jpeg []byte, n int) []byte {
	return slices.Concat(jpeg[:len(jpeg)-2], make([]byte, n), jpeg[len(jpeg)-2:])
}

// encapsulated is Pixel Data with an empty Basic Offset Table and a fragment for each frame (PS3.5 §A.4).
func encapsulated(frames ...[]byte) []byte {
	item := func(value []byte) []byte {
		if len(value)%2 == 1 {
			value = append(slices.Clip(value), 0)
		}
		return append(binary.LittleEndian.AppendUint32([]byte{0xFE, 0xFF, 0x00, 0xE0}, uint32(len(value))), value...)
	}
	b := append([]byte("\xE0\x7F\x10\x00OB\x00\x00\xFF\xFF\xFF\xFF"), item(nil)...)
	for _, frame := range frames {
		b = append(b, item(frame)...)
	}
	return append(b, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0)
}

// PS3.18 Table 10.5.2-1: JPEG is encapsulated unchanged, each frame from one part (§10.5.1.4).
func TestCompressedPixelDataStayAsTheyAre(t *testing.T) {
	a, b, c := jpegOf(t, 40, 60, 1), jpegOf(t, 40, 60, 7), jpegOf(t, 40, 60, 13)
	three := `"00280008":{"vr":"IS","Value":[3]}`
	pixels := reference("7FE00010", "OB", "p")
	for name, test := range map[string]struct {
		parts []bodyPart
		want  []byte
	}{
		"one frame":                   {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), codedPart("image/jpeg", "p", a)}, encapsulated(a)},
		"one frame, declared":         {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), codedPart("image/jpeg", fmt.Sprintf("p|Content-Length: %d", len(a)), a)}, encapsulated(a)},
		"upper case, with parameter":  {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), codedPart("IMAGE/JPEG; transfer-syntax=1.2.840.10008.1.2.4.50", "p", a)}, encapsulated(a)},
		"three frames, one reference": {[]bodyPart{jsonPart(jsonOf("1.1", three, pixels)), codedPart("image/jpeg", "p", a), codedPart("image/jpeg", "p", b), codedPart("image/jpeg", "p", c)}, encapsulated(a, b, c)},
		"three frames, numbered":      {[]bodyPart{jsonPart(jsonOf("1.1", three, pixels)), codedPart("image/jpeg", "p/frames/1", a), codedPart("image/jpeg", "p/frames/2", b), codedPart("image/jpeg", "p/frames/3", c)}, encapsulated(a, b, c)},
		"behind another value": {
			[]bodyPart{jsonPart(jsonOf("1.1", reference("00091001", "OB", "x"), three, pixels)), codedPart("image/jpeg", "p", a), bulkPart("x", noise(10)), codedPart("image/jpeg", "p", b), codedPart("image/jpeg", "p", c)},
			encapsulated(a, b, c),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 1<<20)
			if got := s.compose(t, multipart(test.parts...)); got.outcomes() != "stored 1.1" {
				t.Fatalf("got %s: %s", got.outcomes(), got.says)
			}
			s.wantEnd(t, "1.1", test.want)
			dataset := s.parse(t, "1.1")
			for _, want := range []struct {
				t     tag.Tag
				value string
			}{
				{tag.TransferSyntaxUID, "[1.2.840.10008.1.2.4.50]"},
				{tag.Rows, "[40]"},
				{tag.Columns, "[60]"},
				{tag.SamplesPerPixel, "[1]"},
				{tag.PhotometricInterpretation, "[MONOCHROME2]"},
				{tag.BitsAllocated, "[8]"},
				{tag.HighBit, "[7]"},
				{tag.PixelRepresentation, "[0]"},
				{tag.LossyImageCompression, "[01]"},
			} {
				element, err := dataset.FindElementByTag(want.t)
				if err != nil || element.Value.String() != want.value {
					t.Errorf("%v: got %v %v, want %s", want.t, element, err, want.value)
				}
			}
		})
	}
}

// parse reads the stored object with an independent library.
func (s *service) parse(t *testing.T, sop string) dicom.Dataset {
	t.Helper()
	object := s.objects[sop]
	dataset, err := dicom.Parse(bytes.NewReader(object), int64(len(object)), nil)
	if err != nil {
		t.Fatalf("%s: %v", sop, err)
	}
	return dataset
}

// PS3.18 Table 10.5.2-1: PNG becomes uncompressed pixels.
func TestTransformedPixelData(t *testing.T) {
	deep := image.NewGray16(image.Rect(0, 0, 300, 200))
	var deepPixels []byte
	for y := range 200 {
		for x := range 300 {
			value := uint16(x*y + x)
			deep.SetGray16(x, y, color.Gray16{Y: value})
			deepPixels = binary.LittleEndian.AppendUint16(deepPixels, value)
		}
	}
	colours := image.NewRGBA(image.Rect(0, 0, 30, 21))
	var rgb []byte
	for y := range 21 {
		for x := range 30 {
			c := color.RGBA{byte(x * 8), byte(y * 12), byte(x * y), 255}
			colours.SetRGBA(x, y, c)
			rgb = append(rgb, c.R, c.G, c.B)
		}
	}
	encode := func(encode func(*bytes.Buffer) error) []byte {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	grayPNG := encode(func(b *bytes.Buffer) error { return png.Encode(b, deep) })
	rgbPNG := encode(func(b *bytes.Buffer) error { return png.Encode(b, colours) })
	for name, test := range map[string]struct {
		content []byte
		vr      string
		want    []byte
	}{
		"PNG of 16 bits": {grayPNG, "OW", deepPixels},
		"PNG in colour":  {rgbPNG, "OB", rgb},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 1<<20)
			if got := s.compose(t, multipart(jsonPart(jsonOf("1.1", reference("7FE00010", "OB", "p"))), codedPart("image/png", "p", test.content))); got.outcomes() != "stored 1.1" {
				t.Fatalf("got %s: %s", got.outcomes(), got.says)
			}
			s.wantEnd(t, "1.1", element(0x7FE0, 0x0010, test.vr, test.want))
			s.parse(t, "1.1")
		})
	}
}

// A part is read to its end, even if its picture ends earlier: the rest may be
// invalid, or missing.
func TestPNGEndsWithItsPart(t *testing.T) {
	picture := image.NewGray(image.Rect(0, 0, 300, 300))
	for i := range picture.Pix {
		picture.Pix[i] = byte(i * i * i >> 7)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil || b.Len() < 8<<10 { // longer than the head that is inspected
		t.Fatal(b.Len(), err)
	}
	p := b.Bytes()
	behind := slices.Concat(p, make([]byte, 50_000)) // longer than any buffer
	for name, test := range map[string]struct {
		header  string
		content []byte
		cut     int
		says    string
	}{
		"bytes behind it":         {"", behind, 0, "IEND"},
		"a byte behind it":        {"", behind[:len(p)+1], 0, "IEND"},
		"longer than it says":     {"|Content-Length: 20", p, 0, "Content-Length"},
		"shorter than it says":    {fmt.Sprintf("|Content-Length: %d", len(p)+5), p, 0, "Content-Length"},
		"broken off at its end":   {"", p, len("\r\n--" + boundary + "--"), "ends"},
		"broken off in delimiter": {"", p, 3, "ends"},
	} {
		s := newService(t, 1<<20)
		body := multipart(jsonPart(jsonOf("1.1", reference("7FE00010", "OB", "p"))), codedPart("image/png", "p"+test.header, test.content))
		if got := s.compose(t, body[:len(body)-test.cut]); len(got.stored) > 0 || !strings.Contains(got.says, test.says) {
			t.Errorf("%s: got %s: %s, want an error that says %s", name, got.outcomes(), got.says, test.says)
		}
	}
}

// Pixel Data that contradict the metadata, or are not of the declared type.
func TestPixelDataThatDoNotFit(t *testing.T) {
	a := jpegOf(t, 40, 60, 1)
	three := `"00280008":{"vr":"IS","Value":[3]}`
	pixels := reference("7FE00010", "OB", "p")
	rows := func(n int) string { return fmt.Sprintf(`"00280010":{"vr":"US","Value":[%d]}`, n) }
	var small bytes.Buffer
	if err := png.Encode(&small, image.NewGray(image.Rect(0, 0, 60, 40))); err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(small.Bytes())
	copy(huge[16:24], "\x00\x00\xFF\xFF\x00\x00\xFF\xFF") // 65535 × 65535, with a wrong CRC
	for name, test := range map[string]struct {
		parts []bodyPart
		want  string
		says  string
	}{
		"other Rows":               {[]bodyPart{jsonPart(jsonOf("1.1", rows(41), pixels)), codedPart("image/jpeg", "p", a)}, "failed 1.1 C000", "(0028,0010)"},
		"other Rows, PNG":          {[]bodyPart{jsonPart(jsonOf("1.1", rows(41), pixels)), codedPart("image/png", "p", small.Bytes())}, "failed 1.1 C000", "(0028,0010)"},
		"no JPEG":                  {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), codedPart("image/jpeg", "p", noise(5000))}, "failed 1.1 C000", "image/jpeg"},
		"no PNG":                   {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), codedPart("image/png", "p", noise(5000))}, "failed 1.1 C000", `"p"`},
		"cut in its head":          {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), {"Content-Type: image/jpeg|Content-Location: p|Content-Length: 9999", a[:100]}}, "failed 1.1 C000", "Content-Length"},
		"PNG that ends early":      {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), codedPart("image/png", "p", small.Bytes()[:small.Len()-20])}, "failed 1.1 C000", `"p"`},
		"PNG of four gigapixels":   {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), codedPart("image/png", "p", huge)}, "failed 1.1", ""},
		"a frame is missing":       {[]bodyPart{jsonPart(jsonOf("1.1", three, pixels)), codedPart("image/jpeg", "p", a), codedPart("image/jpeg", "p", a)}, "failed 1.1 C000", "no further one"},
		"a frame too many":         {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), codedPart("image/jpeg", "p", a), codedPart("image/jpeg", "p", a)}, "failed 1.1 C000 | other C000", "Number of Frames"},
		"a frame of another size":  {[]bodyPart{jsonPart(jsonOf("1.1", three, pixels)), codedPart("image/jpeg", "p", a), codedPart("image/jpeg", "p", jpegOf(t, 20, 60, 1)), codedPart("image/jpeg", "p", a)}, "failed 1.1 C000", "other Rows"},
		"a frame uncompressed":     {[]bodyPart{jsonPart(jsonOf("1.1", three, pixels)), codedPart("image/jpeg", "p", a), bulkPart("p", a), codedPart("image/jpeg", "p", a)}, "failed 1.1 C000", "application/octet-stream, the first frame is not"},
		"compressed octet-stream":  {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), codedPart("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.50", "p", a)}, "failed 1.1 C000", "their own media type"},
		"RLE without attributes":   {[]bodyPart{jsonPart(jsonOf("1.1", pixels)), codedPart("image/dicom-rle", "p", append([]byte{1, 0, 0, 0, 64, 0, 0, 0}, make([]byte, 100)...))}, "failed 1.1 C000", "Image Pixel attributes"},
		"JPEG as another sequence": {[]bodyPart{jsonPart(jsonOf("1.1", `"00880200":{"vr":"SQ","Value":[{`+pixels+`}]}`)), codedPart("image/jpeg", "p", a)}, "failed 1.1 C000", "only the image's own"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 1<<20)
			got := s.compose(t, multipart(test.parts...))
			if !strings.HasPrefix(got.outcomes(), test.want) {
				t.Errorf("got %s, want %s", got.outcomes(), test.want)
			}
			if !strings.Contains(got.says, test.says) {
				t.Errorf("got %q, want an error that says %s", got.says, test.says)
			}
		})
	}
}

// PS3.5 §A.4.4: only the codestream of a JP2 file is Pixel Data. The rest is dropped, but must
// arrive: if the part ends within it, the part is incomplete.
func TestBoxesOfJPEG2000AreDropped(t *testing.T) {
	file, err := os.ReadFile("bulkdata/testdata/colour.jp2")
	if err != nil {
		t.Fatal(err)
	}
	codestream := file[bytes.Index(file, []byte("\xFF\x4F\xFF\x51")):]
	behind := append([]byte("\x00\x00\x40\x00free"), noise(1<<14-8)...)
	for name, test := range map[string]struct {
		content []byte
		header  string
		cut     int
		want    string
	}{
		"the codestream comes last":        {content: file, want: "stored 1.1"},
		"a box behind it":                  {content: slices.Concat(file, behind), want: "stored 1.1"},
		"a box behind it, declared length": {content: slices.Concat(file, behind), header: fmt.Sprintf("|Content-Length: %d", len(file)+len(behind)), want: "stored 1.1"},
		"cut behind the codestream":        {content: slices.Concat(file, behind), cut: 5000, want: "failed 1.1 C000"},
		"cut in the codestream":            {content: file, cut: 60, want: "failed 1.1 C000"},
		"shorter than declared":            {content: slices.Concat(file, behind), header: "|Content-Length: 99999", want: "failed 1.1 C000"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 1<<20)
			body := multipart(jsonPart(jsonOf("1.1", reference("7FE00010", "OB", "p"))), codedPart("image/jp2"+test.header, "p", test.content))
			got := s.compose(t, body[:len(body)-test.cut])
			if got.outcomes() != test.want {
				t.Fatalf("got %s: %s, want %s", got.outcomes(), got.says, test.want)
			}
			if test.want == "stored 1.1" {
				s.wantEnd(t, "1.1", encapsulated(codestream))
			}
		})
	}
}

// pngOf is a grey PNG with 16 bits.
func pngOf(t *testing.T, rows, columns int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray16(image.Rect(0, 0, columns, rows))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
