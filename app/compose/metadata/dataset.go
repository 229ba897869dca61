// Package metadata reads the metadata of a Store request, DICOM JSON Model
// (PS3.18 Annex F) or Native DICOM Model (PS3.19 Annex A), into datasets encoded
// in Explicit VR Little Endian, with holes where bulkdata belong.
//
// Text is read once, front to back, and never kept. The memory for everything that is made
// from it is requested from the caller before it is used, so that the caller can limit it;
// a reader needs some tens of kilobytes in addition. No error contains the value of an attribute.
package metadata

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// ErrSyntax means that the text is not JSON or not XML at all, or not according to the
// model, so that it is unknown which instances it describes.
var ErrSyntax = errors.New("metadata cannot be read")

// Dataset is one instance's dataset. It is not safe for concurrent use.
type Dataset struct {
	// Encoded is the dataset in Explicit VR Little Endian (PS3.5 §A.2), without
	// File Meta and group lengths, tags ascending at each level. It is valid
	// whether the holes are filled or not: sequences and items have undefined
	// lengths and delimiters; empty ones have the length 0.
	Encoded []byte
	// Holes are the elements that were left out, in the order of the dataset.
	Holes []Hole

	// HeldBytes is the memory of all this, as it was counted. The caller must give it back.
	HeldBytes int64

	index       []position // of the elements of the top level
	ownCharsets bool       // some items had a SpecificCharacterSet
}

// Hole is an element whose value comes as bulkdata. Neither its header nor its
// value is in Encoded.
type Hole struct {
	Offset   int     // in Encoded, where the element goes
	Tag      tag.Tag // of the element
	VR       string  // as in the metadata; if they have none, that of PS3.6, else UN
	URI      string  // BulkDataURI (JSON), uri or uuid of BulkData (XML); never empty
	TopLevel bool    // false: within a sequence
	Number   int     // among the holes as they were read; Set may remove some
}

// position is where an element begins in Encoded.
type position struct {
	tag   tag.Tag
	start int
}

// find returns where in the index t is, or belongs.
func (d *Dataset) find(t tag.Tag) (int, bool) {
	return slices.BinarySearchFunc(d.index, t, func(p position, t tag.Tag) int { return p.tag.Compare(t) })
}

// end is where in Encoded the i-th element of the top level ends.
func (d *Dataset) end(i int) int {
	if i+1 < len(d.index) {
		return d.index[i+1].start
	}
	return len(d.Encoded)
}

// Lookup returns the encoded value of an element of the top level, with
// its padding; of a sequence, the items without the sequence's delimiter. A hole
// is not found. The value is part of Encoded and valid until Set.
func (d *Dataset) Lookup(t tag.Tag) (value []byte, found bool) {
	_, value, found = d.lookup(t)
	return value, found
}

func (d *Dataset) lookup(t tag.Tag) (vr string, value []byte, found bool) {
	i, found := d.find(t)
	if !found {
		return "", nil, false
	}
	e := elementAt(d.Encoded, d.index[i].start)
	end := d.end(i)
	if e.undefined {
		end -= headerSize // the delimiter's
	}
	return e.vr, d.Encoded[e.value:end], true
}

// String returns the first value of an element of the top level without leading
// and trailing spaces and NULs; "" if there is none, or its VR is not text.
func (d *Dataset) String(t tag.Tag) string {
	vr, value, _ := d.lookup(t)
	r, _ := represent(vr)
	if r.size > 0 || r.class == classSequence {
		return ""
	}
	s := string(value)
	if !r.single {
		s, _, _ = strings.Cut(s, `\`)
	}
	return strings.Trim(s, " \x00")
}

// Int returns the first value of an element of the top level that is US, SS, UL,
// SL or IS; false if there is none, or it is not a whole number.
func (d *Dataset) Int(t tag.Tag) (int64, bool) {
	vr, value, _ := d.lookup(t)
	r, _ := represent(vr)
	switch {
	case vr == "IS":
		n, err := strconv.ParseInt(d.String(t), 10, 64)
		return n, err == nil
	case r.class != classSigned && r.class != classUnsigned, len(value) < r.size:
		return 0, false
	}
	switch vr {
	case "US":
		return int64(binary.LittleEndian.Uint16(value)), true
	case "SS":
		return int64(int16(binary.LittleEndian.Uint16(value))), true //nolint:gosec // two's complement
	case "UL":
		return int64(binary.LittleEndian.Uint32(value)), true
	case "SL":
		return int64(int32(binary.LittleEndian.Uint32(value))), true //nolint:gosec // two's complement
	}
	return 0, false
}
