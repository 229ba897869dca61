package compose

import (
	"cmp"
	"encoding/binary"
	"io"

	"stowrs-to-s3/app/compose/bulkdata"
	"stowrs-to-s3/app/compose/metadata"
)

// writeFrames writes compressed Pixel Data, a fragment for each frame, with an empty
// Basic Offset Table (PS3.5 §A.4). The bit streams are not changed, but the boxes
// of JPEG 2000 around them are left out.
func (i *Instance) writeFrames(w writer, h *hole, b *part, last bool) error {
	if err := w.bytes(append(metadata.ElementHeader(pixelData, "OB", undefinedLength), itemHeader(0)...)); err != nil {
		return err
	}
	count := 1
	if h.encapsulated {
		count = i.frames
	}
	for n := 1; ; n++ {
		err := i.writeFrame(w, b, n == 1, last && n == count)
		if b.drop(); err != nil {
			return err
		}
		if n == count {
			break
		}
		if b, err = i.composer.draw(h); err != nil {
			return err
		}
	}
	if h.encapsulated && i.composer.frameFollows(h) {
		return h.tooMany()
	}
	return w.bytes([]byte{0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0}) // Sequence Delimitation Item
}

func itemHeader(length int64) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0xFE, 0xFF, 0x00, 0xE0}, uint32(length)) //nolint:gosec // checked
}

// writeFrame writes a fragment; last says that no bulkdata follow it.
func (i *Instance) writeFrame(w writer, b *part, first, last bool) error {
	image := i.image
	if !first {
		if !b.compressed() || b.video() {
			return invalid("bulkdata part %q is %s, the first frame is not", b.name(), b.kind())
		}
		var err error
		if image, _, err = b.inspect(); err == nil {
			err = i.sameImage(b, image)
		}
		if err != nil {
			return err
		}
	}
	v := &value{source: b, part: b, length: b.length, ending: image.Ending(), header: func(length int64) ([]byte, error) {
		if length > maxValueBytes {
			return nil, invalid("bulkdata part %q has %d bytes, a fragment has %d at most", b.name(), length, int64(maxValueBytes))
		}
		return itemHeader(even(length)), nil
	}}
	if v.skip = image.SkipBytes; v.length >= 0 {
		v.length -= v.skip
	}
	if image.CodestreamBytes > 0 {
		v.length, v.source = image.CodestreamBytes, &prefixReader{b, image.CodestreamBytes}
	}
	return i.writeCounted(w, v, last)
}

// prefixReader reads left bytes of a source. Bytes after them are dropped, but must be
// received: a part that breaks off there is incomplete.
type prefixReader struct {
	source io.Reader
	left   int64
}

// Read implements io.Reader.
func (l *prefixReader) Read(p []byte) (int, error) {
	if l.left == 0 {
		_, err := io.Copy(io.Discard, l.source)
		return 0, cmp.Or(err, io.EOF)
	}
	n, err := l.source.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// writeTransformed writes the pixels of an image that is not stored compressed. The memory
// for its decoder was already counted.
func (i *Instance) writeTransformed(w writer, h *hole, b *part) error {
	pixels, err := bulkdata.Decode(b.mediaType, b, i.image)
	if err != nil {
		return b.decodeError(err)
	}
	return i.writePixels(w, h, b, &decoded{pixels, b})
}

// decoded counts the decoded bytes, and distinguishes errors of a decoder from those of the part that it reads.
type decoded struct {
	pixels io.Reader
	part   *part
}

// Read implements io.Reader.
func (d *decoded) Read(p []byte) (int, error) {
	n, err := d.pixels.Read(p)
	if tooMuch := d.part.countMade(int64(n)); tooMuch != nil {
		return n, tooMuch
	}
	if err != nil && err != io.EOF { //nolint:errorlint // io.EOF itself ends the pixels
		err = d.part.decodeError(err)
	}
	return n, err
}

func (b *part) decodeError(err error) error {
	if b.failed != nil {
		return b.failed
	}
	return invalid("bulkdata part %q: %v", b.name(), err) // must not be taken for io.EOF itself
}
