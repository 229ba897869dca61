package metadata

import "encoding/binary"

// kind is what stands for a value in the metadata.
type kind byte

const (
	kindNull   kind = iota // no value: null, or a number left out
	kindString             // JSON string
	kindNumber             // JSON number, as it is written
	kindText               // content of an XML element, of which nothing says whether it is a number
	kindName               // component groups of a person name, joined
	kindObject             // empty JSON object: an empty item or person name
	kindOther              // what no VR has: a boolean, an array
)

// values are those of an attribute before its VR is known, in JSON any order of
// vr and Value being possible. Each is a kind and a text with its length.
type values []byte

// addValue adds a value to the attribute that is read.
func (b *builder) addValue(k kind, text []byte) {
	v, ok := grow(b.account, b.values, 1+binary.MaxVarintLen64+len(text))
	if !ok {
		return
	}
	v = append(v, byte(k))
	v = binary.AppendUvarint(v, uint64(len(text)))
	b.values = append(v, text...)
}

// next returns the first value and the rest of them; there must be one.
func (v values) next() (k kind, text []byte, rest values) {
	length, n := binary.Uvarint(v[1:])
	start := 1 + n
	end := start + int(length) //nolint:gosec // it was an int
	return kind(v[0]), v[start:end], v[end:]
}

// count returns the number of values.
func (v values) count() int {
	n := 0
	for ; len(v) > 0; n++ {
		_, _, v = v.next()
	}
	return n
}
