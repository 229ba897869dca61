package bulkdata

import (
	"bytes"
	"errors"
	"math"
)

// PS3.6 Table A-1. The second of each pair, of which PS3.5 has one for every video
// syntax but those of HEVC, allows several fragments.
const (
	mpeg2MainLevel                = "1.2.840.10008.1.2.4.100"
	mpeg2MainLevelFragments       = "1.2.840.10008.1.2.4.100.1"
	mpeg2HighLevel                = "1.2.840.10008.1.2.4.101"
	mpeg2HighLevelFragments       = "1.2.840.10008.1.2.4.101.1"
	avcHigh41                     = "1.2.840.10008.1.2.4.102"
	avcHigh41Fragments            = "1.2.840.10008.1.2.4.102.1"
	avcBluRay                     = "1.2.840.10008.1.2.4.103"
	avcBluRayFragments            = "1.2.840.10008.1.2.4.103.1"
	avcHigh42For2D                = "1.2.840.10008.1.2.4.104"
	avcHigh42For2DFragments       = "1.2.840.10008.1.2.4.104.1"
	avcHigh42For3D                = "1.2.840.10008.1.2.4.105"
	avcHigh42For3DFragments       = "1.2.840.10008.1.2.4.105.1"
	avcStereoHigh                 = "1.2.840.10008.1.2.4.106"
	avcStereoHighFragments        = "1.2.840.10008.1.2.4.106.1"
	hevcMain                      = "1.2.840.10008.1.2.4.107"
	hevcMain10                    = "1.2.840.10008.1.2.4.108"
	methodMPEG2, methodAVC        = "ISO_13818_2", "ISO_14496_10"
	methodHEVC                    = "ISO_23008_2"
	maximumFrames           int64 = math.MaxInt32 // Number of Frames is IS
)

var videoSyntaxes = []string{
	mpeg2MainLevel, mpeg2MainLevelFragments, mpeg2HighLevel, mpeg2HighLevelFragments,
	avcHigh41, avcHigh41Fragments, avcBluRay, avcBluRayFragments, avcHigh42For2D, avcHigh42For2DFragments,
	avcHigh42For3D, avcHigh42For3DFragments, avcStereoHigh, avcStereoHighFragments, hevcMain, hevcMain10,
}

// video is what a sequence header or sequence parameter set says.
type video struct {
	method        string
	syntaxes      []string // that fit, the closest one first
	rows, columns int64
	bits          int
	frameTime     float64 // ms
	frames        int64
}

// inspectVideo reads MPEG-2, AVC and HEVC, whichever of the three media types it
// is called: as bare streams, in MPEG-2 program and transport streams, and in MP4.
// The containers that PS3.5 §8.2.5 to §8.2.11 allow are among them. They are
// stored unchanged, so SkipBytes is zero.
func inspectVideo(s source) (Image, error) {
	var v video
	var err error
	switch {
	case len(s.head) < 12:
		err = ErrShort
	case isMP4(s.head):
		v, err = readMP4(s.head)
	default:
		v, err = findVideo(elementary(s.head), s.mayGrow())
	}
	if err != nil {
		return saidVideo(s.said), err
	}
	img := videoImage(v.method, v.bits)
	img.Rows, img.Columns = int(v.rows), int(v.columns)
	img.FrameTime = v.frameTime
	if v.frames <= maximumFrames {
		img.NumberOfFrames = int(v.frames)
	}
	if img.TransferSyntaxUID, err = s.choose(v.syntaxes...); err != nil {
		return img, err
	}
	return img, checkSize(v.rows, v.columns)
}

// videoImage has what PS3.5 §8.2.5 to §8.2.11 prescribe for all video.
func videoImage(method string, bits int) Image {
	return Image{
		SamplesPerPixel: 3, PhotometricInterpretation: ybrPartial420,
		BitsAllocated: wholeBytes(bits), BitsStored: bits,
		Lossy: true, LossyMethod: method,
	}
}

// saidVideo is what a transfer syntax alone tells of a video.
func saidVideo(syntax string) Image {
	var img Image
	switch syntax {
	case "":
		return img
	case mpeg2MainLevel, mpeg2MainLevelFragments, mpeg2HighLevel, mpeg2HighLevelFragments:
		img = videoImage(methodMPEG2, 8)
	case hevcMain:
		img = videoImage(methodHEVC, 8)
	case hevcMain10:
		img = videoImage(methodHEVC, 10)
	default:
		img = videoImage(methodAVC, 8)
	}
	img.TransferSyntaxUID = syntax
	return img
}

// findVideo looks for the first start code (00 00 01) that begins a sequence header
// or sequence parameter set which can be read. The byte behind the code tells the
// codecs apart, since AVC and HEVC forbid its highest bit, AVC's parameter sets
// come before anything whose byte is one of HEVC's, and MPEG-2 begins with its
// sequence header, 10110011.
func findVideo(data []byte, mayGrow bool) (video, error) {
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
			if err == nil {
				err = v.findSubset(data[at:], mayGrow)
			}
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
