package metadata

import (
	"encoding/binary"

	"github.com/suyashkumar/dicom/pkg/tag"
)

var (
	item        = tag.Tag{Group: tag.GroupSeqItem, Element: 0xE000}
	itemEnd     = tag.Tag{Group: tag.GroupSeqItem, Element: 0xE00D}
	sequenceEnd = tag.Tag{Group: tag.GroupSeqItem, Element: 0xE0DD}
)

// element is where the parts of an encoded element are.
type element struct {
	tag       tag.Tag
	vr        string
	value     int  // offset
	end       int  // offset behind the value; equal to value if that is to be walked
	undefined bool // length
}

// elementAt reads the header at an offset of what this package encoded itself.
// Items and sequences have no value of their own: what follows is their content.
func elementAt(b []byte, at int) element {
	e := element{tag: tag.Tag{
		Group:   binary.LittleEndian.Uint16(b[at:]),
		Element: binary.LittleEndian.Uint16(b[at+2:]),
	}}
	if e.tag.Group == tag.GroupSeqItem {
		e.value = at + headerSize
		e.end = e.value
		return e
	}
	e.vr = string(b[at+4 : at+6])
	if !isLong(e.vr) {
		e.value = at + headerSize
		e.end = e.value + int(binary.LittleEndian.Uint16(b[at+6:]))
		return e
	}
	e.value = at + longHeaderSize
	e.end = e.value
	length := binary.LittleEndian.Uint32(b[at+8:])
	if e.undefined = length == undefinedLength; !e.undefined {
		e.end += int(length)
	}
	return e
}

// indexElements lists the elements of the top level, with room for those to be set.
func (d *Dataset) indexElements(a *account) {
	const spare = 16
	d.index, _ = grow(a, d.index, spare)
	depth := 0
	for at := 0; at < len(d.Encoded) && a.err == nil; {
		e := elementAt(d.Encoded, at)
		switch {
		case e.tag == sequenceEnd:
			depth--
		case e.tag.Group == tag.GroupSeqItem:
		case depth == 0:
			d.index, _ = grow(a, d.index, 1+spare)
			d.index = append(d.index, position{e.tag, at})
		}
		if e.undefined {
			depth++
		}
		at = e.end
	}
}
