package bulkdata_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/bulkdata"
)

// PS3.5 §8.2.15, §A.4.12.
func TestJPEGXL(t *testing.T) {
	const lossy, lossyJPEG = "ISO_18181_1", "ISO_10918_1"
	inspectAll(t, []inspection{
		// Whether a Modular stream is lossless, only its sender knows.
		{"grey.jxl", "image/jxl", "", still("112", 1, "MONOCHROME2", 8, "")},
		{"grey.jxl", "image/jxl", "110", still("110", 1, "MONOCHROME2", 8, "")},
		{"grey16.jxl", "image/jxl", "110", still("110", 1, "MONOCHROME2", 16, "")},
		{"lossless.jxl", "image/jxl", "110", still("110", 3, "RGB", 8, "")},
		{"container.jxl", "image/jxl", "110", still("110", 3, "RGB", 8, "")},
		{"xyb.jxl", "image/jxl", "", still("112", 3, "XYB", 8, lossy)},
		{"xyb-grey.jxl", "image/jxl", "112", still("112", 1, "MONOCHROME2", 8, lossy)},
		{"recompressed.jxl", "image/jxl", "", still("111", 3, "YBR_FULL_422", 8, lossyJPEG)},
		{"recompressed.jxl", "image/jxl", "112", still("112", 3, "YBR_FULL_422", 8, lossyJPEG)},
		{"recompressed-rgb.jxl", "image/jxl", "111", still("111", 3, "RGB", 8, lossyJPEG)},
		{"recompressed-grey.jxl", "image/jxl", "", still("111", 1, "MONOCHROME2", 8, lossyJPEG)},
	})
}

func TestJPEGXLRefused(t *testing.T) {
	refuseAll(t, []refusal{
		{"alpha.jxl", "image/jxl", "110", "1 channels besides the colours"},
		{"xyb.jxl", "image/jxl", "110", "is said to be"},
		{"lossless.jxl", "image/jxl", "111", "is said to be"},
		{"recompressed.jxl", "image/jxl", "110", "is said to be"},
		{"grey.jpg", "image/jxl", "", "neither"},
	})
}

// A recompressed JPEG without its jbrd box is VarDCT in colours of its own, as only
// a JPEG is, but the JPEG cannot be had back: .111 is for its sender to say.
func TestJPEGXLWithoutReconstruction(t *testing.T) {
	file := string(stream(t, "recompressed.jxl"))
	var bare strings.Builder
	for at := 32; at < len(file); {
		size := int(file[at+2])<<8 | int(file[at+3])
		if file[at+4:at+8] == "jxlp" {
			bare.WriteString(file[at+12 : at+size])
		}
		at += size
	}
	for said, want := range map[string]bulkdata.Image{
		"":         still("112", 3, "YBR_FULL_422", 8, "ISO_18181_1"),
		uid("111"): still("111", 3, "YBR_FULL_422", 8, "ISO_10918_1"),
	} {
		got, err := bulkdata.Inspect("image/jxl", said, []byte(bare.String()), true)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("said %q: %v, -want +got:\n%s", said, err, diff)
		}
	}
}

// jxlBits packs fields, given as value and number of bits, from the lowest bit up.
func jxlBits(fields ...int) []byte {
	out, at := []byte{0xFF, 0x0A}, 0
	for i := 0; i < len(fields); i += 2 {
		for bit := range fields[i+1] {
			if at%8 == 0 {
				out = append(out, 0)
			}
			out[len(out)-1] |= byte(fields[i]>>bit&1) << (at % 8)
			at++
		}
	}
	return append(out, 0, 0, 0, 0)
}

// ISO/IEC 18181-1 §D.2, §D.3: headers that the encoders at hand do not write.
func TestJPEGXLHeaders(t *testing.T) {
	// 24 rows in steps of 8: 1 (small), 2 in 5 bits; 2 to 1: 7.
	const rows, ratio = 1 | 2<<1, 7
	for name, tt := range map[string]struct {
		fields              []int
		rows, columns, bits int
		photometric         string
	}{
		"all default is XYB": {[]int{rows, 6, ratio, 3, 1, 1}, 24, 48, 8, "XYB"},
		// not default, extra fields, orientation 6, no size, preview or animation,
		// integers of 10 bits, 16-bit buffers, no extra channels, not XYB, sRGB,
		// default tone mapping, no extensions, default transform;
		// frame: not default, regular, Modular, no flags, not YCbCr
		"turned by a quarter": {[]int{rows, 6, ratio, 3, 0, 1, 1, 1, 5, 3, 0, 3, 0, 1, 1, 2, 1, 1, 0, 2, 0, 1, 1, 1, 1, 1, 0, 2, 1, 1}, 48, 24, 10, "RGB"},
		"columns of their own": {[]int{0, 1, 0, 2, 23, 9, 0, 3, 1, 2, 300, 13, 0, 1, 0, 1, 0, 1, 3, 2, 5, 6, 1, 1, 0, 2, 0, 1, 1, 1, 0, 2, 1, 1},
			24, 301, 6, "RGB"},
	} {
		got, err := bulkdata.Inspect("image/jxl", "", append(jxlBits(tt.fields...), make([]byte, 64)...), true)
		if err != nil || got.Rows != tt.rows || got.Columns != tt.columns || got.BitsStored != tt.bits || got.PhotometricInterpretation != tt.photometric {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	start := []int{rows, 6, ratio, 3}
	for name, tt := range map[string]struct {
		fields []int
		reason string
	}{
		"too large":      {[]int{0, 1, 3, 2, 1 << 29, 30, 1, 3, 1, 1}, "536870913 rows"},
		"floating point": {append(start, 0, 1, 0, 1, 1, 1, 1, 2, 4, 4), "floating point"},
		"animation":      {append(start, 0, 1, 1, 1, 0, 3, 0, 1, 0, 1, 1, 1, 0, 2, 0, 2, 0, 2, 0, 1, 0, 1, 0, 2), "an animation"},
	} {
		t.Run(name, func(t *testing.T) {
			wantRefused(t, "image/jxl", "", append(jxlBits(tt.fields...), make([]byte, 64)...), tt.reason)
		})
	}
}

// ISO/IEC 18181-2: how boxes may be broken, and how the codestream may be cut up.
func TestJPEGXLBoxes(t *testing.T) {
	file := stream(t, "container.jxl")
	signature, codestream := string(file[:12]), string(file[bytes.Index(file, []byte{0xFF, 0x0A}):])
	var parts strings.Builder
	parts.WriteString(signature)
	for i := range 20 { // one byte each
		parts.WriteString(boxed("jxlp", "\x00\x00\x00"+string(rune(i)), codestream[i:i+1]))
	}
	parts.WriteString(boxed("jxlp", "\x80\x00\x00\x14", codestream[20:]))
	got, err := bulkdata.Inspect("image/jxl", uid("110"), []byte(parts.String()), true)
	if diff := cmp.Diff(still("110", 3, "RGB", 8, ""), got); err != nil || diff != "" {
		t.Errorf("cut up: %v, -want +got:\n%s", err, diff)
	}
	for name, tt := range map[string]struct{ data, reason string }{
		"no codestream":  {signature, "the stream ends"},
		"cut part":       {signature + boxed("jxlp", "\x80\x00"), "is cut"},
		"cut codestream": {signature + boxed("jxlc", codestream[:5]), "the codestream is cut"},
		"not JPEG XL":    {signature + boxed("jxlc", "something else"), "no start of a JPEG XL codestream"},
		"endless part":   {signature + "\x00\x00\x00\x00free" + codestream, "without the end of its codestream"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, "image/jxl", "", []byte(tt.data), tt.reason) })
	}
}
