package metadata

import (
	"encoding/binary"
	"fmt"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// undefinedLength marks a value that is ended by a delimiter (PS3.5 §7.1.1).
const undefinedLength = 0xFFFFFFFF

// maxShortLength is the longest value, in bytes, behind a length field of 16
// bits; lengths are even (PS3.5 §7.1.2).
const maxShortLength = 0xFFFE

// headerSize and longHeaderSize are the bytes in front of a value.
const (
	headerSize     = 8
	longHeaderSize = 12
)

// ElementHeader encodes what stands in front of an element's value in Explicit
// VR Little Endian (PS3.5 §7.1.2): 8 bytes, or 12 for OB, OD, OF, OL, OV, OW, SQ,
// SV, UC, UN, UR, UT and UV. length is in bytes; those VRs allow 0xFFFFFFFF, the
// undefined length. An empty vr gives the header of an item or a delimiter,
// which has none (PS3.5 §7.5). It panics on a length that the VR cannot have.
func ElementHeader(t tag.Tag, vr string, length uint32) []byte {
	return appendHeader(make([]byte, 0, longHeaderSize), t, vr, length)
}

func appendHeader(b []byte, t tag.Tag, vr string, length uint32) []byte {
	b = binary.LittleEndian.AppendUint16(b, t.Group)
	b = binary.LittleEndian.AppendUint16(b, t.Element)
	if vr == "" {
		return binary.LittleEndian.AppendUint32(b, length)
	}
	b = append(b, vr...)
	if isLong(vr) {
		return binary.LittleEndian.AppendUint32(append(b, 0, 0), length)
	}
	if length > maxShortLength {
		panic(fmt.Sprintf("metadata: %s with a length of %d", vr, length))
	}
	return binary.LittleEndian.AppendUint16(b, uint16(length))
}

// isLong tells whether a VR has a length field of 32 bits (PS3.5 Table 7.1-1).
func isLong(vr string) bool {
	switch vr {
	case "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV":
		return true
	}
	return false
}

// class is how the values of a VR are encoded.
type class byte

const (
	classText class = iota
	className
	classDecimal // text that is a number
	classInteger // text that is a whole number
	classSigned
	classUnsigned
	classFloat
	classTag
	classOther // bytes that only InlineBinary or bulkdata can give
	classSequence
)

// representation is what encoding needs to know of a VR (PS3.5 Table 6.2-1).
type representation struct {
	class  class
	size   int  // bytes of one number, or the unit of binary data; 0 for text
	single bool // text with one value, in which a backslash is a character
}

// represent returns the representation of a VR, false if there is no such VR.
func represent(vr string) (representation, bool) {
	switch vr {
	case "AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UC", "UI":
		return representation{class: classText}, true
	case "LT", "ST", "UR", "UT":
		return representation{class: classText, single: true}, true
	case "PN":
		return representation{class: className}, true
	case "DS":
		return representation{class: classDecimal}, true
	case "IS":
		return representation{class: classInteger}, true
	case "SS":
		return representation{class: classSigned, size: 2}, true
	case "SL":
		return representation{class: classSigned, size: 4}, true
	case "SV":
		return representation{class: classSigned, size: 8}, true
	case "US":
		return representation{class: classUnsigned, size: 2}, true
	case "UL":
		return representation{class: classUnsigned, size: 4}, true
	case "UV":
		return representation{class: classUnsigned, size: 8}, true
	case "FL":
		return representation{class: classFloat, size: 4}, true
	case "FD":
		return representation{class: classFloat, size: 8}, true
	case "AT":
		return representation{class: classTag, size: 4}, true
	case "OB", "UN":
		return representation{class: classOther, size: 1}, true
	case "OW":
		return representation{class: classOther, size: 2}, true
	case "OF", "OL":
		return representation{class: classOther, size: 4}, true
	case "OD", "OV":
		return representation{class: classOther, size: 8}, true
	case "SQ":
		return representation{class: classSequence}, true
	}
	return representation{}, false
}

// UnitBytes is what the length of a value is a multiple of: the bytes of one number, or
// of one word of binary data; 1 for text (PS3.5 Table 6.2-1).
func UnitBytes(vr string) int64 {
	r, _ := represent(vr)
	return max(1, int64(r.size))
}

// padding is what makes a value's length even: a space for text, NUL for UIDs and
// bytes (PS3.5 §6.2). The length of every other VR is even already.
func padding(vr string) byte {
	switch vr {
	case "UI", "OB", "UN":
		return 0
	}
	return ' '
}

// dictionaryVR is the VR of an element whose metadata names none: that of PS3.6,
// LO for private creators (PS3.5 §7.8.1), else UN. Where PS3.6 leaves a choice,
// pixel and overlay data are OW, as words hold any of them (PS3.5 §8.1.2), and
// others the first.
func dictionaryVR(t tag.Tag) string {
	if tag.IsPrivate(t.Group) {
		if t.Element >= firstBlock && t.Element <= lastBlock {
			return "LO"
		}
		return "UN"
	}
	if g := t.Group & 0xFF00; g == 0x5000 || g == 0x6000 { // repeating groups, PS3.5 §7.6
		t.Group = g
	}
	info, err := tag.Find(t)
	switch {
	case err != nil, len(info.VRs) == 0:
		return "UN"
	case t == tag.PixelData, t == tag.OverlayData:
		return "OW"
	}
	return info.VRs[0]
}
