package bulkdata_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"stowrs-to-s3/app/bulkdata"
)

var mediaTypes = []string{
	"image/jpeg", "image/jls", "image/jp2", "image/jpx", "image/jph", "image/jphc", "image/jxl", "image/dicom-rle",
	"video/mpeg", "video/mp4", "video/H265", "image/png", "image/gif",
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
	f.Fuzz(func(t *testing.T, kind uint8, said string, data []byte) {
		mediaType := mediaTypes[int(kind)%11]
		image, err := bulkdata.Inspect(mediaType, said, data, true)
		if errors.Is(err, bulkdata.ErrShort) {
			t.Fatal("a complete stream is asked for more")
		}
		if err != nil {
			return
		}
		if mediaType != "image/dicom-rle" { // whose header tells nothing
			wantDescribed(t, image)
		}
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

// FuzzDecode holds for any PNG and GIF: no panic, and either an error or all pixels
// of the image that was described, whatever is cut off.
func FuzzDecode(f *testing.F) {
	addStreams(f, map[string]uint8{".png": 0, ".gif": 1})
	f.Fuzz(func(t *testing.T, kind uint8, _ string, data []byte) {
		mediaType := mediaTypes[11+int(kind)%2]
		image, decodeBytes, err := bulkdata.Configure(mediaType, data, true)
		if err != nil || decodeBytes > 16<<20 {
			return
		}
		frame := int64(image.Rows) * int64(image.Columns) * int64(image.SamplesPerPixel) * int64(image.BitsAllocated/8)
		want := frame * int64(max(image.NumberOfFrames, 1))
		pixels, err := bulkdata.Decode(mediaType, bytes.NewReader(data), image)
		if err != nil {
			return
		}
		got, err := io.Copy(io.Discard, io.LimitReader(pixels, 64<<20))
		if err == nil && got != want && got < 64<<20 || got > want {
			t.Fatalf("%d bytes of pixels, want %d: %v", got, want, err)
		}
	})
}
