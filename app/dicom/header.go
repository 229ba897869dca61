package dicom

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/vrraw"
)

// undefinedLength marks a value that ends with a delimiter (PS3.5 §7.1.1).
const undefinedLength = 0xFFFFFFFF

// encoding says how elements of a dataset are written (PS3.5 §7.1).
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

func (e encoding) tag(b []byte) tag.Tag { return tag.Tag{Group: e.uint16(b), Element: e.uint16(b[2:])} }

// header is an element without its value.
type header struct {
	tag    tag.Tag
	vr     vr
	length uint32 // bytes, or undefinedLength
	value  int64  // where it begins
	odd    bool   // not a VR of PS3.5 Table 6.2-1, or one with two reserved bytes that are not zero
}

// String returns only the tag: a value must not be in an error.
func (h *header) String() string {
	return fmt.Sprintf("(%04X,%04X)", h.tag.Group, h.tag.Element)
}

// end is the offset after a value of defined length.
func (h *header) end() int64 { return h.value + int64(h.length) }

// header reads the header of the element at the offset into found; io.EOF: the stream ends there.
//
// In explicit VR, two bytes that are not upper-case letters cannot be a VR
// (PS3.5 §6.2): that element is read as implicit VR, because writers are known
// that mix the two.
func (h *head) header(found *header, at int64, e encoding) error {
	const short, long = 8, 12
	b, err := h.peek(at, short)
	if err != nil {
		if len(b) > 0 && errors.Is(err, io.EOF) {
			err = errInHeader
		}
		return err
	}
	*found = header{}
	found.tag, found.value = e.tag(b), at+short
	v := vr{b[4], b[5]}
	kind := v.kind()
	switch {
	case found.tag.Group == tag.GroupSeqItem || !e.explicit || kind == noVR:
		found.length = e.uint32(b[4:]) // PS3.5 §7.5: items have no VR in any encoding
		return nil
	case kind == shortVR:
		found.vr, found.length = v, uint32(e.uint16(b[6:]))
		return nil
	}
	if b, err = h.peek(at, long); err != nil {
		if errors.Is(err, io.EOF) {
			err = errInHeader
		}
		return err
	}
	found.vr, found.length, found.value, found.odd = v, e.uint32(b[8:]), at+long, b[6]|b[7] != 0 || kind == newVR
	return nil
}

var errInHeader = errors.New("the stream ends inside the header of an element")

// otherHeader reads the header at the offset in the other way that some writers use, if
// there is one: with a length of 16 bits for a VR that has 32 (PS3.5 Table 7.1-1), or with
// a VR in a dataset of implicit VR.
func (h *head) otherHeader(at int64, e encoding) (header, bool) {
	b, err := h.peek(at, 8)
	if err != nil || e.tag(b).Group == tag.GroupSeqItem {
		return header{}, false
	}
	switch v := (vr{b[4], b[5]}); {
	case !e.explicit && v.isKnown():
		e.explicit = true
		var other header
		err := h.header(&other, at, e)
		return other, err == nil
	case e.explicit && v.isLetters() && !v.isShort():
		return header{tag: e.tag(b), vr: v, length: uint32(e.uint16(b[6:])), value: at + 8}, true
	}
	return header{}, false
}

// fits says whether the value of the element, in a dataset of encoding e, is followed by
// a possible successor: the end, a delimiter, or an element with a VR or with a higher tag.
func (h *head) fits(element *header, e encoding) bool {
	if element.length == undefinedLength {
		return h.isItem(element.value, explicitLittle) || h.isItem(element.value, explicitBig)
	}
	b, err := h.glance(element.end())
	switch {
	case errors.Is(err, ErrWindow):
		return true // true as far as can be seen
	case err != nil:
		return len(b) == 0 && h.ended(element.end())
	case e.tag(b).Group == tag.GroupSeqItem:
		return true
	}
	next := vr{b[4], b[5]}
	return next.isKnown() || !e.explicit && element.tag.Compare(e.tag(b)) < 0 && e.uint32(b[4:]) < maxFirstLength
}

// vr is a value representation, such as UI; zero when it is implicit.
type vr struct{ first, second byte }

// kinds of VRs.
const (
	noVR   = iota // not two upper-case letters
	newVR         // letters that are not in PS3.5 Table 6.2-1
	longVR        // two reserved bytes, and then a length of 32 bits (PS3.5 Table 7.1-1)
	// shortVR: the length has 16 bits and follows the VR at once. The list is closed
	// (PS3.5 §7.1.2, Table 7.1-2): all future VRs are long.
	shortVR
)

// kinds has the kind of each VR, by its letters.
var kinds = func() (kinds ['Z' + 1]['Z' + 1]uint8) {
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			kinds[a][b] = newVR
		}
	}
	set := func(kind uint8, vrs ...string) {
		for _, vr := range vrs {
			kinds[vr[0]][vr[1]] = kind
		}
	}
	set(longVR, vrraw.OtherByte, vrraw.OtherDouble, vrraw.OtherFloat, vrraw.OtherLong,
		vrraw.OtherVeryLong, vrraw.OtherWord, vrraw.Sequence, vrraw.SignedVeryLong,
		vrraw.UnlimitedCharacters, vrraw.Unknown, vrraw.UniversalResourceIdentifier,
		vrraw.UnlimitedText, vrraw.UnsignedVeryLong)
	set(shortVR, vrraw.ApplicationEntity, vrraw.AgeString, vrraw.AttributeTag, vrraw.CodeString,
		vrraw.Date, vrraw.DecimalString, vrraw.DateTime, vrraw.FloatingPointSingle,
		vrraw.FloatingPointDouble, vrraw.IntegerString, vrraw.LongString, vrraw.LongText,
		vrraw.PersonName, vrraw.ShortString, vrraw.SignedLong, vrraw.SignedShort,
		vrraw.ShortText, vrraw.Time, vrraw.UniqueIdentifier, vrraw.UnsignedLong,
		vrraw.UnsignedShort)
	return kinds
}()

func (v vr) is(name string) bool { return v.first == name[0] && v.second == name[1] }

func (v vr) kind() uint8 {
	if v.first > 'Z' || v.second > 'Z' {
		return noVR
	}
	return kinds[v.first][v.second]
}

func (v vr) isLetters() bool { return v.kind() != noVR }

// isKnown says whether v is one of the VRs of PS3.5 Table 6.2-1.
func (v vr) isKnown() bool { return v.kind() >= longVR }

func (v vr) isShort() bool { return v.kind() == shortVR }
