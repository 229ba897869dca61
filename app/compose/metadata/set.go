package metadata

import (
	"fmt"
	"slices"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// Set inserts an element at the top level, or replaces it, or fills its hole,
// which is then gone. The value is encoded already, except for its padding to an
// even length: a space for text, NUL for UI, OB and UN. A value for a sequence
// is a whole number of encoded items. It panics on a value that is too long for
// its VR (PS3.5 §7.1.2). The cost is that of a copy of what follows the element.
func (d *Dataset) Set(t tag.Tag, vr string, value []byte) {
	length := len(value) + len(value)%2
	if uint64(length) >= undefinedLength {
		panic(fmt.Sprintf("metadata: %s with a length of %d", vr, length))
	}
	element := ElementHeader(t, vr, uint32(length))
	element = append(element, value...)
	if len(value)%2 == 1 {
		element = append(element, padding(vr))
	}

	i, found := d.find(t)
	start := len(d.Encoded)
	if i < len(d.index) {
		start = d.index[i].start
	}
	end := start
	if found {
		end = d.end(i)
	} else {
		d.index = slices.Insert(d.index, i, position{t, start})
	}
	d.Encoded = slices.Replace(d.Encoded, start, end, element...)
	grown := len(element) - (end - start)
	for j := range d.index[i+1:] {
		d.index[i+1+j].start += grown
	}
	d.moveHoles(t, start, end, grown)
}

// moveHoles adjusts the holes to the element t, which was from start to end and
// has grown since. Holes of it and in it are gone.
func (d *Dataset) moveHoles(t tag.Tag, start, end, grown int) {
	d.Holes = slices.DeleteFunc(d.Holes, func(h Hole) bool {
		return h.TopLevel && h.Tag == t || !h.TopLevel && h.Offset > start && h.Offset < end
	})
	for i := range d.Holes {
		h := &d.Holes[i]
		// Only holes of the top level can be at the boundary of an element; those
		// in sequences have at least two headers before and two delimiters behind.
		if h.Offset > start || h.Offset == start && h.TopLevel && h.Tag.Compare(t) > 0 {
			h.Offset += grown
		}
	}
}

// VR returns the VR of an element of the top level, "" where it is absent or a hole.
func (d *Dataset) VR(t tag.Tag) string {
	vr, _, _ := d.lookup(t)
	return vr
}

// SetVR changes the VR of an element of the top level and leaves its value; false if
// the header of one of the VRs is shorter (PS3.5 §7.1.2), or the element is absent.
func (d *Dataset) SetVR(t tag.Tag, vr string) bool {
	i, found := d.find(t)
	if !found || !isLong(vr) || !isLong(d.VR(t)) {
		return false
	}
	copy(d.Encoded[d.index[i].start+4:], vr)
	return true
}
