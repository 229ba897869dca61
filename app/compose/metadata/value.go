package metadata

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"unicode/utf8"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// What can be wrong with values. The values themselves are never told.
const (
	problemType      = "has a value that its vr does not have"
	problemRange     = "has a number outside of the range of its vr"
	problemNumber    = "has a value that is not a number of its vr"
	problemEmpty     = "has an empty value among numbers, which its vr cannot have"
	problemSeveral   = "has several values, but its vr has one"
	problemBackslash = "has a backslash in a value, where it would separate two"
	problemBase64    = "has InlineBinary that is not base64"
	problemUnit      = "has InlineBinary that is not a whole number of values"
	problemLong      = "is longer than the 65534 bytes of its vr"
)

// simple encodes an attribute that is neither sequence nor bulkdata from its
// values.
func (b *builder) simple(a *attribute, vr string, r representation) {
	v := b.values[a.values:]
	room := longHeaderSize + 1 + len(v) // as much as text can have
	if r.size > 0 || r.class == classDecimal || r.class == classInteger {
		room += max(r.size, maxDecimalLength) * v.count()
	}
	if !b.room(room) {
		return
	}
	start := b.beginValue(a, vr)
	var problem string
	switch {
	case len(v) == 0:
	case r.size == 0:
		problem = b.texts(v, r)
	case r.class == classOther:
		problem = problemType // PS3.18 §F.2.2: they have no Value
	default:
		problem = b.numbers(v, r)
	}
	if problem != "" {
		b.wrong(a.tag, problem)
		return
	}
	b.endValue(a, vr, start)
}

// beginValue encodes a header, and returns where the value begins.
func (b *builder) beginValue(a *attribute, vr string) int {
	if a.tag == tag.SpecificCharacterSet && b.depth > 0 {
		b.innerCharset = true
	}
	b.encoded = appendHeader(b.encoded, a.tag, vr, 0)
	return len(b.encoded)
}

// endValue pads the value to an even length (PS3.5 §7.1.1), and sets the length.
func (b *builder) endValue(a *attribute, vr string, start int) {
	if hasSeveral(a.tag, vr, b.encoded[start:]) {
		b.wrong(a.tag, "has several values, PS3.6 says one")
		return
	}
	if (len(b.encoded)-start)%2 == 1 {
		b.encoded = append(b.encoded, padding(vr))
	}
	length := uint64(len(b.encoded) - start) //nolint:gosec // not negative
	switch {
	case isLong(vr) && length < undefinedLength:
		binary.LittleEndian.PutUint32(b.encoded[start-4:], uint32(length))
	case length <= maxShortLength:
		binary.LittleEndian.PutUint16(b.encoded[start-2:], uint16(length))
	default:
		b.wrong(a.tag, problemLong)
	}
}

// texts encodes values as text, separated by backslashes (PS3.5 §6.4).
func (b *builder) texts(v values, r representation) (problem string) {
	for first := true; len(v) > 0; first = false {
		var k kind
		var text []byte
		if k, text, v = v.next(); !first {
			if r.single {
				return problemSeveral
			}
			b.encoded = append(b.encoded, '\\')
		}
		if !r.single && bytes.IndexByte(text, '\\') >= 0 {
			return problemBackslash
		}
		if problem := b.text(k, text, r); problem != "" {
			return problem
		}
	}
	return ""
}

// text encodes one value as text.
func (b *builder) text(k kind, text []byte, r representation) (problem string) {
	switch {
	case k == kindNull, k == kindObject && r.class == className:
		return ""
	case k == kindName && r.class == className, k == kindString, k == kindText:
	case k != kindNumber:
		return problemType
	case len(text) > maxNumberLength:
		return problemRange
	}
	switch {
	case k != kindNumber: // of DS and IS, too: what a string says is kept, in its form (PS3.18 §F.2.3) and if it breaks its VR
		b.encoded = append(b.encoded, text...)
		b.nonASCII = b.nonASCII || !isASCII(text)
	case r.class == classDecimal:
		b.encoded, problem = appendDecimal(b.encoded, text)
	case r.class == classInteger:
		b.encoded, problem = appendInteger(b.encoded, text)
	default:
		return problemType
	}
	return problem
}

func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// numbers encodes values in binary. There is no empty number: nulls alone make an
// empty element, and one among floating point numbers is a NaN, for which JSON
// has no other word and some writers none at all.
func (b *builder) numbers(v values, r representation) (problem string) {
	start, nulls, others := len(b.encoded), 0, 0
	for len(v) > 0 {
		var k kind
		var text []byte
		k, text, v = v.next()
		if k == kindNull || (k == kindText || k == kindString) && len(trim(text)) == 0 {
			nulls++
			b.encoded = appendFloat(b.encoded, math.NaN(), r.size)
			continue
		}
		others++
		if len(text) > maxNumberLength {
			return problemRange
		}
		switch r.class {
		case classFloat:
			b.encoded, problem = appendFloatText(b.encoded, k, text, r.size)
		case classTag:
			b.encoded, problem = appendTag(b.encoded, k, text)
		default:
			b.encoded, problem = appendBinary(b.encoded, k, text, r)
		}
		if problem != "" {
			return problem
		}
	}
	switch {
	case others == 0:
		b.encoded = b.encoded[:start]
	case nulls > 0 && r.class != classFloat:
		return problemEmpty
	}
	return ""
}

// appendTag encodes a value of AT, 8 hexadecimal digits (PS3.18 §F.2.3).
func appendTag(b []byte, k kind, text []byte) ([]byte, string) {
	if k == kindText {
		text = trim(text)
	}
	var n [4]byte
	if k != kindString && k != kindText || len(text) != hex.EncodedLen(len(n)) {
		return b, problemType
	}
	if _, err := hex.Decode(n[:], text); err != nil {
		return b, problemType
	}
	return append(b, n[1], n[0], n[3], n[2]), ""
}

// inline encodes the value field that InlineBinary holds, for the VRs of PS3.18
// §F.2.2 and, as the example of §F.2.7 has it, for other binary ones.
func (b *builder) inline(a *attribute, vr string, r representation) {
	if r.size == 0 && a.vr != "UN" { // which was given the VR of PS3.6, and any VR has bytes
		b.wrong(a.tag, "has InlineBinary, but its vr is not binary")
		return
	}
	text := a.text[:0] // white space taken out where it is
	for _, c := range a.text {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			text = append(text, c)
		}
	}
	if text = bytes.TrimRight(text, "="); !b.room(longHeaderSize + 1 + base64.RawStdEncoding.DecodedLen(len(text))) {
		return
	}
	start := b.beginValue(a, vr)
	var err error
	b.encoded, err = base64.RawStdEncoding.AppendDecode(b.encoded, text)
	switch {
	case err != nil:
		b.wrong(a.tag, problemBase64)
	case (len(b.encoded)-start)%max(1, r.size) != 0:
		b.wrong(a.tag, problemUnit)
	default:
		b.endValue(a, vr, start)
	}
}
