package compose

import (
	"io"
	"unicode/utf8"

	"stowrs-to-s3/app/compose/bulkdata"
	"stowrs-to-s3/app/compose/metadata"
)

// Lengths of PS3.5.
const (
	undefinedLength = 0xFFFFFFFF
	// maxValueBytes is the longest value of a defined length: even, and less than undefinedLength (PS3.5 §7.1.1).
	maxValueBytes = 0xFFFFFFFE
	// maxShortBytes is the same for a VR whose length field has 16 bits (PS3.5 §7.1.2).
	maxShortBytes = 0xFFFE
)

func even(n int64) int64 { return n + n&1 }

// value reads bulkdata as the value of an element, or of the item of a fragment, and
// pads it to an even length (PS3.5 §7.1.1).
type value struct {
	source io.Reader
	part   *part
	header func(length int64) ([]byte, error) // of a value of this length; it has the same size for every length
	length int64                              // -1: not known
	skip   int64                              // bytes of the part before the value, which are dropped
	pad    byte
	unit   int64            // the value is a whole number of units of this many bytes; 0: any
	check  *textCheck       // nil: any bytes
	ending *bulkdata.Ending // nil: it has none to look for

	read  int64
	ended bool // source
}

// Read implements io.Reader.
func (v *value) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	var err error
	if !v.ended {
		n, err = v.source.Read(p)
		v.read += int64(n)
		switch {
		case v.length >= 0 && v.read > even(v.length):
			return 0, invalid("bulkdata part %q is longer than %d bytes", v.part.name(), v.length)
		case v.check != nil && !v.check.valid(p[:n]):
			return 0, v.check.problem(v.part)
		case v.ending != nil:
			v.ending.See(p[:n])
		}
		if err != io.EOF {
			return n, err
		}
		v.ended = true
		switch {
		case v.length >= 0 && v.read < v.length:
			return 0, invalid("bulkdata part %q has %d bytes instead of %d", v.part.name(), v.read, v.length)
		case v.unit > 0 && v.read%v.unit != 0:
			return 0, invalid("bulkdata part %q has %d bytes, which is no whole number of values of %d bytes", v.part.name(), v.read, v.unit)
		case v.check != nil && len(v.check.partial) > 0:
			return 0, v.check.problem(v.part)
		case v.ending != nil && !v.ending.Whole():
			return 0, invalid("bulkdata part %q is cut: its stream has no end", v.part.name())
		}
	}
	if v.read&1 == 0 {
		return n, io.EOF
	}
	if n < len(p) {
		p[n] = v.pad
		v.read++
		n++
	}
	return n, nil
}

// writeCounted writes header, value and padding. If the length is unknown, it is filled in at the
// end, if the value is the last one and near the front of the file; otherwise the value is kept to count it.
func (i *Instance) writeCounted(w writer, v *value, last bool) error {
	late := false
	if v.length < 0 {
		const longestHeader = 12
		if late = i.late && last && i.read+longestHeader <= i.composer.request.LateBytes; !late {
			if err := v.part.keep(); err != nil {
				return err
			}
			v.length = max(0, v.part.length-v.skip)
		}
	}
	header, err := v.header(max(0, v.length))
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, v.part, v.skip); err != nil {
		return v.part.decodeError(err)
	}
	offset := i.read
	if err := w.bytes(header); err != nil {
		return err
	}
	if err := w(v); err != nil || !late {
		return err
	}
	i.lateOffset = offset
	i.lateHeader, err = v.header(v.read)
	return err
}

// writeValue writes an element with the unchanged bulkdata as its value.
func (i *Instance) writeValue(w writer, h *hole, b *part, last bool) error {
	vr, unit := h.VR, metadata.UnitBytes(h.VR)
	if h.Tag == pixelData { // of an icon, whose attributes are not read: OW can hold any (PS3.5 §8.1.2)
		vr, unit = "OW", 1
	}
	v := &value{source: b, part: b, length: b.length, unit: unit, header: func(length int64) ([]byte, error) { return elementHeader(h, vr, length) }}
	if isText(vr) {
		v.pad = ' '
	}
	if hasCharset(vr) {
		v.check = newTextCheck(i.dataset, h)
	}
	return i.writeCounted(w, v, last)
}

// writeNative writes uncompressed Pixel Data.
func (i *Instance) writeNative(w writer, h *hole, b *part) error {
	if err := b.checkNative(i.dataset); err != nil {
		return err
	}
	return i.writePixels(w, h, b, b)
}

// writePixels writes native pixels of the length that the dataset says.
func (i *Instance) writePixels(w writer, h *hole, b *part, pixels io.Reader) error {
	vr := nativeVR(i.dataset, h.VR)
	header := func(length int64) ([]byte, error) { return elementHeader(h, vr, length) }
	return i.writeCounted(w, &value{source: pixels, part: b, header: header, length: nativeBytes(i.dataset)}, false)
}

// elementHeader is the header of a value of length bytes, before padding.
func elementHeader(h *hole, vr string, length int64) ([]byte, error) {
	limit := int64(maxValueBytes)
	if len(metadata.ElementHeader(h.Tag, vr, 0)) == 8 {
		limit = maxShortBytes
	}
	if length > limit {
		return nil, invalid("bulkdata of %s (%s) have %d bytes, at most %d are possible", tagName(h.Tag), vr, length, limit)
	}
	return metadata.ElementHeader(h.Tag, vr, uint32(even(length))), nil //nolint:gosec // checked
}

// isText says whether a value is padded with a space (PS3.5 §6.2).
func isText(vr string) bool {
	switch vr {
	case "AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UR":
		return true
	}
	return hasCharset(vr)
}

// hasCharset says whether a value is text in the Specific Character Set (PS3.5 §6.1.2.2).
func hasCharset(vr string) bool {
	switch vr {
	case "LO", "LT", "PN", "SH", "ST", "UC", "UT":
		return true
	}
	return false
}

// textCheck finds bytes that are invalid in the character set that the dataset
// declares, as far as bytes show this: in UTF-8 and in ASCII.
type textCheck struct {
	hole    *hole
	utf8    bool
	partial []byte // the beginning of a character that is not complete yet
}

// newTextCheck returns nil if any bytes are allowed.
func newTextCheck(d *metadata.Dataset, h *hole) *textCheck {
	switch d.Charset(h.Hole) {
	case "":
		return &textCheck{hole: h}
	case "ISO_IR 192":
		return &textCheck{hole: h, utf8: true}
	}
	return nil
}

func (t *textCheck) valid(b []byte) bool {
	const escape = 0x1B // switches to another character set, which is not declared (PS3.5 §6.1.2.5)
	for len(b) > 0 {
		if len(t.partial) == 0 && b[0] < utf8.RuneSelf {
			if b[0] == escape {
				return false
			}
			b = b[1:]
			continue
		}
		if !t.utf8 {
			return false
		}
		t.partial, b = append(t.partial, b[0]), b[1:]
		if utf8.FullRune(t.partial) {
			if r, size := utf8.DecodeRune(t.partial); r == utf8.RuneError && size == 1 {
				return false
			}
			t.partial = t.partial[:0]
		}
	}
	return true
}

func (t *textCheck) problem(b *part) error {
	if t.utf8 {
		return invalid("bulkdata part %q of %s is not UTF-8, which the dataset declares, as metadata with text that is not ASCII make it do", b.name(), tagName(t.hole.Tag))
	}
	return invalid("bulkdata part %q of %s is not ASCII, and no Specific Character Set (0008,0005) is declared for it", b.name(), tagName(t.hole.Tag))
}
