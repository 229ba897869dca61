package bulkdata_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"stowrs-to-s3/app/compose/bulkdata"
)

var mediaTypes = []string{
	"image/jpeg", "image/jls", "image/jp2", "image/jpx", "image/jph", "image/jphc", "image/jxl", "image/dicom-rle",
	"video/mpeg", "video/mp4", "video/H265", "video/mp2t", "image/j2c",
}

// addStreams adds the files of testdata, each as what its name ends with.
func addStreams(f *testing.F, kinds map[string]uint8) {
	f.Helper()
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if kind, found := kinds[filepath.Ext(file.Name())]; found {
			f.Add(kind, "", stream(f, file.Name()))
		}
	}
}

// FuzzInspect holds for any stream of any media type: no panic; a shorter head is
// asked for more or described in the same way, until it is complete; what is
// described can be written into the Image Pixel attributes.
func FuzzInspect(f *testing.F) {
	addStreams(f, map[string]uint8{
		".jpg": 0, ".jls": 1, ".jp2": 2, ".j2k": 2, ".j2c": 4, ".jxl": 6, ".m2v": 8, ".mpg": 8, ".ts": 8, ".mp4": 9, ".h264": 9, ".h265": 10,
	})
	f.Add(uint8(1), "", []byte("\xff\xd8\xff\xf7\x00\v\x10\x00\x0000\x01000\xff\xda\x00\b\x010\x00000")) // its number of lines follows the scan
	f.Fuzz(func(t *testing.T, kind uint8, said string, data []byte) {
		mediaType := mediaTypes[int(kind)%len(mediaTypes)]
		image, err := bulkdata.Inspect(mediaType, said, data, true)
		if errors.Is(err, bulkdata.ErrShort) {
			t.Fatal("a complete stream is asked for more")
		}
		if err != nil {
			return
		}
		wantDescribed(t, image)
		for _, n := range []int{len(data) / 4, len(data) / 2, len(data) - 1} {
			if n < 0 {
				continue
			}
			shorter, err := bulkdata.Inspect(mediaType, said, data[:n], false)
			if !errors.Is(err, bulkdata.ErrShort) && (err != nil || shorter != image) {
				t.Fatalf("head of %d of %d bytes: %+v, %v; want %+v", n, len(data), shorter, err, image)
			}
		}
	})
}

// wantDescribed checks that the image fits the attributes it is to be written into.
func wantDescribed(t *testing.T, image bulkdata.Image) {
	t.Helper()
	if image.Rows == 0 { // the sender has to
		wantUndescribed(t, image)
		return
	}
	within := func(n, least, most int) bool { return n >= least && n <= most }
	if !within(image.Rows, 1, 65535) || !within(image.Columns, 1, 65535) || image.NumberOfFrames < 0 || image.FrameTime < 0 {
		t.Errorf("its size: %+v", image)
	}
	if image.SamplesPerPixel != 1 && image.SamplesPerPixel != 3 || image.BitsAllocated%8 != 0 || !within(image.BitsStored, 1, image.BitsAllocated) {
		t.Errorf("its samples: %+v", image)
	}
	if image.TransferSyntaxUID == "" || image.PhotometricInterpretation == "" || image.Lossy != (image.LossyMethod != "") {
		t.Errorf("its kind: %+v", image)
	}
	if image.SkipBytes < 0 || image.CodestreamBytes < 0 {
		t.Errorf("its codestream: %+v", image)
	}
}

// FuzzDecode holds for any PNG: no panic, and either an error before the last row or all
// pixels of the image that was described, the same as image/png's.
func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, kind := range pngKinds {
		f.Add(true, randomPicture(r, kind, false).encode(100))
		f.Add(true, randomPicture(r, kind, true).encode(100))
	}
	f.Fuzz(func(t *testing.T, check bool, data []byte) {
		if check {
			data = checkedAgain(data)
		}
		wantPixels(t, data)
	})
}

// FuzzPixels does the same with pictures that have valid chunks and any lines.
func FuzzPixels(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for i, kind := range pngKinds {
		p := randomPicture(r, kind, i%2 == 1)
		f.Add(uint8(i), uint8(p.columns), uint8(p.rows), p.interlaced, uint16(20), p.lines, []byte("abcdef"), []byte("\x00\x01\x00\x01\x00\x01"))
	}
	f.Fuzz(func(t *testing.T, kind, columns, rows uint8, interlaced bool, chunkBytes uint16, lines, palette, transparent []byte) {
		k := pngKinds[int(kind)%len(pngKinds)]
		p := picture{columns: uint32(columns), rows: uint32(rows), depth: k.depth, colour: k.colour, interlaced: interlaced, lines: lines}
		if len(palette) > 0 {
			p.before = append(p.before, pngChunk("PLTE", palette))
		}
		if len(transparent) > 0 {
			p.before = append(p.before, pngChunk("tRNS", transparent))
		}
		wantPixels(t, p.encode(1+int(chunkBytes)))
	})
}

func wantPixels(t *testing.T, data []byte) {
	t.Helper()
	image, decodeBytes, err := bulkdata.Configure("image/png", data, true)
	if errors.Is(err, bulkdata.ErrShort) {
		t.Fatal("a complete picture is asked for more")
	}
	if err != nil || decodeBytes > 16<<20 {
		return
	}
	want := image.Rows * image.Columns * image.SamplesPerPixel * image.BitsAllocated / 8
	got, err := pixelsOf(data)
	if err != nil && len(got) >= want || err == nil && len(got) != want {
		t.Fatalf("%d bytes of pixels, want %d: %v", len(got), want, err)
	}
	if err == nil && !bytes.Equal(got, byImagePNG(t, data, image)) {
		t.Fatal("other pixels than image/png's")
	}
}

// checkedAgain corrects the check of every chunk of a PNG, so that its content is decoded.
func checkedAgain(data []byte) []byte {
	data = bytes.Clone(data)
	for at := 8; at+12 <= len(data); {
		end := at + 8 + int(binary.BigEndian.Uint32(data[at:]))
		if end < at || end+4 > len(data) {
			break
		}
		binary.BigEndian.PutUint32(data[end:], crc32.ChecksumIEEE(data[at+4:end]))
		at = end + 4
	}
	return data
}

// wantUndescribed checks that nothing is said of the image but its transfer syntax.
func wantUndescribed(t *testing.T, image bulkdata.Image) {
	t.Helper()
	fields := reflect.ValueOf(image)
	for n := range fields.NumField() {
		switch name := fields.Type().Field(n).Name; name {
		case "TransferSyntaxUID":
			if image.TransferSyntaxUID == "" {
				t.Error("neither a size nor a transfer syntax")
			}
		case "SkipBytes", "CodestreamBytes", "scanBytes": // of the stream, not of the image
		default:
			if !fields.Field(n).IsZero() {
				t.Errorf("half described: %+v", image)
			}
		}
	}
}
