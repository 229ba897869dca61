package dicom

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/vrraw"
)

// undefinedLength marks a value that is ended by a delimiter (PS3.5 §7.1.1).
const undefinedLength = 0xFFFFFFFF

// encoding is how elements of a dataset are written (PS3.5 §7.1).
type encoding struct{ explicit, bigEndian bool }

var (
	explicitLittle = encoding{explicit: true}
	implicitLittle = encoding{}
	explicitBig    = encoding{explicit: true, bigEndian: true}
)

func (e encoding) uint16(b []byte) uint16 {
	if e.bigEndian {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (e encoding) uint32(b []byte) uint32 {
	if e.bigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

// header is an element without its value.
type header struct {
	tag    tag.Tag
	vr     vr
	length uint32 // bytes, or undefinedLength
}

// String gives the tag alone: a value has no place in an error.
func (h header) String() string {
	return fmt.Sprintf("(%04X,%04X)", h.tag.Group, h.tag.Element)
}

// header reads the header of the next element, and returns a bare io.EOF if the
// stream ends before its first byte.
//
// In explicit VR, two bytes that are not upper-case letters cannot be a VR
// (PS3.5 §6.2): that element is read as implicit VR, because writers are known
// that mix the two.
func (s *stream) header(e encoding) (header, error) {
	const short, long = 8, 12
	b, err := s.Peek(short)
	if err != nil {
		if len(b) == 0 && errors.Is(err, io.EOF) {
			return header{}, io.EOF
		}
		return header{}, readFailure(err, "inside an element header")
	}
	h := header{tag: tag.Tag{Group: e.uint16(b), Element: e.uint16(b[2:])}}
	v := vr{b[4], b[5]}
	switch {
	case h.tag.Group == tag.GroupSeqItem || !e.explicit || !v.isLetters():
		h.length = e.uint32(b[4:]) // PS3.5 §7.5: items have no VR in any encoding
		return h, s.skip(short)
	case v.isShort():
		h.vr, h.length = v, uint32(e.uint16(b[6:]))
		return h, s.skip(short)
	}
	if b, err = s.Peek(long); err != nil {
		return header{}, readFailure(err, "inside an element header")
	}
	h.vr, h.length = v, e.uint32(b[8:])
	return h, s.skip(long)
}

// vr is a value representation, such as UI; zero when it is implicit.
type vr [2]byte

func (v vr) isLetters() bool {
	return 'A' <= v[0] && v[0] <= 'Z' && 'A' <= v[1] && v[1] <= 'Z'
}

// isShort tells whether the length has 16 bits and follows the VR at once. The
// list is closed (PS3.5 §7.1.2, Table 7.1-2): every other VR, be it known or yet
// to come, has two reserved bytes and then 32 bits (Table 7.1-1).
func (v vr) isShort() bool {
	switch string(v[:]) {
	case vrraw.ApplicationEntity, vrraw.AgeString, vrraw.AttributeTag, vrraw.CodeString,
		vrraw.Date, vrraw.DecimalString, vrraw.DateTime, vrraw.FloatingPointSingle,
		vrraw.FloatingPointDouble, vrraw.IntegerString, vrraw.LongString, vrraw.LongText,
		vrraw.PersonName, vrraw.ShortString, vrraw.SignedLong, vrraw.SignedShort,
		vrraw.ShortText, vrraw.Time, vrraw.UniqueIdentifier, vrraw.UnsignedLong,
		vrraw.UnsignedShort:
		return true
	}
	return false
}

// isKnown tells whether v is one of the VRs of PS3.5 Table 6.2-1.
func (v vr) isKnown() bool {
	switch string(v[:]) {
	case vrraw.OtherByte, vrraw.OtherDouble, vrraw.OtherFloat, vrraw.OtherLong,
		vrraw.OtherVeryLong, vrraw.OtherWord, vrraw.Sequence, vrraw.SignedVeryLong,
		vrraw.UnlimitedCharacters, vrraw.Unknown, vrraw.UniversalResourceIdentifier,
		vrraw.UnlimitedText, vrraw.UnsignedVeryLong:
		return true
	}
	return v.isShort()
}
