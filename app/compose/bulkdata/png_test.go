package bulkdata_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stowrs-to-s3/app/compose/bulkdata"
)

// native is an image without compression.
func native(rows, columns, samples int, photometric string, bits int) bulkdata.Image {
	return bulkdata.Image{
		TransferSyntaxUID: "1.2.840.10008.1.2.1", SamplesPerPixel: samples, PhotometricInterpretation: photometric,
		Rows: rows, Columns: columns, BitsAllocated: bits, BitsStored: bits,
	}
}

// pixelsOf decodes a PNG.
func pixelsOf(data []byte) ([]byte, error) {
	want, _, err := bulkdata.Configure("image/png", data, true)
	if err != nil {
		return nil, err
	}
	pixels, err := bulkdata.Decode("image/png", bytes.NewReader(data), want)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(pixels)
}

// transformed lists PNGs of testdata, and the pixels of another decoder.
var transformed = []struct {
	file, pixels string
	want         bulkdata.Image
}{
	{"grey1.png", "grey1.raw", native(24, 40, 1, "MONOCHROME2", 8)},
	{"grey16.png", "grey16.raw", native(24, 40, 1, "MONOCHROME2", 16)}, // interlaced
	{"palette.png", "palette.raw", native(24, 40, 3, "RGB", 8)},
	{"alpha.png", "alpha.raw", native(24, 40, 3, "RGB", 8)},
}

// PS3.18 Table 10.5.2-1: a PNG is transformed.
func TestPixelsOfPNG(t *testing.T) {
	for _, tt := range transformed {
		t.Run(tt.file, func(t *testing.T) {
			data, want := stream(t, tt.file), stream(t, tt.pixels)
			image, _, err := bulkdata.Configure("image/png", data, true)
			if diff := cmp.Diff(tt.want, image, cmpopts.IgnoreUnexported(bulkdata.Image{})); err != nil || diff != "" {
				t.Fatalf("%v, -want +got:\n%s", err, diff)
			}
			for name, reader := range map[string]func(io.Reader) io.Reader{
				"at once": func(r io.Reader) io.Reader { return r }, "bytewise": iotest.OneByteReader, "with its error": iotest.DataErrReader,
			} {
				pixels, err := bulkdata.Decode("Image/PNG", reader(bytes.NewReader(data)), image)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got, err := io.ReadAll(reader(pixels))
				if tt.file == "alpha.png" && len(got) == len(want) { // rounded; the other decoder truncates
					for i := range got {
						if got[i] == want[i]+1 {
							got[i]--
						}
					}
				}
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %v; %d bytes that differ from the %d of another decoder", name, err, len(got), len(want))
				}
			}
		})
	}
}

// Pictures of every kind have the same pixels as with image/png.
func TestPNGOfEveryKind(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, kind := range pngKinds {
		for n := range 60 {
			p := randomPicture(r, kind, n%2 == 1)
			data := p.encode(1 + r.IntN(500))
			want, _, err := bulkdata.Configure("image/png", data, true)
			if err != nil {
				t.Fatal(err)
			}
			got, err := pixelsOf(data)
			if err != nil || !bytes.Equal(got, byImagePNG(t, data, want)) {
				t.Fatalf("colour type %d of depth %d, interlaced %t, %d by %d: %v, or other pixels than image/png's",
					p.colour, p.depth, p.interlaced, p.columns, p.rows, err)
			}
		}
	}
}

// Every shorter head describes the same image or asks for more, and a picture that was cut never
// gives its last row: an image whose end is missing is never stored.
func TestCutPNG(t *testing.T) {
	for _, tt := range transformed {
		t.Run(tt.file, func(t *testing.T) {
			data, all := stream(t, tt.file), len(stream(t, tt.pixels))
			for n := range data {
				image, _, err := bulkdata.Configure("image/png", data[:n], false)
				if !errors.Is(err, bulkdata.ErrShort) && (err != nil || image != tt.want) {
					t.Fatalf("head of %d bytes: %+v, %v", n, image, err)
				}
				if _, _, err = bulkdata.Configure("image/png", data[:n], true); errors.Is(err, bulkdata.ErrShort) {
					t.Fatalf("%d bytes are all, and more is asked for", n)
				}
				if got, err := pixelsOf(data[:n]); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) >= all {
					t.Fatalf("%d of %d bytes: %d bytes of pixels, %v", n, len(data), len(got), err)
				}
			}
		})
	}
}

// ISO/IEC 15948 §13.2: every flipped bit before the end is detected.
func TestFlippedBitsOfAPNG(t *testing.T) {
	for _, tt := range transformed {
		data, want := stream(t, tt.file), stream(t, tt.pixels)
		for at := range data {
			flipped := bytes.Clone(data)
			flipped[at] ^= 1 << (at % 8)
			if got, err := pixelsOf(flipped); err == nil {
				t.Errorf("%s, byte %d: %d bytes of pixels, equal %t", tt.file, at, len(got), bytes.Equal(got, want))
			}
		}
	}
}

// A violation of the format is an error, even if all checks are correct.
func TestPNGRefused(t *testing.T) {
	end := pngChunk("IEND", nil)
	grey := picture{columns: 2, rows: 2, depth: 8, lines: []byte("\x00ab\x00cd")}
	indexed := picture{columns: 1, rows: 1, depth: 8, colour: 3, lines: []byte("\x00\x01"), before: [][]byte{pngChunk("PLTE", make([]byte, 6))}}
	with := func(p picture, change func(*picture)) []byte { change(&p); return p.encode(1000) }
	pixels := func(idat ...[]byte) []byte { return pngOf(2, 2, 8, 0, 0, append(idat, end)...) }
	stream := deflated(grey.lines)
	checked := func(data []byte) []byte { return pngChunk("IDAT", data) }
	for name, data := range map[string][]byte{"grey": grey.encode(3), "indexed": indexed.encode(3), "empty chunks": pixels(checked(nil), checked(stream), checked(nil))} {
		if _, err := pixelsOf(data); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for name, tt := range map[string]struct {
		data   []byte
		reason string
	}{
		"another format":         {[]byte(strings.Repeat("GIF89a", 10)), "not a PNG"},
		"colour and depth":       {pngOf(1, 1, 4, 2, 0), "its header is wrong"},
		"interlace method":       {pngOf(1, 1, 8, 2, 2), "its header is wrong"},
		"65536 columns":          {pngOf(1<<16, 1, 8, 2, 0), "65536 columns"},
		"2^31 rows":              {pngOf(1, 1<<31, 8, 2, 0), "rows"},
		"no rows":                {pngOf(1, 0, 8, 2, 0), "0 rows"},
		"more than an element":   {pngOf(65535, 65535, 8, 2, 0), "than Pixel Data may have"},
		"animated":               {with(grey, func(p *picture) { p.before = [][]byte{pngChunk("acTL", make([]byte, 8))} }), "is animated"},
		"no pixels":              {pngOf(2, 2, 8, 0, 0, end), `"IEND"`},
		"unknown critical chunk": {with(grey, func(p *picture) { p.before = [][]byte{pngChunk("CgBI", nil)} }), `"CgBI"`},
		"unknown filter":         {with(grey, func(p *picture) { p.lines = []byte("\x00ab\x05cd") }), "filter 5"},
		"too few pixels":         {with(grey, func(p *picture) { p.lines = p.lines[:5] }), "unexpected EOF"},
		"too many pixels":        {with(grey, func(p *picture) { p.lines = append(p.lines, 0) }), "more than its pixels"},
		"data behind the pixels": {pixels(checked(append(bytes.Clone(stream), 0))), "more than its pixels"},
		"chunk behind them":      {pixels(checked(stream), checked([]byte{0})), "more than its pixels"},
		"checksum of the pixels": {pixels(checked(append(stream[:len(stream)-1:len(stream)-1], stream[len(stream)-1]^1))), "invalid checksum"},
		"not deflated":           {pixels(checked(grey.lines)), "invalid header"},
		"IDAT not in a row":      {pixels(checked(stream[:5]), pngChunk("tEXt", nil), checked(stream[5:])), "unexpected EOF"},
		"IDAT again":             {pixels(checked(stream), pngChunk("tEXt", nil), checked(stream)), `"IDAT"`},
		"no IEND":                {with(grey, func(p *picture) { p.after = [][]byte{{}} }), "unexpected EOF"},
		"IEND with data":         {with(grey, func(p *picture) { p.after = [][]byte{pngChunk("IEND", []byte{0})} }), "more than its pixels"},
		"palette behind pixels":  {with(indexed, func(p *picture) { p.after = [][]byte{pngChunk("PLTE", make([]byte, 6)), end} }), `"PLTE"`},
		"tRNS behind pixels":     {with(grey, func(p *picture) { p.after = [][]byte{pngChunk("tRNS", make([]byte, 2)), end} }), "tRNS"},
		"no palette":             {with(indexed, func(p *picture) { p.before = nil }), "its palette is wrong"},
		"index outside":          {with(indexed, func(p *picture) { p.lines = []byte("\x00\x02") }), "its palette is wrong"}, // §11.2.3
		"half a colour":          {with(indexed, func(p *picture) { p.before = [][]byte{pngChunk("PLTE", make([]byte, 7))} }), "its palette is wrong"},
		"257 colours":            {with(indexed, func(p *picture) { p.before = [][]byte{pngChunk("PLTE", make([]byte, 3*257))} }), "its palette is wrong"},
		"two palettes":           {with(indexed, func(p *picture) { p.before = append(p.before, p.before[0]) }), "its palette is wrong"},
		"palette of grey":        {with(grey, func(p *picture) { p.before = indexed.before }), "its palette is wrong"},
		"tRNS before palette":    {with(indexed, func(p *picture) { p.before = [][]byte{pngChunk("tRNS", []byte{0}), p.before[0]} }), "tRNS"},
		"tRNS of three":          {with(indexed, func(p *picture) { p.before = append(p.before[:1:1], pngChunk("tRNS", make([]byte, 3))) }), "tRNS"},
		"two tRNS":               {with(grey, func(p *picture) { p.before = [][]byte{pngChunk("tRNS", []byte{0, 1}), pngChunk("tRNS", []byte{0, 1})} }), "tRNS"},
		"tRNS of a byte":         {with(grey, func(p *picture) { p.before = [][]byte{pngChunk("tRNS", make([]byte, 1))} }), "tRNS"},
		"a long chunk":           {pixels([]byte("\x80\x00\x00\x00tEXt")), "impossible length"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := pixelsOf(tt.data); err == nil || !strings.Contains(err.Error(), tt.reason) || len(got) >= 4 {
				t.Errorf("%d bytes of pixels, error is %v, want one with %q", len(got), err, tt.reason)
			}
		})
	}
}

// Decode relies only on the result of Configure.
func TestAnotherImageThanTheOneDescribed(t *testing.T) {
	for _, tt := range transformed {
		for name, change := range map[string]func(*bulkdata.Image){
			"rows": func(i *bulkdata.Image) { i.Rows-- }, "columns": func(i *bulkdata.Image) { i.Columns++ },
			"samples": func(i *bulkdata.Image) { i.SamplesPerPixel = 4 - i.SamplesPerPixel }, "bits": func(i *bulkdata.Image) { i.BitsAllocated = 24 - i.BitsAllocated },
			"frames": func(i *bulkdata.Image) { i.NumberOfFrames = 2 },
		} {
			want := tt.want
			change(&want)
			if _, err := bulkdata.Decode("image/png", bytes.NewReader(stream(t, tt.file)), want); err == nil {
				t.Errorf("%s with other %s: no error", tt.file, name)
			}
		}
	}
}

// An error of the reader is returned to the caller, at whatever byte it occurs.
func TestErrorOfThePart(t *testing.T) {
	broken := errors.New("the connection is broken")
	data := stream(t, "grey16.png")
	for n := range data {
		r := io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(broken))
		pixels, err := bulkdata.Decode("image/png", r, native(24, 40, 1, "MONOCHROME2", 16))
		if err == nil {
			_, err = io.Copy(io.Discard, pixels)
		}
		if !errors.Is(err, broken) {
			t.Fatalf("behind %d bytes: %v", n, err)
		}
	}
}
