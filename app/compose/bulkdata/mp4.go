package bulkdata

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// mp4Track is what the boxes of a track (ISO/IEC 14496-12 §8.3) say, as far as
// they were read.
type mp4Track struct {
	handler   string
	timescale uint32 // ticks of a second
	entry     []byte // first sample entry, with its box header
	counted   bool   // stts was read
	frames    int64
	ticks     float64 // of all frames
}

// isMP4 recognises ISO/IEC 14496-12 files by the kind of their first box.
func isMP4(head []byte) bool {
	switch string(head[4:8]) {
	case "ftyp", "moov", "mdat", "free", "skip", "wide", "pdin", "styp", "uuid":
		return true
	}
	return false
}

// readMP4 finds the first video track. Its tables of samples need not be in head:
// the description and the times come before them.
func readMP4(head []byte) (video, error) {
	for at := int64(0); at >= 0; {
		b, err := boxAt(head, at)
		if err != nil {
			return video{}, damaged(err)
		}
		if b.kind == "moov" {
			return readMovie(b)
		}
		// The moov box behind this one would not be in the head.
		if b.kind == "mdat" && (b.length < 0 || b.next() > HeadBytes-8) {
			break
		}
		at = b.next()
	}
	return video{}, errMovieBehind
}

// errMovieBehind says that the description is too far behind to be read.
var errMovieBehind = errors.New("the moov box is not at the front of the MP4 file (ffmpeg writes it there with -movflags faststart)")

// readMovie reads the tracks of moov.
func readMovie(moov box) (video, error) {
	for at := int64(0); at >= 0 && (at < moov.length || moov.length < 0); {
		b, err := boxAt(moov.body, at)
		if err != nil {
			return video{}, moov.cut(err)
		}
		if b.kind == "trak" {
			var t mp4Track
			err := t.read(b.body, 0)
			if t.handler == "vide" && t.entry != nil && t.counted {
				return t.video()
			}
			if err == nil && !b.whole() {
				err = ErrShort
			}
			if err != nil {
				return video{}, moov.cut(err)
			}
		}
		at = b.next()
	}
	return video{}, damaged(errors.New("an MP4 file without a video track"))
}

// cut turns ErrShort into an error when the box is all there.
func (b box) cut(err error) error {
	if errors.Is(err, ErrShort) && b.whole() {
		err = fmt.Errorf("the box %+q is broken", b.kind)
	}
	return damaged(err)
}

// read reads the boxes of a track that matter. depth keeps hostile nesting off.
func (t *mp4Track) read(data []byte, depth int) error {
	for at := int64(0); at >= 0 && at < int64(len(data)); {
		b, err := boxAt(data, at)
		if err != nil {
			return err
		}
		switch b.kind {
		case "mdia", "minf", "stbl":
			if depth < 4 {
				if err := t.read(b.body, depth+1); err != nil {
					return err
				}
			}
		case "hdlr", "mdhd", "stsd", "stts":
			if !b.whole() {
				return ErrShort
			}
			t.leaf(b.kind, b.body)
		}
		at = b.next()
	}
	return nil
}

// leaf reads one box. What it is too short for stays unknown.
func (t *mp4Track) leaf(kind string, body []byte) {
	switch kind {
	case "hdlr": // §8.4.3
		if len(body) >= 12 {
			t.handler = string(body[8:12])
		}
	case "mdhd": // §8.4.2
		at := 12
		if len(body) > 0 && body[0] == 1 {
			at = 20
		}
		if len(body) >= at+4 {
			t.timescale = binary.BigEndian.Uint32(body[at:])
		}
	case "stsd": // §8.5.2
		if b, err := boxAt(body, 8); err == nil && b.whole() {
			t.entry = body[8:b.next()]
		}
	case "stts": // §8.6.1.2
		t.counted = true
		for body = body[min(8, len(body)):]; len(body) >= 8; body = body[8:] {
			n := binary.BigEndian.Uint32(body)
			t.frames += int64(n)
			t.ticks += float64(n) * float64(binary.BigEndian.Uint32(body[4:]))
		}
	}
}

// video reads the sample entry, ISO/IEC 14496-12 §12.1.3: a header of 78 bytes and
// then boxes, among them the codec's configuration.
func (t mp4Track) video() (video, error) {
	entry, err := boxAt(t.entry, 0)
	if err != nil || len(entry.body) < 78 {
		return video{}, damaged(errors.New("the sample entry is cut"))
	}
	v, err := configuration(entry.kind, entry.body[78:])
	if err != nil {
		return v, err
	}
	if v.frames = t.frames; t.frames > 0 && t.timescale > 0 {
		v.frameTime = 1000 * t.ticks / float64(t.timescale) / float64(t.frames)
	}
	return v, nil
}

// configuration finds the parameter set in the boxes of a sample entry. MPEG-2, which
// PS3.5 §8.2.5 does not put into MP4, has none there: only its syntaxes are returned.
func configuration(codec string, data []byte) (video, error) {
	var v video
	err := damaged(fmt.Errorf("the configuration of the MP4 codec %+q is missing or broken", codec))
	broken := err
	switch codec {
	case "avc1", "avc3", "hvc1", "hev1":
	case "mp4v":
		return video{syntaxes: mpeg2Syntaxes}, nil
	default:
		return v, fmt.Errorf("DICOM has no transfer syntax for video of the MP4 codec %+q: encode it as H.264 or HEVC", codec)
	}
	for at := int64(0); at >= 0; {
		b, boxErr := boxAt(data, at)
		if boxErr != nil {
			break
		}
		switch b.kind {
		case "avcC": // ISO/IEC 14496-15 §5.3.3.1
			if len(b.body) > 6 && b.body[5]&31 > 0 {
				v, err = readAVC(lengthPrefixed(b.body[6:]))
			}
		case "hvcC": // §8.3.3.1
			v, err = readHEVC(hevcConfiguration(b.body))
		}
		at = b.next()
	}
	if errors.Is(err, ErrShort) || errors.Is(err, errUnreadable) {
		err = broken
	}
	return v, err
}

// lengthPrefixed is the NAL unit behind a length of two bytes.
func lengthPrefixed(data []byte) nal {
	if len(data) < 2 {
		return nal{ends: true}
	}
	length := int(binary.BigEndian.Uint16(data))
	return nal{payload: unescape(data[2:min(2+length, len(data))]), ends: true}
}

// hevcConfiguration finds the first sequence parameter set of an hvcC box.
func hevcConfiguration(body []byte) nal {
	for data := body[min(23, len(body)):]; len(data) >= 3; {
		kind, units := data[0]&0x3F, int(binary.BigEndian.Uint16(data[1:]))
		data = data[3:]
		if kind == hevcSPS && units > 0 {
			return lengthPrefixed(data)
		}
		for ; units > 0 && len(data) >= 2; units-- {
			data = data[min(2+int(binary.BigEndian.Uint16(data)), len(data)):]
		}
	}
	return nal{ends: true}
}
