package bulkdata_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image/png"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/bulkdata"
)

// native is an image without compression.
func native(rows, columns, samples int, photometric string, bits, frames int) bulkdata.Image {
	return bulkdata.Image{
		TransferSyntaxUID: "1.2.840.10008.1.2.1", SamplesPerPixel: samples, PhotometricInterpretation: photometric,
		Rows: rows, Columns: columns, BitsAllocated: bits, BitsStored: bits, NumberOfFrames: frames,
	}
}

// transformed are the images of testdata of PS3.18 Table 10.5.2-1's Transform, and
// what another decoder made of them.
var transformed = []struct {
	mediaType, file, pixels string
	want                    bulkdata.Image
}{
	{"image/png", "grey1.png", "grey1.raw", native(24, 40, 1, "MONOCHROME2", 8, 0)},
	{"image/png", "grey16.png", "grey16.raw", native(24, 40, 1, "MONOCHROME2", 16, 0)}, // interlaced
	{"image/png", "palette.png", "palette.raw", native(24, 40, 3, "RGB", 8, 0)},
	{"image/png", "alpha.png", "alpha.raw", native(24, 40, 3, "RGB", 8, 0)},
	{"image/gif", "interlaced.gif", "interlaced.raw", native(12, 20, 3, "RGB", 8, 0)},
	{"image/gif", "none.gif", "none.raw", native(12, 20, 3, "RGB", 8, 4)},
	{"image/gif", "background.gif", "background.raw", native(12, 20, 3, "RGB", 8, 4)},
	{"image/gif", "previous.gif", "previous.raw", native(12, 20, 3, "RGB", 8, 4)},
	{"image/gif", "optimized.gif", "none.raw", native(12, 20, 3, "RGB", 8, 4)},
}

func TestPixelsOfPNGAndGIF(t *testing.T) {
	for _, tt := range transformed {
		t.Run(tt.file, func(t *testing.T) {
			data, want := stream(t, tt.file), stream(t, tt.pixels)
			image, decodeBytes, err := bulkdata.Configure(tt.mediaType, data, true)
			if diff := cmp.Diff(tt.want, image); err != nil || diff != "" {
				t.Fatalf("%v, -want +got:\n%s", err, diff)
			}
			if decodeBytes < int64(image.Rows*image.Columns) {
				t.Errorf("decoding is said to take %d bytes", decodeBytes)
			}
			for name, reader := range map[string]func(io.Reader) io.Reader{
				"at once": func(r io.Reader) io.Reader { return r }, "bytewise": iotest.OneByteReader, "with its error": iotest.DataErrReader,
			} {
				pixels, err := bulkdata.Decode(tt.mediaType, reader(bytes.NewReader(data)), image)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got, err := io.ReadAll(reader(pixels))
				if tt.file == "alpha.png" && len(got) == len(want) { // rounded, where the other decoder cuts
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

// Every shorter head describes the same image or asks for more, and no cut stream
// gives all pixels: an image of which the end is missing is never stored.
func TestCutPNGAndGIF(t *testing.T) {
	for _, tt := range transformed {
		t.Run(tt.file, func(t *testing.T) {
			data := stream(t, tt.file)
			for n := range data {
				image, _, err := bulkdata.Configure(tt.mediaType, data[:n], false)
				if !errors.Is(err, bulkdata.ErrShort) && (err != nil || image != tt.want) {
					t.Fatalf("head of %d bytes: %+v, %v", n, image, err)
				}
				if _, _, err = bulkdata.Configure(tt.mediaType, data[:n], true); errors.Is(err, bulkdata.ErrShort) {
					t.Fatalf("%d bytes are all, and more is asked for", n)
				}
				pixels, err := bulkdata.Decode(tt.mediaType, bytes.NewReader(data[:n]), tt.want)
				if err == nil {
					_, err = io.Copy(io.Discard, pixels)
				}
				if err == nil {
					t.Fatalf("%d of %d bytes give all pixels", n, len(data))
				}
			}
		})
	}
}

// pngChunk is one chunk, with its check.
func pngChunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngOf is the front of a PNG of any size.
func pngOf(columns, rows uint32, depth, colour byte, chunks ...[]byte) []byte {
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, columns), rows)
	b := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", append(header, depth, colour, 0, 0, 0))...)
	return append(b, bytes.Join(chunks, nil)...)
}

func gifOf(columns, rows uint16, blocks string) []byte {
	b := binary.LittleEndian.AppendUint16([]byte("GIF89a"), columns)
	return append(binary.LittleEndian.AppendUint16(b, rows), "\x80\x00\x00\x00\x00\x00\xFF\xFF\xFF"+blocks...)
}

// What is not allowed, and what would take more memory than its size lets expect.
func TestPNGAndGIFRefused(t *testing.T) {
	data := pngChunk("IDAT", nil)
	const frame = ",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
	for name, tt := range map[string]struct {
		mediaType string
		data      []byte
		reason    string
	}{
		"no PNG":               {"image/png", stream(t, "grey.jpg"), "not a PNG"},
		"no GIF":               {"image/gif", stream(t, "grey.jpg"), "not a GIF"},
		"another version":      {"image/gif", []byte(strings.Repeat("GIF90a", 4)), "not a GIF"},
		"65536 columns":        {"image/png", pngOf(1<<16, 1, 8, 2, data), "65536 columns"},
		"2^31 rows":            {"image/png", pngOf(1, 1<<31, 8, 2, data), "rows"},
		"more than an element": {"image/png", pngOf(65535, 65535, 8, 2, data), "exceed what Pixel Data may be long"},
		"colour and depth":     {"image/png", pngOf(1, 1, 4, 2, data), "colour type 2 of depth 4"},
		"no rows":              {"image/gif", gifOf(1, 0, frame+";"), "0 rows"},
		"animated PNG":         {"image/png", pngOf(1, 1, 8, 2, pngChunk("acTL", make([]byte, 8)), data), "animated PNG"},
		"no pixels":            {"image/png", pngOf(1, 1, 8, 2), "ends before its pixels"},
		"GIF without a frame":  {"image/gif", gifOf(1, 1, ";"), "without a frame"},
		"an unknown block":     {"image/gif", gifOf(1, 1, "?"), "unknown block"},
		"frame outside":        {"image/gif", gifOf(1, 1, ",\x01\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00;"), "exceeds the logical screen"},
		"frames in plenty":     {"image/gif", gifOf(65535, 65535, frame+frame+";"), "exceed what Pixel Data may be long"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := bulkdata.Configure(tt.mediaType, tt.data, true); err == nil || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("error is %v, want one with %q", err, tt.reason)
			}
		})
	}
}

// Decode trusts what Configure said, and nothing else: not a stream of another size,
// nor one with more frames.
func TestAnotherImageThanTheOneDescribed(t *testing.T) {
	for _, tt := range transformed {
		for name, change := range map[string]func(*bulkdata.Image){
			"rows": func(i *bulkdata.Image) { i.Rows-- }, "columns": func(i *bulkdata.Image) { i.Columns++ },
			"samples": func(i *bulkdata.Image) { i.SamplesPerPixel = 4 - i.SamplesPerPixel }, "bits": func(i *bulkdata.Image) { i.BitsAllocated = 24 - i.BitsAllocated },
			"frames": func(i *bulkdata.Image) { i.NumberOfFrames += 2 },
		} {
			want := tt.want
			change(&want)
			pixels, err := bulkdata.Decode(tt.mediaType, bytes.NewReader(stream(t, tt.file)), want)
			if err == nil {
				_, err = io.Copy(io.Discard, pixels)
			}
			if err == nil {
				t.Errorf("%s with other %s: no error", tt.file, name)
			}
		}
	}
	fewer := native(12, 20, 3, "RGB", 8, 3)
	pixels, err := bulkdata.Decode("image/gif", bytes.NewReader(stream(t, "none.gif")), fewer)
	if err == nil {
		_, err = io.Copy(io.Discard, pixels)
	}
	if err == nil || !strings.Contains(err.Error(), "more frames") {
		t.Errorf("a fourth frame: %v", err)
	}
}

// The head of a PNG may be long: text and colour profiles come before the pixels.
func TestLongHeadOfAPNG(t *testing.T) {
	text := pngChunk("tEXt", make([]byte, bulkdata.HeadBytes))
	data := pngOf(3, 2, 16, 0, text, pngChunk("IDAT", nil))
	if _, _, err := bulkdata.Configure("image/png", data[:bulkdata.HeadBytes-1], false); !errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("below the limit: %v, want ErrShort", err)
	}
	image, decodeBytes, err := bulkdata.Configure("image/png", data[:bulkdata.HeadBytes], false)
	if err != nil || image != native(2, 3, 1, "MONOCHROME2", 16, 0) {
		t.Errorf("%+v, %v", image, err)
	}
	_, least, err := bulkdata.Configure("image/png", pngOf(3, 2, 16, 0, pngChunk("IDAT", nil)), true)
	if err != nil || decodeBytes <= least {
		t.Errorf("decoding may take %d bytes, the worst case %d: %v", least, decodeBytes, err)
	}
}

// decodeBytes is measured against what image/png allocates for the pixels.
func TestDecodeBytesOfAPNG(t *testing.T) {
	for _, tt := range transformed {
		if tt.mediaType != "image/png" {
			continue
		}
		data := stream(t, tt.file)
		_, decodeBytes, err := bulkdata.Configure(tt.mediaType, data, true)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := png.Decode(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		used := int64(after.TotalAlloc - before.TotalAlloc)
		if used > decodeBytes || used < decodeBytes/100 {
			t.Errorf("%s: %d bytes are used, %d were announced", tt.file, used, decodeBytes)
		}
	}
}
