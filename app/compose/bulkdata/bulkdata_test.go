package bulkdata_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stowrs-to-s3/app/compose/bulkdata"
)

// stream returns a file of testdata. Its README says how it was made.
func stream(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// uid completes 1.2.840.10008.1.2.4.n.
func uid(n string) string { return "1.2.840.10008.1.2.4." + n }

type inspection struct {
	file, mediaType, said string // said completes a declared transfer syntax; empty: none is declared
	want                  bulkdata.Image
}

func (tt inspection) name() string { return tt.file + " as " + tt.mediaType + " " + tt.said }

// inspectAll checks the complete stream, and that each shorter head gives the same
// result, or asks for more.
func inspectAll(t *testing.T, tests []inspection) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name(), func(t *testing.T) {
			data := stream(t, tt.file)
			said := ""
			if tt.said != "" {
				said = uid(tt.said)
			}
			got, err := bulkdata.Inspect(tt.mediaType, said, data, true)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(bulkdata.Image{})); diff != "" {
				t.Errorf("image, -want +got:\n%s", diff)
			}
			for n := range data {
				got, err := bulkdata.Inspect(tt.mediaType, said, data[:n], false)
				if errors.Is(err, bulkdata.ErrShort) {
					continue
				}
				if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(bulkdata.Image{})); err != nil || diff != "" {
					t.Fatalf("head of %d bytes: %v, -want +got:\n%s", n, err, diff)
				}
			}
		})
	}
}

type refusal struct {
	file, mediaType, said string
	reason                string // part of the error
}

func refuseAll(t *testing.T, tests []refusal) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.file+" as "+tt.mediaType+" "+tt.said, func(t *testing.T) {
			said := ""
			if tt.said != "" {
				said = uid(tt.said)
			}
			wantRefused(t, tt.mediaType, said, stream(t, tt.file), tt.reason)
		})
	}
}

// wantRefused checks that a refused stream gives no description, so that nobody
// stores it with the values of the metadata.
func wantRefused(t *testing.T, mediaType, said string, data []byte, reason string) {
	t.Helper()
	got, err := bulkdata.Inspect(mediaType, said, data, true)
	if err == nil || !strings.Contains(err.Error(), reason) || errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("error is %v, want one with %q", err, reason)
	} else if !strings.Contains(err.Error(), ": ") || !strings.HasPrefix(err.Error(), strings.ToLower(mediaType)) {
		t.Errorf("the error names neither the media type nor what to do: %v", err)
	}
	if got != (bulkdata.Image{}) {
		t.Errorf("refused, but described: %+v", got)
	}
}

// PS3.18 Table 10.5.2-1, without image/gif; and all other video.
func TestMediaTypesOfTheTable(t *testing.T) {
	for mediaType, want := range map[string][2]bool{
		"image/jpeg": {true, false}, "image/jls": {true, false}, "image/jp2": {true, false}, "image/jpx": {true, false},
		"image/jph": {true, false}, "image/jphc": {true, false}, "image/jxl": {true, false}, "image/dicom-rle": {true, false},
		"video/mpeg": {true, false}, "video/mp4": {true, false}, "video/H265": {true, false},
		"IMAGE/JPEG": {true, false}, "video/h265": {true, false},
		"image/j2c": {true, false}, "video/mp2t": {true, false}, "video/x-matroska": {true, false},
		"image/png": {false, true}, "Image/PNG": {false, true},
		"image/gif": {}, "image/apng": {}, "application/octet-stream": {}, "image/tiff": {}, "": {}, "image/jpeg; q=1": {},
	} {
		if got := [2]bool{bulkdata.Compressed(mediaType), bulkdata.Transformed(mediaType)}; got != want {
			t.Errorf("%q: compressed and transformed are %v, want %v", mediaType, got, want)
		}
	}
	if _, err := bulkdata.Inspect("image/png", "", nil, false); err == nil || errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("Inspect of a PNG: %v", err)
	}
	if _, _, err := bulkdata.Configure("image/jpeg", nil, false); err == nil || errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("Configure of a JPEG: %v", err)
	}
	if _, err := bulkdata.Decode("image/jpeg", strings.NewReader(""), bulkdata.Image{}); err == nil {
		t.Error("Decode of a JPEG: no error")
	}
}

// PS3.18 §8.7.3: a transfer-syntax parameter that does not belong to the media type contradicts it. The
// value of an Accept header, *, is ignored, and so is padding of the UID.
func TestTransferSyntaxParameter(t *testing.T) {
	data := stream(t, "444.jpg")
	for _, said := range []string{"", "*", uid("50"), uid("50") + " ", uid("50") + "\x00"} {
		got, err := bulkdata.Inspect("image/jpeg", said, data, true)
		if err != nil || got.TransferSyntaxUID != uid("50") {
			t.Errorf("said %q: %q, %v", said, got.TransferSyntaxUID, err)
		}
	}
	for _, said := range []string{"1.2.840.10008.1.2.1", uid("90"), uid("102"), "1.2.840.10008.1.2.5", "jpeg"} {
		wantRefused(t, "image/jpeg", said, data, "transfer-syntax parameter")
	}
	wantRefused(t, "image/dicom-rle", uid("50"), make([]byte, 64), "transfer-syntax parameter")
}

// A stream that is not of its media type is refused, whatever the sender declares.
func TestAnotherFormatIsRefused(t *testing.T) {
	page := []byte("<!DOCTYPE html><html><body>" + strings.Repeat("this is no image at all ", 10))
	for mediaType, said := range map[string]string{
		"image/jpeg": uid("50"), "image/jls": uid("80"), "image/jp2": uid("91"), "image/jphc": uid("201"), "image/jxl": uid("110"),
		"image/dicom-rle": "1.2.840.10008.1.2.5",
	} {
		wantRefused(t, mediaType, said, page, "send it as its encoder wrote it")
	}
}

// A head that is longer than HeadBytes must be described by its sender, and more is not
// requested.
func TestHeadLongerThanTheLimit(t *testing.T) {
	comments := []byte("\xFF\xD8" + strings.Repeat("\xFF\xFE\x80\x00"+strings.Repeat("x", 0x7FFE), 40))
	if len(comments) <= bulkdata.HeadBytes {
		t.Fatal("the head is too short for this test")
	}
	_, err := bulkdata.Inspect("image/jpeg", "", comments[:bulkdata.HeadBytes-1], false)
	if !errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("below the limit: %v, want ErrShort", err)
	}
	for _, complete := range []bool{false, true} {
		for _, head := range [][]byte{comments[:bulkdata.HeadBytes], comments} {
			got, err := bulkdata.Inspect("image/jpeg", "", head, complete)
			if err == nil || errors.Is(err, bulkdata.ErrShort) || !strings.Contains(err.Error(), "first 1048576 bytes") &&
				!strings.Contains(err.Error(), "the stream ends") || got != (bulkdata.Image{}) {
				t.Errorf("%d bytes, complete %t: %+v, %v", len(head), complete, got, err)
			}
		}
	}
	got, err := bulkdata.Inspect("image/jpeg", uid("50"), comments, false)
	if want := (bulkdata.Image{TransferSyntaxUID: uid("50")}); err != nil || got != want {
		t.Errorf("described by its sender: %+v, %v", got, err)
	}
	// It is unknown where the codestream of a JPEG 2000 file begins, and only this may be stored (PS3.5 §A.4.4).
	boxes := []byte("\x00\x00\x00\x0CjP  \r\n\x87\n" + boxed("uuid", strings.Repeat("x", bulkdata.HeadBytes)))
	if got, err := bulkdata.Inspect("image/jp2", uid("90"), boxes, false); err == nil || errors.Is(err, bulkdata.ErrShort) || got != (bulkdata.Image{}) {
		t.Errorf("boxes without end: %+v, %v", got, err)
	}
}

// Streams that are not parsed are what their sender declares, as far as the media type allows
// (PS3.18 Table 8.7.3-5).
func TestStreamsDescribedByTheirSender(t *testing.T) {
	mkv := []byte("\x1A\x45\xDF\xA3" + strings.Repeat("\x00\x00\x00\x01\x67\x64\x00\x29", 100))
	for _, tt := range []struct {
		mediaType string
		head      []byte
		said      []string
	}{
		{"image/jxl", stream(t, "grey.jxl"), []string{uid("110"), uid("111"), uid("112")}},
		{"image/jxl", stream(t, "container.jxl"), []string{uid("110"), uid("111"), uid("112")}},
		{"video/mpeg", stream(t, "main.ts"), []string{uid("100"), uid("101.1"), uid("102")}},
		{"video/mp2t", stream(t, "avc.ts"), []string{uid("102"), uid("106"), uid("107")}},
		{"video/mp4", stream(t, "main.mp4"), []string{uid("100"), uid("101")}},
		{"video/x-other", append([]byte{0, 1}, stream(t, "avc.h264")...), []string{uid("102")}}, // no start code
		{"video/x-matroska", mkv, []string{uid("102"), uid("108")}},
	} {
		for _, said := range tt.said {
			for _, complete := range []bool{false, true} {
				got, err := bulkdata.Inspect(tt.mediaType, said, tt.head, complete)
				if want := (bulkdata.Image{TransferSyntaxUID: said}); err != nil || got != want {
					t.Errorf("%s, said %s: %+v, %v", tt.mediaType, said, got, err)
				}
			}
		}
		for _, said := range []string{"", "*"} {
			wantRefused(t, tt.mediaType, said, tt.head, "give the part its transfer-syntax parameter, and the metadata the Image Pixel attributes")
		}
	}
	if _, err := bulkdata.Inspect("image/jxl", uid("110"), []byte("\xFF\x0A"), false); !errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("two bytes of JPEG XL: %v", err)
	}
}

// ISO/IEC 10918-1 §B.2.1: EOI; ISO/IEC 15444-1 §A.4.4: EOC. A stream that was cut does not end with them.
func TestEnding(t *testing.T) {
	for file, mediaType := range map[string]string{
		"grey.jpg": "image/jpeg", "progressive.jpg": "image/jpeg", "sv1.jpg": "image/jpeg", "lossless.jls": "image/jls",
		"grey.j2k": "image/jp2", "colour.jp2": "image/jp2", "ht-rpcl.j2c": "image/jphc",
	} {
		data := stream(t, file)
		img, err := bulkdata.Inspect(mediaType, "", data, true)
		if err != nil {
			t.Fatal(err)
		}
		ends := func(data []byte) bool {
			e := img.Ending()
			for i := range data { // byte by byte, so that the marker is divided
				e.See(data[i : i+1])
			}
			return e.Whole()
		}
		for _, padding := range []string{"", "\x00", "\xFF", strings.Repeat("trailer", 1000)} {
			if !ends(append(data, padding...)) {
				t.Errorf("%s with %d bytes of padding does not end", file, len(padding))
			}
		}
		for _, cut := range []int{1, 2, 3, 20} {
			if ends(data[:len(data)-cut]) {
				t.Errorf("%s without %d bytes ends", file, cut)
			}
		}
		if ends(nil) {
			t.Errorf("%s: nothing is whole", file)
		}
	}
	for _, other := range []string{"", "1.2.840.10008.1.2.5", uid("110"), uid("102"), "1.2.840.10008.1.2.1"} {
		if !(bulkdata.Image{TransferSyntaxUID: other}).Ending().Whole() {
			t.Errorf("%q: a stream without an end marker does not end", other)
		}
	}
}

// The two bytes of the end can also occur in a comment (ISO/IEC 15444-1 §A.9.2, ISO/IEC 10918-1
// §B.2.4.5) before the coded data, also in a JPEG whose number of lines follows them.
func TestEndingIsNotInAComment(t *testing.T) {
	j2k, noLines := stream(t, "grey.j2k"), slices.Clone(stream(t, "grey.jpg"))
	siz := 4 + int(binary.BigEndian.Uint16(j2k[4:])) // after SOC and SIZ
	sof := bytes.Index(noLines, []byte{0xFF, 0xC0})
	noLines[sof+5], noLines[sof+6] = 0, 0
	for mediaType, data := range map[string][]byte{
		"image/j2c":  slices.Concat(j2k[:siz], []byte("\xFF\x64\x00\x06\x00\x00\xFF\xD9"), j2k[siz:]),
		"image/jpeg": slices.Concat(noLines[:2], []byte("\xFF\xFE\x00\x04\xFF\xD9"), noLines[2:]),
	} {
		img, err := bulkdata.Inspect(mediaType, "", data, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, cut := range []int{0, 1, 2, 20} {
			e := img.Ending()
			if e.See(data[:len(data)-cut]); e.Whole() != (cut == 0) {
				t.Errorf("%s without %d bytes: whole is %t", mediaType, cut, e.Whole())
			}
		}
	}
}

// PS3.5 §G.5: the header of an RLE frame does not describe the image.
func TestRLEGivesItsTransferSyntaxOnly(t *testing.T) {
	header := make([]byte, 64, 70)
	header[0], header[4] = 1, 64
	got, err := bulkdata.Inspect("image/dicom-rle", "", append(header, 0, 1), true)
	if want := (bulkdata.Image{TransferSyntaxUID: "1.2.840.10008.1.2.5"}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := bulkdata.Inspect("image/dicom-rle", "", header[:63], false); !errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("63 bytes: %v", err)
	}
	header[0] = 16
	wantRefused(t, "image/dicom-rle", "1.2.840.10008.1.2.5", header, "no RLE header")
}
