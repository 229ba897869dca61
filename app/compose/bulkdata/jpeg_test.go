package bulkdata_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stowrs-to-s3/app/compose/bulkdata"
)

// still is an image of testdata, most of which are 40 by 24.
func still(syntax string, samples int, photometric string, bits int, method string) bulkdata.Image {
	return bulkdata.Image{
		TransferSyntaxUID: uid(syntax), SamplesPerPixel: samples, PhotometricInterpretation: photometric,
		Rows: 24, Columns: 40, BitsAllocated: (bits + 7) / 8 * 8, BitsStored: bits,
		Lossy: method != "", LossyMethod: method,
	}
}

// PS3.5 §8.2.1, §8.2.3, §A.4.1, §A.4.3.
func TestJPEG(t *testing.T) {
	const lossy = "ISO_10918_1"
	inspectAll(t, []inspection{
		{"grey.jpg", "image/jpeg", "", still("50", 1, "MONOCHROME2", 8, lossy)},
		{"420.jpg", "image/jpeg", "", still("50", 3, "YBR_FULL_422", 8, lossy)},
		{"444.jpg", "image/jpeg", "50", still("50", 3, "YBR_FULL_422", 8, lossy)}, // Table 8.2.1-1 has no YBR_FULL
		{"grey.jpg", "image/jpeg", "51", still("51", 1, "MONOCHROME2", 8, lossy)}, // ISO/IEC 10918-1 Table 1: all DCT-based decoders read baseline
		{"rgb.jpg", "image/jpeg", "", still("50", 3, "RGB", 8, lossy)},
		{"extended12.jpg", "image/jpeg", "51", still("51", 1, "MONOCHROME2", 12, lossy)},
		{"progressive.jpg", "image/jpeg", "", still("55", 3, "YBR_FULL_422", 8, lossy)},
		{"arithmetic.jpg", "image/jpeg", "", still("52", 3, "YBR_FULL_422", 8, lossy)},
		{"sv1.jpg", "image/jpeg", "", still("70", 1, "MONOCHROME2", 16, "")},
		{"sv1.jpg", "image/jpeg", "57", still("57", 1, "MONOCHROME2", 16, "")},
		{"sv6.jpg", "image/jpeg", "", still("57", 3, "RGB", 8, "")},
		{"lossless.jls", "image/jls", "", still("80", 1, "MONOCHROME2", 16, "")},
		{"lossless.jls", "image/jls", "81", still("81", 1, "MONOCHROME2", 16, "")}, // §A.4.3: its error may be zero
		{"lossless.jls", "image/jpeg", "", still("80", 1, "MONOCHROME2", 16, "")},
		{"near.jls", "image/jls", "", still("81", 3, "RGB", 8, "ISO_14495_1")},
	})
}

func TestJPEGRefused(t *testing.T) {
	refuseAll(t, []refusal{
		{"cmyk.jpg", "image/jpeg", "50", "4 components"},
		{"extended12.jpg", "image/jpeg", "50", "is said to be"}, // §10.3: baseline decoders do not read 12 bits
		{"420.jpg", "image/jpeg", "70", "is said to be"},
		{"sv1.jpg", "image/jpeg", "50", "is said to be"},
		{"sv6.jpg", "image/jpeg", "70", "is said to be"},
		{"near.jls", "image/jls", "80", "is said to be"},
	})
}

// The names of the components and the Adobe segment (APP14) distinguish RGB from YCbCr, as in
// decoders; without both it is YCbCr.
func TestColoursOfLossyJPEG(t *testing.T) {
	named := stream(t, "rgb.jpg") // has names R, G, B and an Adobe segment with transform 0
	adobe := bytes.Index(named, []byte("Adobe"))
	frame := bytes.Index(named, []byte{0xFF, 0xC0})
	if adobe < 0 || frame < 0 || string([]byte{named[frame+10], named[frame+13], named[frame+16]}) != "RGB" {
		t.Fatal("cjpeg -rgb writes something else")
	}
	change := func(at int, value byte) func([]byte) {
		return func(data []byte) { data[at] = value }
	}
	numbered := func(data []byte) { data[frame+10], data[frame+13], data[frame+16] = 1, 2, 3 }
	for name, tt := range map[string]struct {
		changes []func([]byte)
		want    string
	}{
		"names and transform 0":   {nil, "RGB"},
		"numbers and transform 0": {[]func([]byte){numbered}, "RGB"},
		"names, no segment":       {[]func([]byte){change(adobe, 'a')}, "RGB"},
		"names and transform 1":   {[]func([]byte){change(adobe+11, 1)}, "YBR_FULL_422"},
		"numbers, no segment":     {[]func([]byte){numbered, change(adobe, 'a')}, "YBR_FULL_422"},
	} {
		data := bytes.Clone(named)
		for _, f := range tt.changes {
			f(data)
		}
		got, err := bulkdata.Inspect("image/jpeg", "", data, true)
		if err != nil || got.PhotometricInterpretation != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, got.PhotometricInterpretation, err, tt.want)
		}
	}
}

// ISO/IEC 10918-1 Annex B: possible errors in a header.
func TestBrokenJPEG(t *testing.T) {
	const frame, scan = "\xFF\xC0\x00\x0B\x08\x00\x18\x00\x28\x01\x01\x11\x00", "\xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00"
	const jls = "\xFF\xF7\x00\x0B\x08\x00\x18\x00\x28\x01\x01\x11\x00"
	if _, err := bulkdata.Inspect("image/jpeg", "", []byte("\xFF\xD8\xFF\xFF\xFF\xFE\x00\x02"+frame+scan), true); err != nil {
		t.Errorf("fill bytes and an empty comment: %v", err)
	}
	for name, tt := range map[string]struct{ data, reason string }{
		"another format":     {"GIF89a", "no start of image"},
		"empty":              {"", "the stream ends"},
		"no scan":            {"\xFF\xD8" + frame, "the stream ends"},
		"scan without frame": {"\xFF\xD8" + scan, "a scan before the frame"},
		"two frames":         {"\xFF\xD8" + frame + frame + scan, "two frames"},
		"end of image":       {"\xFF\xD8\xFF\xD9", "no marker segment at byte 2"},
		"garbage":            {"\xFF\xD8\x00\x00", "no marker segment at byte 2"},
		"no length":          {"\xFF\xD8\xFF\xE0\x00\x01", "of no length"},
		"cut frame":          {"\xFF\xD8\xFF\xC0\x00\x08\x08\x00\x18\x00\x28\x03" + scan, "frame header is cut"},
		"cut scan":           {"\xFF\xD8" + frame + "\xFF\xDA\x00\x03\x01", "scan header is cut"},
		"baseline of 12":     {"\xFF\xD8\xFF\xC0\x00\x0B\x0C\x00\x18\x00\x28\x01\x01\x11\x00" + scan, "baseline frame of 12 bits"},
		"no bits":            {"\xFF\xD8\xFF\xC1\x00\x0B\x00\x00\x18\x00\x28\x01\x01\x11\x00" + scan, "0 bits a sample"},
		"hierarchical":       {"\xFF\xD8\xFF\xC5\x00\x0B\x08\x00\x18\x00\x28\x01\x01\x11\x00" + scan, "hierarchical"},
		"JPEG-LS palette":    {"\xFF\xD8" + jls + "\xFF\xDA\x00\x08\x01\x01\x07\x00\x00\x00", "mapping table"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, "image/jpeg", "", []byte(tt.data), tt.reason) })
	}
}

// ISO/IEC 10918-1 §B.2.5: if a frame has 0 lines, their number follows the first scan.
func TestLinesBehindTheScan(t *testing.T) {
	const data = "\xFF\xD8\xFF\xC0\x00\x0B\x08\x00\x00\x00\x28\x01\x01\x11\x00\xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00"
	got, err := bulkdata.Inspect("image/jpeg", "", []byte(data), true)
	want := bulkdata.Image{TransferSyntaxUID: uid("50")}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(bulkdata.Image{})); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}
