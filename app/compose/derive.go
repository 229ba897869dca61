package compose

import (
	"encoding/binary"
	"strconv"

	"github.com/suyashkumar/dicom/pkg/tag"

	"stowrs-to-s3/app/compose/bulkdata"
	"stowrs-to-s3/app/compose/metadata"
)

// deriveImage adds to the dataset what the bit stream says about the image, if the
// metadata do not (PS3.18 §10.5.2: the Image Pixel Description Macro is derived).
// If metadata contradict the stream, this is an error: one of them belongs to another image
// (PS3.5 §8.2: the attributes describe the bit stream).
func deriveImage(d *metadata.Dataset, b *part, image bulkdata.Image) error {
	if err := deriveSamples(d, b, image); err != nil {
		return err
	}
	if image.SamplesPerPixel > 1 {
		if _, found := d.Int(tag.PlanarConfiguration); !found || b.transformed() {
			setNumber(d, tag.PlanarConfiguration, 0) // color-by-pixel, as all of them are
		}
		if p := d.String(tag.PhotometricInterpretation); b.transformed() && p != "" && p != image.PhotometricInterpretation {
			return invalid("the metadata have another Photometric Interpretation (0028,0004) than the bulkdata part %q, which becomes %s", b.name(), image.PhotometricInterpretation)
		}
	}
	if p := d.String(tag.PhotometricInterpretation); p != "" && samplesOf(p) != image.SamplesPerPixel {
		return invalid("the metadata have a Photometric Interpretation (0028,0004) of %d samples a pixel, the bulkdata part %q has %d", samplesOf(p), b.name(), image.SamplesPerPixel)
	}
	setText(d, tag.PhotometricInterpretation, "CS", image.PhotometricInterpretation)
	if err := deriveFrames(d, b, image); err != nil {
		return err
	}
	if image.FrameTime > 0 { // PS3.3 §C.7.6.5, §C.7.6.6
		setText(d, tag.FrameTime, "DS", strconv.FormatFloat(image.FrameTime, 'g', 10, 64))
		if value, _ := d.Lookup(tag.FrameIncrementPointer); len(value) == 0 {
			d.Set(tag.FrameIncrementPointer, "AT", []byte{0x18, 0x00, 0x63, 0x10})
		}
	}
	if image.Lossy {
		// PS3.3 §C.7.6.1.1.5: after a lossy compression the value is always 01. Metadata
		// with 00 are those of the image before it was compressed, and the stream proves
		// it; to refuse it would help nobody, and 00 would hide the loss from a reader.
		if d.String(tag.LossyImageCompression) != "01" {
			d.Set(tag.LossyImageCompression, "CS", []byte("01"))
		}
		setText(d, tag.LossyImageCompressionMethod, "CS", image.LossyMethod)
	}
	return nil
}

// deriveFrames does the same for Number of Frames.
func deriveFrames(d *metadata.Dataset, b *part, image bulkdata.Image) error {
	switch n := frames(d); {
	case n == 0:
		return errFrames
	case b.transformed() && n != 1:
		return invalid("the metadata have %d frames, the bulkdata part %q has one", n, b.name())
	case image.NumberOfFrames > 0 && n != image.NumberOfFrames && d.String(tag.NumberOfFrames) != "":
		return invalid("the metadata have %d frames, the bulkdata part %q has %d", n, b.name(), image.NumberOfFrames)
	}
	if image.NumberOfFrames > 1 {
		setText(d, tag.NumberOfFrames, "IS", strconv.Itoa(image.NumberOfFrames))
	}
	return nil
}

// samplesOf is the number of samples that a Photometric Interpretation has (PS3.3 §C.7.6.3.1.2).
func samplesOf(photometricInterpretation string) int {
	switch photometricInterpretation {
	case "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR":
		return 1
	case "ARGB", "CMYK": // retired
		return 4
	}
	return 3
}

// deriveSamples does the same for the size of the image, and its samples.
func deriveSamples(d *metadata.Dataset, b *part, image bulkdata.Image) error {
	for _, n := range []struct {
		t     tag.Tag
		value int
		most  bool // a smaller value is no contradiction: PS3.5 §8.1.1 lets a sample have more room than it needs
	}{
		{tag.SamplesPerPixel, image.SamplesPerPixel, false},
		{tag.Rows, image.Rows, false},
		{tag.Columns, image.Columns, false},
		{tag.BitsAllocated, image.BitsAllocated, false},
		{tag.BitsStored, image.BitsStored, true},
	} {
		got, found := d.Int(n.t)
		switch {
		case !found:
			setNumber(d, n.t, n.value)
		case n.most && (got > int64(n.value) || got < 1):
			return invalid("the metadata have %d for %s, the bulkdata part %q has %d at most", got, tagName(n.t), b.name(), n.value)
		case !n.most && got != int64(n.value):
			return invalid("the metadata have %d for %s, the bulkdata part %q has %d", got, tagName(n.t), b.name(), n.value)
		}
	}
	stored, _ := d.Int(tag.BitsStored)
	if high, found := d.Int(tag.HighBit); !found {
		setNumber(d, tag.HighBit, int(stored)-1)
	} else if high != stored-1 { // PS3.5 §8.1.1
		return invalid("the metadata have %d for %s, of the bulkdata part %q it is %d, one less than Bits Stored", high, tagName(tag.HighBit), b.name(), stored-1)
	}
	if sign, found := d.Int(tag.PixelRepresentation); !found {
		setNumber(d, tag.PixelRepresentation, image.PixelRepresentation)
	} else if sign > 1 { // archives have images whose value differs from the sign of JPEG 2000; it is stored as the metadata have it
		return invalid("the metadata have %d for %s, beside the bulkdata part %q; it is 0 or 1", sign, tagName(tag.PixelRepresentation), b.name())
	}
	return nil
}

// sameImage refuses a frame that is not of the same kind as the first one, which the
// dataset describes.
func (i *Instance) sameImage(b *part, image bulkdata.Image) error {
	first := i.image
	switch {
	case image.TransferSyntaxUID != first.TransferSyntaxUID:
		return invalid("bulkdata part %q is of Transfer Syntax %s, the first frame of %s", b.name(), image.TransferSyntaxUID, first.TransferSyntaxUID)
	case image.Rows != first.Rows || image.Columns != first.Columns:
		return invalid("bulkdata part %q has other Rows or Columns than the first frame", b.name())
	case image.SamplesPerPixel != first.SamplesPerPixel || image.PhotometricInterpretation != first.PhotometricInterpretation ||
		image.BitsAllocated != first.BitsAllocated || image.BitsStored != first.BitsStored || image.PixelRepresentation != first.PixelRepresentation:
		return invalid("bulkdata part %q has other samples than the first frame: their number, colours or bits", b.name())
	case image.Lossy && i.dataset.String(tag.LossyImageCompression) != "01":
		return invalid("bulkdata part %q has lost information, the first frame has not: the metadata must have 01 for Lossy Image Compression (0028,2110)", b.name())
	}
	return nil
}

func setNumber(d *metadata.Dataset, t tag.Tag, value int) {
	d.Set(t, "US", binary.LittleEndian.AppendUint16(nil, uint16(value))) //nolint:gosec // bulkdata keeps them below 2^16
}

// setText sets an attribute that is absent or empty.
func setText(d *metadata.Dataset, t tag.Tag, vr, value string) {
	if value != "" && d.String(t) == "" {
		d.Set(t, vr, []byte(value))
	}
}
