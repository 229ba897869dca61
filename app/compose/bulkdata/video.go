package bulkdata

import (
	"bytes"
	"errors"
	"math"
	"slices"
)

// PS3.6 Table A-1.
const (
	mpeg2MainLevel = "1.2.840.10008.1.2.4.100"
	mpeg2HighLevel = "1.2.840.10008.1.2.4.101"
	avcHigh41      = "1.2.840.10008.1.2.4.102"
	avcBluRay      = "1.2.840.10008.1.2.4.103"
	avcHigh42For2D = "1.2.840.10008.1.2.4.104"
	avcHigh42For3D = "1.2.840.10008.1.2.4.105"
	avcStereoHigh  = "1.2.840.10008.1.2.4.106"
	hevcMain       = "1.2.840.10008.1.2.4.107"
	hevcMain10     = "1.2.840.10008.1.2.4.108"
)

var (
	mpeg2Syntaxes = fragmentable(mpeg2MainLevel, mpeg2HighLevel)
	avc42Syntaxes = fragmentable(avcHigh42For2D, avcHigh42For3D, avcStereoHigh)
	avcSyntaxes   = slices.Concat(fragmentable(avcHigh41, avcBluRay), avc42Syntaxes)
	videoSyntaxes = slices.Concat(mpeg2Syntaxes, avcSyntaxes, []string{hevcMain, hevcMain10})
)

// fragmentable adds to each transfer syntax the one that allows several fragments.
func fragmentable(syntaxes ...string) (all []string) {
	for _, syntax := range syntaxes {
		all = append(all, syntax, syntax+".1")
	}
	return all
}

// video is what a sequence header or sequence parameter set says.
type video struct {
	method        string   // Lossy Image Compression Method; empty: only syntaxes are known
	syntaxes      []string // that fit, the closest one first
	rows, columns int64
	bits          int
	frames        int64 // of MP4, and the milliseconds of each
	frameTime     float64
}

// inspectVideo reads MPEG-2, AVC and HEVC, whatever the media type: as bare streams, in
// MPEG-2 program streams, and in MP4. All video is stored unchanged, so SkipBytes is
// zero. Transport streams (PS3.5 §8.2.5 to §8.2.11) are taken as their sender
// describes them.
func inspectVideo(s source) (Image, error) {
	var v video
	var err error
	switch {
	case len(s.head) < 12:
		return Image{}, ErrShort
	case isMP4(s.head):
		v, err = readMP4(s.head)
	case isElementary(s.head):
		v, err = findVideo(s.head)
	default:
		return s.undescribed(errors.New("video in this container is taken as its sender describes it"))
	}
	if errors.Is(err, errMovieBehind) {
		return s.undescribed(err)
	}
	if err != nil {
		return Image{}, err
	}
	syntax, err := s.choose(v.syntaxes...)
	if err != nil {
		return Image{}, err
	}
	if v.method == "" {
		return s.undescribed(errors.New("MPEG-2 in MP4 is taken as its sender describes it"))
	}
	img := Image{
		TransferSyntaxUID: syntax,
		SamplesPerPixel:   3, PhotometricInterpretation: ybrPartial420, // PS3.5 §8.2.5 to §8.2.11
		Rows: int(v.rows), Columns: int(v.columns),
		BitsAllocated: wholeBytes(v.bits), BitsStored: v.bits,
		Lossy: true, LossyMethod: v.method,
		FrameTime: v.frameTime,
	}
	if v.frames <= math.MaxInt32 { // Number of Frames is IS
		img.NumberOfFrames = int(v.frames)
	}
	return img, checkSize(v.rows, v.columns)
}

// isElementary recognises bare streams and MPEG-2 program streams by the start code
// (00 00 01, and zeros before it) that they begin with.
func isElementary(head []byte) bool {
	code := bytes.TrimLeft(head[:12], "\x00")
	return len(code) > 0 && len(code) <= 10 && code[0] == 1
}

// findVideo looks for the first start code (00 00 01) that begins a sequence header
// or sequence parameter set which can be read. The byte behind the code tells the
// codecs apart, since AVC and HEVC forbid its highest bit, AVC's parameter sets
// come before anything whose byte is one of HEVC's, and MPEG-2 begins with its
// sequence header, 10110011.
func findVideo(data []byte) (video, error) {
	for at := 0; ; {
		i := bytes.Index(data[at:], []byte{0, 0, 1})
		if i < 0 || at+i+3 >= len(data) {
			return video{}, ErrShort
		}
		at += i + 3
		var v video
		var err error
		switch unit := data[at]; {
		case unit == mpeg2Sequence:
			v, err = readMPEG2(data[at+1:])
		case unit&0x80 == 0 && unit>>5 > 0 && unit&31 == avcSPS:
			v, err = readAVC(nalUnit(data[at:]))
		case unit == hevcSPS<<1:
			v, err = readHEVC(nalUnit(data[at:]))
		default:
			continue
		}
		if !errors.Is(err, errUnreadable) {
			return v, err
		}
	}
}

// errUnreadable says that what looked like a header is none.
var errUnreadable = errors.New("not a video header")

// nal is a network abstraction layer unit without the bytes that keep start codes
// out of it (ISO/IEC 14496-10 §7.4.1).
type nal struct {
	payload []byte
	ends    bool // payload is all of it
}

// failed says what it means that a parameter set is shorter than its fields.
func (n nal) failed() error {
	if n.ends {
		return errUnreadable
	}
	return ErrShort
}

// nalUnit returns the unit that data begin with, up to the next start code. No
// parameter set needs more than a kilobyte; what exceeds it counts as unreadable.
func nalUnit(data []byte) nal {
	var n nal
	if i := bytes.Index(data, []byte{0, 0, 1}); i >= 0 {
		data, n.ends = data[:i], true
	}
	if len(data) > 1024 {
		data, n.ends = data[:1024], true
	}
	// No unit ends with 00 (§7.4.1): it is of the next start code, which may not have come yet.
	n.payload = unescape(bytes.TrimRight(data, "\x00"))
	return n
}

// unescape removes the third byte of 00 00 03.
func unescape(data []byte) []byte {
	out := make([]byte, 0, len(data))
	zeros := 0
	for _, c := range data {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		zeros++
		if c != 0 {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}
