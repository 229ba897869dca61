package bulkdata_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/bulkdata"
)

// film is a video of testdata: 64 by 48, 25 frames a second.
func film(syntax, method string, frames int) bulkdata.Image {
	return bulkdata.Image{
		TransferSyntaxUID: uid(syntax), SamplesPerPixel: 3, PhotometricInterpretation: "YBR_PARTIAL_420",
		Rows: 48, Columns: 64, BitsAllocated: 8, BitsStored: 8, Lossy: true, LossyMethod: method,
		NumberOfFrames: frames, FrameTime: 40,
	}
}

// hd is one of 1920 by 1080, 30000/1001 frames a second.
func hd(img bulkdata.Image) bulkdata.Image {
	img.Rows, img.Columns, img.FrameTime = 1080, 1920, 1001.0/30
	return img
}

func tenBit(img bulkdata.Image) bulkdata.Image {
	img.BitsAllocated, img.BitsStored = 16, 10
	return img
}

// untimed is a stream whose frame time only a container would tell.
func untimed(img bulkdata.Image) bulkdata.Image {
	img.FrameTime = 0
	return img
}

// PS3.5 §8.2.5, §8.2.6.
func TestMPEG2(t *testing.T) {
	const method = "ISO_13818_2"
	inspectAll(t, []inspection{
		{"main.m2v", "video/mpeg", "", film("100", method, 0)},
		{"main.m2v", "video/mpeg", "100.1", film("100.1", method, 0)},
		{"main.m2v", "video/mpeg", "101", film("101", method, 0)}, // §8.2.6 note 6
		{"main.mpg", "video/mpeg", "", film("100", method, 0)},
		{"main.ts", "video/mpeg", "100", film("100", method, 0)},
		{"mpeg1.m1v", "video/mpeg", "", film("100", method, 0)},
		{"high.m2v", "video/mpeg", "", hd(film("101", method, 0))},
	})
	refuseAll(t, []refusal{
		{"high.m2v", "video/mpeg", "100", "is said to be"},
		{"main.m2v", "video/mpeg", "102", "is said to be"},
		{"422.m2v", "video/mpeg", "", "4:2:0"},
		{"main.mp4", "video/mp4", "", `codec "mp4v"`}, // §8.2.5 knows no such container
		{"main.mp4", "video/mp4", "100", `codec "mp4v"`},
		{"grey.jpg", "video/mpeg", "100", "the stream ends"},
	})
}

// ISO/IEC 13818-2 §6.2.2.3: the extension changes the frame rate of the sequence
// header, so nothing is known before all of it has come.
func TestMPEG2Extension(t *testing.T) {
	data := stream(t, "main.m2v")
	end := bytes.Index(data, []byte{0, 0, 1, 0xB5}) + 4 + 5
	data[end] |= 1 // half the frame rate
	want := film("100", "ISO_13818_2", 0)
	want.FrameTime = 80
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
		{"high41.mp4", "video/mp4", "103", film("103", method, 5)}, // whether it is Blu-ray's, its sender knows
		{"high42.mp4", "video/mp4", "", film("104", method, 5)},
		{"high42.mp4", "video/mp4", "105", film("105", method, 5)},
		{"high41.mp4", "video/mp4", "106", film("106", method, 5)},
		{"main31.mp4", "video/mp4", "", film("102", method, 5)},
		{"baseline.mp4", "video/mp4", "", film("102", method, 5)},
		{"audio-first.mp4", "video/mp4", "", film("102", method, 5)},
		{"fragmented.mp4", "video/mp4", "", film("102", method, 0)},
		{"interlaced.mp4", "video/mp4", "", hd(film("102", method, 2))},
		{"avc.ts", "video/mp4", "", film("102", method, 0)},
		{"avc.ts", "video/mpeg", "", film("102", method, 0)},
		{"avc.h264", "video/mp4", "102", film("102", method, 0)},
	})
	refuseAll(t, []refusal{
		{"high42.mp4", "video/mp4", "102", "is said to be"},
		{"high41.mp4", "video/mp4", "107", "is said to be"},
		{"10bit.mp4", "video/mp4", "102", "8 bits"},
		{"mpeg4part2.mp4", "video/mp4", "", `codec "mp4v"`},
	})
}

// PS3.5 §8.2.10, §8.2.11.
func TestHEVC(t *testing.T) {
	const method = "ISO_23008_2"
	inspectAll(t, []inspection{
		{"hevc.mp4", "video/H265", "", film("107", method, 5)},
		{"hevc.mp4", "video/mp4", "107", film("107", method, 5)},
		{"hevc10.mp4", "video/mp4", "", tenBit(film("108", method, 5))},
		{"hevc.h265", "video/H265", "", untimed(film("107", method, 0))},
		{"hevc10.ts", "video/H265", "", tenBit(untimed(hd(film("108", method, 0))))},
	})
	refuseAll(t, []refusal{
		{"hevc.mp4", "video/H265", "108", "is said to be"},
		{"hevc10.mp4", "video/H265", "107", "is said to be"},
		{"hevc422.mp4", "video/H265", "108", "HEVC of 10"},
	})
}

// What comes behind the video data is out of reach. The sender's parameter then
// gives what PS3.5 prescribes for its transfer syntax.
func TestMovieBoxBehindTheVideo(t *testing.T) {
	small := stream(t, "moov-last.mp4")
	if bytes.Index(small, []byte("mdat")) > bytes.Index(small, []byte("moov")) {
		t.Fatal("moov-last.mp4 has the moov box first")
	}
	got, err := bulkdata.Inspect("video/mp4", "", small, true)
	if diff := cmp.Diff(film("102", "ISO_14496_10", 5), got); err != nil || diff != "" {
		t.Errorf("a small file: %v, -want +got:\n%s", err, diff)
	}

	large := []byte(boxed("ftyp", "isom") + "\x01\x00\x00\x00mdat")
	for _, toTheEnd := range []bool{false, true} {
		if toTheEnd {
			copy(large[12:], "\x00\x00\x00\x00")
		}
		for said, want := range map[string]bulkdata.Image{
			"":         {},
			uid("100"): {BitsAllocated: 8, BitsStored: 8, LossyMethod: "ISO_13818_2"},
			uid("104"): {BitsAllocated: 8, BitsStored: 8, LossyMethod: "ISO_14496_10"},
			uid("107"): {BitsAllocated: 8, BitsStored: 8, LossyMethod: "ISO_23008_2"},
			uid("108"): {BitsAllocated: 16, BitsStored: 10, LossyMethod: "ISO_23008_2"},
		} {
			if said != "" {
				want.TransferSyntaxUID, want.SamplesPerPixel, want.PhotometricInterpretation, want.Lossy = said, 3, "YBR_PARTIAL_420", true
			}
			got, err := bulkdata.Inspect("video/mp4", said, large, false)
			if err == nil || !strings.Contains(err.Error(), "faststart") {
				t.Errorf("said %q: %v", said, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("said %q, -want +got:\n%s", said, diff)
			}
		}
	}
}

// An hour of video has tables of a megabyte, which come behind what matters.
func TestTablesOfSamplesAreNotNeeded(t *testing.T) {
	data := stream(t, "high41.mp4")
	tables := bytes.Index(data, []byte("stsz"))
	times := bytes.Index(data, []byte("stts"))
	if tables < times || times < 0 {
		t.Fatal("high41.mp4 has its tables in another order")
	}
	got, err := bulkdata.Inspect("video/mp4", "", data[:tables], false)
	if diff := cmp.Diff(film("102", "ISO_14496_10", 5), got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

// ISO/IEC 14496-10 §H.10.1.2: two views, the second by a subset parameter set (type
// 15) or an mvcC box. No encoder at hand writes them, so the profile is changed.
func TestStereoHigh(t *testing.T) {
	// FF keeps the copy from running into the start code behind it.
	data := stream(t, "avc.h264")
	sps := bytes.Index(data, []byte{0, 0, 1, 0x67})
	end := sps + 4 + bytes.Index(data[sps+4:], []byte{0, 0, 1})
	subset := append([]byte{0, 0, 1, 0x6F, 128}, data[sps+5:end]...)
	two := slicesConcat(data[:end], subset, data[end:])
	want := film("106", "ISO_14496_10", 0)
	for n := sps; n < len(two); n++ {
		got, err := bulkdata.Inspect("video/mp4", "", two[:n], false)
		if errors.Is(err, bulkdata.ErrShort) {
			continue
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("head of %d bytes: %v, -want +got:\n%s", n, err, diff)
		}
	}
	if _, err := bulkdata.Inspect("video/mp4", uid("102"), two, true); err == nil {
		t.Error("said to be High: no error")
	}

	mp4 := stream(t, "high41.mp4")
	copy(mp4[bytes.Index(mp4, []byte("pasp"))-4:], "\x00\x00\x00\x10mvcC\x01\x80\x00\x29")
	got, err := bulkdata.Inspect("video/mp4", "", mp4, true)
	if diff := cmp.Diff(film("106", "ISO_14496_10", 5), got); err != nil || diff != "" {
		t.Errorf("mvcC: %v, -want +got:\n%s", err, diff)
	}
}

func slicesConcat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// ISO/IEC 13818-1 §2.4.3: packets of 192 bytes, and a header that runs over the end
// of a packet.
func TestTransportStreams(t *testing.T) {
	plain := stream(t, "main.ts")
	var stamped []byte
	for at := 0; at+188 <= len(plain); at += 188 {
		stamped = append(append(stamped, 0, 0, 0, 0), plain[at:at+188]...)
	}
	got, err := bulkdata.Inspect("video/mpeg", "", stamped, true)
	if diff := cmp.Diff(film("100", "ISO_13818_2", 0), got); err != nil || diff != "" {
		t.Errorf("packets of 192 bytes: %v, -want +got:\n%s", err, diff)
	}

	// Each packet's adaptation field is stuffed so that it carries 5 bytes of the
	// stream. A packet without payload and one of another stream are between.
	payload := append([]byte{0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0}, stream(t, "main.m2v")[:100]...)
	var stuffed []byte
	packet := func(start, pid, control byte, body []byte) {
		stuffed = append(stuffed, 0x47, start, pid, control)
		if control&0x20 != 0 {
			stuffed = append(stuffed, byte(183-len(body)))
			stuffed = append(stuffed, bytes.Repeat([]byte{0}, 183-len(body))...)
		}
		stuffed = append(stuffed, body...)
	}
	for at := 0; at < len(payload); at += 5 {
		start := byte(0)
		if at == 0 {
			start = 0x40
		}
		packet(start, 1, 0x30, payload[at:min(at+5, len(payload))])
		packet(0, 1, 0x20, nil)
		packet(0x40, 2, 0x30, []byte{0, 0, 1, 0xC0, 0})
	}
	got, err = bulkdata.Inspect("video/mpeg", "", stuffed, true)
	if diff := cmp.Diff(film("100", "ISO_13818_2", 0), got); err != nil || diff != "" {
		t.Errorf("5 bytes a packet: %v, -want +got:\n%s", err, diff)
	}
}

// What looks like a header and is none is passed over.
func TestVideoHeadersThatAreNone(t *testing.T) {
	noise := "\x00\x00\x01\xB3" + strings.Repeat("\x00\x10", 6) + "\x00\x00\x01\x67\x64\x00\x29\x00\x00\x01\x42\x01\x00\x00\x01\x00\x00\x01\x09\xF0"
	for file, want := range map[string]bulkdata.Image{
		"main.m2v":  film("100", "ISO_13818_2", 0),
		"avc.h264":  film("102", "ISO_14496_10", 0),
		"hevc.h265": untimed(film("107", "ISO_23008_2", 0)),
	} {
		got, err := bulkdata.Inspect("video/mpeg", "", append([]byte(noise), stream(t, file)...), true)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, -want +got:\n%s", file, err, diff)
		}
	}
}

// A head may end within the start code behind a parameter set: its zeros are not the
// set's (ISO/IEC 14496-10 §7.4.1). Here they would be read as a chroma format.
func TestHeadThatEndsInAStartCode(t *testing.T) {
	data := []byte("\x00\x00\x01'z00Z0012\x00\x00\x01'0000000000")
	want, err := bulkdata.Inspect("video/mpeg", "", data, true)
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if got, err := bulkdata.Inspect("video/mpeg", "", data[:n], false); !errors.Is(err, bulkdata.ErrShort) && (err != nil || got != want) {
			t.Errorf("head of %d bytes: %+v, %v", n, got, err)
		}
	}
}

// ISO/IEC 14496-12: boxes that are broken, and hostile ones.
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
		"no configuration": {replaced("avcC", "free"), `codec "avc1"`},
		"another codec":    {replaced("avcC", "av1C"), "configuration is missing"},
		"no parameter set": {replaced("\xFF\xE1\x00", "\xFF\xE0\x00"), "configuration is missing"},
		"nested":           {boxed("moov", boxed("trak", nested)), "without a video track"},
		"cut track":        {boxed("moov", "\x00\x00\x02\x00trak"), "is broken"},
		"cut box in track": {boxed("moov", boxed("trak", "\x00\x00\x02\x00hdlr")), "is broken"},
		"endless free":     {boxed("ftyp", "isom") + "\x00\x00\x00\x00free", "the moov box is not at the front"},
		"no moov":          {boxed("ftyp", "isom"), "the stream ends"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, "video/mp4", "", []byte(tt.data), tt.reason) })
	}
	// Frame numbers beyond Number of Frames (IS) are left out.
	times := strings.Index(file, "stts") + 12
	data := []byte(file)
	binary.BigEndian.PutUint32(data[times:], 1<<32-1)
	if got, err := bulkdata.Inspect("video/mp4", "", data, true); err != nil || got.NumberOfFrames != 0 || got.FrameTime != 40 {
		t.Errorf("too many frames: %d of %g ms, %v", got.NumberOfFrames, got.FrameTime, err)
	}
}
