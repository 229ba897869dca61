package metadata

import (
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// utf8Charset is the Defined Term for UTF-8 (PS3.3 §C.12.1.1.2).
const utf8Charset = "ISO_IR 192"

// declareUTF8 sets SpecificCharacterSet to UTF-8, whatever the
// metadata said: their text was UTF-8 anyway (PS3.18 §F.2), so theirs can only be
// that of the instance before it became metadata. Items without their own
// use that of the dataset (PS3.5 §6.1.2.3).
func (d *Dataset) declareUTF8() {
	d.Set(tag.SpecificCharacterSet, "CS", []byte(utf8Charset))
}

// declareUTF8InItems replaces each existing SpecificCharacterSet.
func (d *Dataset) declareUTF8InItems(a *account) {
	var b []byte
	holes := d.Holes
	for at := 0; at < len(d.Encoded); {
		for len(holes) > 0 && holes[0].Offset == at {
			holes[0].Offset = len(b)
			holes = holes[1:]
		}
		e := elementAt(d.Encoded, at)
		var ok bool
		if b, ok = grow(a, b, e.end-at+setBytes); !ok {
			return
		}
		if e.tag == tag.SpecificCharacterSet {
			b = appendHeader(b, e.tag, "CS", uint32(len(utf8Charset)))
			b = append(b, utf8Charset...)
		} else {
			b = append(b, d.Encoded[at:e.end]...)
		}
		at = e.end
	}
	for i := range holes {
		holes[i].Offset = len(b)
	}
	a.free(cap(d.Encoded))
	d.Encoded = b
}

// Charset returns the encoding of bulk text of the hole h, one defined term of
// SpecificCharacterSet (PS3.3 §C.12.1.1.2), or several, separated by backslashes.
// It is empty if only ASCII is declared, or if an item may declare another.
func (d *Dataset) Charset(h Hole) string {
	_, value, _ := d.lookup(tag.SpecificCharacterSet)
	charset := strings.Trim(string(value), " \x00")
	if charset == "ISO_IR 6" || charset == "ISO 2022 IR 6" || d.ownCharsets && !h.TopLevel && charset != utf8Charset {
		return ""
	}
	return charset
}
