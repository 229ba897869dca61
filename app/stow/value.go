package stow

import (
	"encoding/binary"
	"io"

	"stowrs-to-s3/app/bulkdata"
	"stowrs-to-s3/app/metadata"
)

// Lengths of PS3.5.
const (
	undefinedLength = 0xFFFFFFFF
	// maxValueBytes is the longest value of a defined length: even, and less than undefinedLength (PS3.5 §7.1.1).
	maxValueBytes = 0xFFFFFFFE
	// maxShortBytes is that of a VR whose length field has 16 bits (PS3.5 §7.1.2).
	maxShortBytes = 0xFFFE
)

// writeValue writes the element of h with b as its value.
func (f *file) writeValue(w writer, h *hole, b *bulk, last bool) error {
	length, native := b.length, int64(0)
	if h == f.instance.pixels {
		native = nativeBytes(f.instance.dataset)
		switch {
		case length < 0 && native > 0:
			length = native
		case length >= 0 && length < native:
			return wrong("bulkdata part %q has %d bytes, the Image Pixel attributes ask for %d", b.name(), length, native)
		}
	}
	header := func(length int64) ([]byte, error) { return elementHeader(h, length) }
	pad := byte(0)
	if isText(h.VR) {
		pad = ' '
	}
	return f.writeCounted(w, b, counted{header: header, length: length, limit: native, pad: pad, last: last})
}

// elementHeader is the header of a value of length bytes, before padding.
func elementHeader(h *hole, length int64) ([]byte, error) {
	limit := int64(maxValueBytes)
	if len(metadata.ElementHeader(h.Tag, h.VR, 0)) == 8 {
		limit = maxShortBytes
	}
	if length > limit {
		return nil, wrong("bulkdata of %s (%s) have %d bytes, at most %d are possible", tagName(h.Tag), h.VR, length, limit)
	}
	return metadata.ElementHeader(h.Tag, h.VR, uint32(even(length))), nil //nolint:gosec // checked
}

func even(n int64) int64 { return n + n&1 }

func isText(vr string) bool {
	switch vr {
	case "AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT":
		return true
	}
	return false
}

// counted is a value with its length in front: an element, or the item of a fragment.
type counted struct {
	header func(length int64) ([]byte, error) // ends with the length, in as many bytes as it has for any
	length int64                              // -1: not known
	limit  int64                              // of a derived length: one more byte, which pads it, is no error; 0: none
	pad    byte
	last   bool // no other value comes behind: the front of the file can wait for the length
}

// writeCounted writes header, value and padding. An unknown length is found out:
// while the front of the file is kept back, or by keeping the value.
func (f *file) writeCounted(w writer, b *bulk, c counted) error {
	late := false
	if c.length < 0 {
		if late = c.last && f.upload.Patchable(f.written+16); !late {
			if err := b.keep(); err != nil {
				return err
			}
			c.length = b.length
		}
	}
	header, err := c.header(max(0, c.length))
	if err != nil {
		return err
	}
	if err := w(header); err != nil {
		return err
	}
	end := f.written
	n, err := f.copy(w, b, c)
	if err != nil {
		return err
	}
	if late {
		if header, err = c.header(n); err != nil {
			return err
		}
		if err := f.upload.Patch(end-4, header[len(header)-4:]); err != nil { // a short length has its VR in front, which stays
			return err
		}
	}
	return nil
}

// copy writes the value and its padding, and returns its length without padding.
func (f *file) copy(w writer, b *bulk, c counted) (n int64, err error) {
	const copyBytes = 32 << 10
	buf := make([]byte, copyBytes)
	for {
		read, err := b.Read(buf)
		n += int64(read)
		if c.length >= 0 && n > even(c.length) {
			return n, wrong("bulkdata part %q is longer than %d bytes", b.name(), c.length)
		}
		if werr := w(buf[:read]); werr != nil {
			return n, werr
		}
		if err == io.EOF { //nolint:errorlint // io.EOF itself ends a part
			break
		}
		if err != nil {
			return n, err
		}
	}
	if c.length >= 0 && n < c.length {
		return n, wrong("bulkdata part %q has %d bytes instead of %d", b.name(), n, c.length)
	}
	if n&1 != 0 {
		err = w([]byte{c.pad})
	}
	return n, err
}

// writeFrames writes compressed Pixel Data, a fragment for each frame, with an
// empty Basic Offset Table (PS3.5 §A.4). The bit streams stay as they are, without
// the boxes of JPEG 2000 around them.
func (f *file) writeFrames(w writer, h *hole, b *bulk, last bool) error {
	if err := w(metadata.ElementHeader(pixelData, "OB", undefinedLength)); err != nil {
		return err
	}
	if err := w(itemHeader(0)); err != nil {
		return err
	}
	count := h.wanted(b)
	for n := 1; ; n++ {
		if err := f.writeFrame(w, b, last && n == count); err != nil {
			return err
		}
		if n == count {
			break
		}
		b.drop()
		next, err := f.bulk(h)
		if err != nil {
			return err
		}
		if b = next; !b.compressed() {
			return wrong("frame %d, bulkdata part %q, is %s, others are not", n+1, b.name(), b.mediaType)
		}
	}
	b.drop()
	return w([]byte{0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0}) // Sequence Delimitation Item
}

func itemHeader(length int64) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0xFE, 0xFF, 0x00, 0xE0}, uint32(length)) //nolint:gosec // checked
}

func (f *file) writeFrame(w writer, b *bulk, last bool) error {
	image, _, err := inspect(b)
	if b.failed != nil {
		return b.failed
	}
	if err == nil && image.TransferSyntaxUID != f.image.TransferSyntaxUID {
		return wrong("bulkdata part %q is of Transfer Syntax %s, the first frame of %s", b.name(), image.TransferSyntaxUID, f.image.TransferSyntaxUID)
	}
	if err == nil && (image.Rows != f.image.Rows || image.Columns != f.image.Columns) {
		return wrong("bulkdata part %q has other Rows or Columns than the first frame", b.name())
	}
	length := b.length
	if err == nil && image.SkipBytes > 0 {
		if _, err := io.CopyN(io.Discard, b, image.SkipBytes); err != nil {
			return err
		}
		if length >= 0 {
			length -= image.SkipBytes
		}
		if image.CodestreamBytes > 0 {
			length = image.CodestreamBytes
			b.limit(length)
		}
	}
	header := func(length int64) ([]byte, error) {
		if length > maxValueBytes {
			return nil, wrong("bulkdata part %q has %d bytes, a fragment has %d at most", b.name(), length, int64(maxValueBytes))
		}
		return itemHeader(even(length)), nil
	}
	return f.writeCounted(w, b, counted{header: header, length: length, last: last})
}

// writePixels writes the pixels of a PNG or GIF, uncompressed.
func (f *file) writePixels(w writer, h *hole, b *bulk) error {
	pixels, err := bulkdata.Decode(b.mediaType, b, f.image)
	if b.failed != nil {
		return b.failed
	}
	if err != nil {
		return wrong("bulkdata part %q: %w", b.name(), err)
	}
	if f.image.BitsAllocated > 8 {
		h.VR = "OW"
	}
	decoded := &bulk{location: b.location, length: nativeBytes(f.instance.dataset), rest: pixels, aside: b.aside}
	defer decoded.drop()
	return f.writeCounted(w, decoded, counted{header: func(length int64) ([]byte, error) { return elementHeader(h, length) }, length: decoded.length})
}
