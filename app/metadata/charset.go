package metadata

import "github.com/suyashkumar/dicom/pkg/tag"

// utf8Charset is the Defined Term for UTF-8 (PS3.3 §C.12.1.1.2).
const utf8Charset = "ISO_IR 192"

// declareUTF8 makes SpecificCharacterSet say that text is UTF-8, whatever the
// metadata said: their text was UTF-8 anyway (PS3.18 §F.2), so theirs can only be
// that of the instance before it became metadata. Items without one of their own
// have that of the dataset (PS3.5 §6.1.2.3).
func (d *Dataset) declareUTF8(inItems bool) {
	if inItems {
		d.declareUTF8InItems()
	}
	d.Set(tag.SpecificCharacterSet, "CS", []byte(utf8Charset))
}

// declareUTF8InItems replaces each SpecificCharacterSet there is.
func (d *Dataset) declareUTF8InItems() {
	b := make([]byte, 0, len(d.Encoded)+len(d.Encoded)/8)
	holes := d.Holes
	for at := 0; at < len(d.Encoded); {
		for len(holes) > 0 && holes[0].Offset == at {
			holes[0].Offset = len(b)
			holes = holes[1:]
		}
		e := elementAt(d.Encoded, at)
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
	d.Encoded, d.index = b, indexOf(b)
}
