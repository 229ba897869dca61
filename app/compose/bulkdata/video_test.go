package bulkdata_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stowrs-to-s3/app/compose/bulkdata"
)

// film is a video of testdata: 64 by 48, 25 frames per second, which MP4 declares.
func film(syntax, method string, frames int) bulkdata.Image {
	return bulkdata.Image{
		TransferSyntaxUID: uid(syntax), SamplesPerPixel: 3, PhotometricInterpretation: "YBR_PARTIAL_420",
		Rows: 48, Columns: 64, BitsAllocated: 8, BitsStored: 8, Lossy: true, LossyMethod: method,
		NumberOfFrames: frames, FrameTime: 40,
	}
}

// hd is a video of 1920 by 1080, 30000/1001 frames per second.
func hd(img bulkdata.Image) bulkdata.Image {
	img.Rows, img.Columns, img.FrameTime = 1080, 1920, 1001.0/30
	return img
}

func tenBit(img bulkdata.Image) bulkdata.Image {
	img.BitsAllocated, img.BitsStored = 16, 10
	return img
}

// bare is a stream without MP4: neither the number nor the times of its frames are known.
func bare(img bulkdata.Image) bulkdata.Image {
	img.NumberOfFrames, img.FrameTime = 0, 0
	return img
}

// PS3.5 §8.2.5, §8.2.6.
func TestMPEG2(t *testing.T) {
	const method = "ISO_13818_2"
	inspectAll(t, []inspection{
		{"main.m2v", "video/mpeg", "", bare(film("100", method, 0))},
		{"main.m2v", "video/mpeg", "100.1", bare(film("100.1", method, 0))},
		{"main.m2v", "video/mpeg", "101", bare(film("101", method, 0))}, // §8.2.6 note 6
		{"main.mpg", "video/mpeg", "", bare(film("100", method, 0))},
		{"mpeg1.m1v", "video/mpeg", "", bare(film("100", method, 0))},
		{"high.m2v", "video/mpeg", "", bare(hd(film("101", method, 0)))},
	})
	refuseAll(t, []refusal{
		{"high.m2v", "video/mpeg", "100", "is said to be"},
		{"main.m2v", "video/mpeg", "102", "is said to be"},
		{"422.m2v", "video/mpeg", "", "4:2:0"},
		{"main.mp4", "video/mp4", "102", "is said to be"},
		{"main.mp4", "video/mp4", "", "MPEG-2 in MP4"}, // §8.2.5 knows no such container
	})
}

// ISO/IEC 13818-2 §6.2.2.3: the extension contains the high bits of the size in the sequence
// header, so nothing is known before it has arrived.
func TestMPEG2Extension(t *testing.T) {
	data := stream(t, "main.m2v")
	end := bytes.Index(data, []byte{0, 0, 1, 0xB5}) + 4 + 2
	data[end] |= 0x20 // the lower of vertical_size_extension
	want := bare(film("101", "ISO_13818_2", 0))
	want.Rows += 4096
	for n := range data {
		got, err := bulkdata.Inspect("video/mpeg", "", data[:n], false)
		if n <= end && !errors.Is(err, bulkdata.ErrShort) || n > end && (err != nil || got != want) {
			t.Fatalf("head of %d bytes, the extension ends at %d: %+v, %v", n, end, got, err)
		}
	}
}

// PS3.5 §8.2.7 to §8.2.9.
func TestAVC(t *testing.T) {
	const method = "ISO_14496_10"
	inspectAll(t, []inspection{
		{"high41.mp4", "video/mp4", "", film("102", method, 5)},
		{"high41.mp4", "video/mp4", "102.1", film("102.1", method, 5)},
		{"high41.mp4", "video/mp4", "103", film("103", method, 5)}, // only the sender knows whether it is from a Blu-ray
		{"high42.mp4", "video/mp4", "", film("104", method, 5)},
		{"high42.mp4", "video/mp4", "105", film("105", method, 5)},
		{"high41.mp4", "video/mp4", "106", film("106", method, 5)},
		{"main31.mp4", "video/mp4", "", film("102", method, 5)},
		{"baseline.mp4", "video/mp4", "", film("102", method, 5)},
		{"audio-first.mp4", "video/mp4", "", film("102", method, 5)},
		{"fragmented.mp4", "video/mp4", "", bare(film("102", method, 0))},
		{"interlaced.mp4", "video/mp4", "", hd(film("102", method, 2))},
		{"avc.h264", "video/mp4", "102", bare(film("102", method, 0))},
	})
	refuseAll(t, []refusal{
		{"high42.mp4", "video/mp4", "102", "is said to be"},
		{"high41.mp4", "video/mp4", "107", "is said to be"},
		{"10bit.mp4", "video/mp4", "102", "8 bits"},
		{"mpeg4part2.mp4", "video/mp4", "102", "is said to be"},
	})
}

// PS3.5 §8.2.10, §8.2.11.
func TestHEVC(t *testing.T) {
	const method = "ISO_23008_2"
	inspectAll(t, []inspection{
		{"hevc.mp4", "video/H265", "", film("107", method, 5)},
		{"hevc.mp4", "video/mp4", "107", film("107", method, 5)},
		{"hevc10.mp4", "video/mp4", "", tenBit(film("108", method, 5))},
		{"hevc.h265", "video/H265", "", bare(film("107", method, 0))},
	})
	refuseAll(t, []refusal{
		{"hevc.mp4", "video/H265", "108", "is said to be"},
		{"hevc10.mp4", "video/H265", "107", "is said to be"},
		{"hevc422.mp4", "video/H265", "108", "HEVC of 10"},
	})
}

// A movie box after the video data is out of reach: the sender must describe the video.
func TestMovieBoxBehindTheVideo(t *testing.T) {
	small := stream(t, "moov-last.mp4")
	if bytes.Index(small, []byte("mdat")) > bytes.Index(small, []byte("moov")) {
		t.Fatal("moov-last.mp4 has the moov box first")
	}
	got, err := bulkdata.Inspect("video/mp4", "", small, true)
	if diff := cmp.Diff(film("102", "ISO_14496_10", 5), got, cmpopts.IgnoreUnexported(bulkdata.Image{})); err != nil || diff != "" {
		t.Errorf("a small file: %v, -want +got:\n%s", err, diff)
	}

	large := []byte(boxed("ftyp", "isom") + "\x01\x00\x00\x00mdat")
	for _, toTheEnd := range []bool{false, true} {
		if toTheEnd {
			copy(large[12:], "\x00\x00\x00\x00")
		}
		if got, err := bulkdata.Inspect("video/mp4", "", large, false); err == nil || !strings.Contains(err.Error(), "faststart") {
			t.Errorf("not described: %+v, %v", got, err)
		}
		got, err := bulkdata.Inspect("video/mp4", uid("104"), large, false)
		if want := (bulkdata.Image{TransferSyntaxUID: uid("104")}); err != nil || got != want {
			t.Errorf("described by its sender: %+v, %v", got, err)
		}
	}
}

// An hour of video has tables of a megabyte, which follow the boxes that are needed.
func TestTablesOfSamplesAreNotNeeded(t *testing.T) {
	data := stream(t, "high41.mp4")
	tables := bytes.Index(data, []byte("stsz"))
	times := bytes.Index(data, []byte("stts"))
	if tables < times || times < 0 {
		t.Fatal("high41.mp4 has its tables in another order")
	}
	got, err := bulkdata.Inspect("video/mp4", "", data[:tables], false)
	if diff := cmp.Diff(film("102", "ISO_14496_10", 5), got, cmpopts.IgnoreUnexported(bulkdata.Image{})); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

// Bytes that look like a header, but are not one, are skipped.
func TestVideoHeadersThatAreNone(t *testing.T) {
	noise := "\x00\x00\x01\xB3" + strings.Repeat("\x00\x10", 6) + "\x00\x00\x01\x67\x64\x00\x29\x00\x00\x01\x42\x01\x00\x00\x01\x00\x00\x01\x09\xF0"
	for file, want := range map[string]bulkdata.Image{
		"main.m2v":  bare(film("100", "ISO_13818_2", 0)),
		"avc.h264":  bare(film("102", "ISO_14496_10", 0)),
		"hevc.h265": bare(film("107", "ISO_23008_2", 0)),
	} {
		got, err := bulkdata.Inspect("video/mpeg", "", append([]byte(noise), stream(t, file)...), true)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(bulkdata.Image{})); err != nil || diff != "" {
			t.Errorf("%s: %v, -want +got:\n%s", file, err, diff)
		}
	}
}

// A head may end within the start code after a parameter set: its zeros do not belong to the
// set (ISO/IEC 14496-10 §7.4.1). After a set that was cut they would be read as its fields.
func TestHeadThatEndsInAStartCode(t *testing.T) {
	data := append([]byte("\x00\x00\x01\x67\x42\x00\x1E\xFB"), stream(t, "avc.h264")...) // ends before frame_mbs_only_flag
	want, err := bulkdata.Inspect("video/mp4", "", data, true)
	if diff := cmp.Diff(bare(film("102", "ISO_14496_10", 0)), want, cmpopts.IgnoreUnexported(bulkdata.Image{})); err != nil || diff != "" {
		t.Fatalf("%v, -want +got:\n%s", err, diff)
	}
	for n := range data {
		if got, err := bulkdata.Inspect("video/mp4", "", data[:n], false); !errors.Is(err, bulkdata.ErrShort) && (err != nil || got != want) {
			t.Errorf("head of %d bytes: %+v, %v", n, got, err)
		}
	}
}

// ISO/IEC 14496-12: invalid and malicious boxes.
func TestBrokenMP4(t *testing.T) {
	file := string(stream(t, "high41.mp4"))
	replaced := func(old, by string) string {
		if !strings.Contains(file, old) {
			t.Fatalf("high41.mp4 has no %q", old)
		}
		return strings.Replace(file, old, by, 1)
	}
	nested := ""
	for range 50 {
		nested = boxed("stbl", nested)
	}
	for name, tt := range map[string]struct{ data, reason string }{
		"no video track":   {replaced("vide", "soun"), "without a video track"},
		"no description":   {replaced("stsd", "free"), "without a video track"},
		"no configuration": {replaced("avcC", "free"), `codec "avc1" is missing or broken`},
		"another codec":    {replaced("avc1\x00\x00\x00\x00\x00\x00\x00\x01", "av01\x00\x00\x00\x00\x00\x00\x00\x01"), `MP4 codec "av01": encode it`},
		"no parameter set": {replaced("\xFF\xE1\x00", "\xFF\xE0\x00"), "is missing or broken"},
		"nested":           {boxed("moov", boxed("trak", nested)), "without a video track"},
		"cut track":        {boxed("moov", "\x00\x00\x02\x00trak"), "is broken"},
		"cut box in track": {boxed("moov", boxed("trak", "\x00\x00\x02\x00hdlr")), "is broken"},
		"endless free":     {boxed("ftyp", "isom") + "\x00\x00\x00\x00free", "the moov box is not at the front"},
		"no moov":          {boxed("ftyp", "isom"), "the stream ends"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, "video/mp4", "", []byte(tt.data), tt.reason) })
	}
	// Frame numbers above Number of Frames (IS) are omitted.
	times := strings.Index(file, "stts") + 12
	data := []byte(file)
	binary.BigEndian.PutUint32(data[times:], 1<<32-1)
	if got, err := bulkdata.Inspect("video/mp4", "", data, true); err != nil || got.NumberOfFrames != 0 || got.FrameTime != 40 {
		t.Errorf("too many frames: %d of %g ms, %v", got.NumberOfFrames, got.FrameTime, err)
	}
}
