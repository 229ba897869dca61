package compose

import (
	"errors"
	"fmt"

	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/uid"

	"stowrs-to-s3/app/compose/bulkdata"
	"stowrs-to-s3/app/compose/metadata"
)

var pixelData = tag.PixelData

func tagName(t tag.Tag) string { return fmt.Sprintf("(%04X,%04X)", t.Group, t.Element) }

// preparePixels finds out from the Pixel Data what the dataset must say about them.
func (i *Instance) preparePixels() error {
	d := i.dataset
	if i.pixels == nil {
		return checkInline(d)
	}
	b := i.pixels.due
	if b == nil {
		return nil // assuming that they are native
	}
	if !b.compressed() && !b.transformed() {
		return b.checkNative(d)
	}
	image, decodeBytes, err := b.inspect()
	if err == nil {
		err = i.composer.takeBulk(decodeBytes)
	}
	if err != nil {
		return err
	}
	i.heldBytes += decodeBytes
	switch {
	case b.transformed(), image.Rows > 0:
		err = deriveImage(d, b, image)
	case nativeBytes(d) == 0: // the stream only shows its Transfer Syntax
		err = invalid("bulkdata part %q: the metadata must have the Image Pixel attributes, since they are not read from %s", b.name(), b.kind())
	default:
		err = checkSamples(d)
	}
	i.image = image
	return err
}

// inspect reads enough of a compressed or transformed image to know its properties.
func (b *part) inspect() (image bulkdata.Image, decodeBytes int64, err error) {
	const copies = 3 // of the head that a reader of videos makes
	for size := 4 << 10; ; size *= 2 {
		head, complete, err := b.head(size)
		if err != nil {
			return image, 0, err
		}
		if err := b.composer.takeBulk(copies * int64(len(head))); err != nil {
			return image, 0, err
		}
		if b.transformed() {
			image, decodeBytes, err = bulkdata.Configure(b.mediaType, head, complete)
		} else {
			image, err = bulkdata.Inspect(b.mediaType, b.transferSyntax, head, complete)
		}
		b.composer.free(copies * int64(len(head)))
		if errors.Is(err, bulkdata.ErrShort) && !complete {
			continue
		}
		if err == nil && image.TransferSyntaxUID == "" {
			err = errors.New("neither the stream nor a transfer-syntax parameter tells its Transfer Syntax")
		}
		if err != nil {
			err = invalid("bulkdata part %q: %w", b.name(), err)
		}
		return image, decodeBytes, err
	}
}

// frames is Number of Frames (0028,0008), 1 without it; 0 if it is not a valid number.
func frames(d *metadata.Dataset) int {
	if d.String(tag.NumberOfFrames) == "" {
		return 1
	}
	if n, found := d.Int(tag.NumberOfFrames); found && n > 0 && n < 1<<31 {
		return int(n)
	}
	return 0
}

// nativeBytes is the length of uncompressed Pixel Data (PS3.5 §8.1.1), 0 if the
// dataset does not say it, or has invalid values.
func nativeBytes(d *metadata.Dataset) int64 {
	bits := int64(1)
	for _, t := range []tag.Tag{tag.Rows, tag.Columns, tag.SamplesPerPixel, tag.BitsAllocated} {
		n, found := d.Int(t)
		if !found || n <= 0 || n > 1<<16 {
			return 0
		}
		if bits *= n; bits > 1<<46 { // 65535 × 65535 × 3 × 64 is less
			return 0
		}
	}
	if d.String(tag.PhotometricInterpretation) == "YBR_FULL_422" { // PS3.3 §C.7.6.3.1.2: two chroma samples for two pixels
		bits = bits / 3 * 2
	}
	if n := int64(frames(d)); bits > 0 && n <= 1<<62/bits {
		return (bits*n + 7) / 8
	}
	return 0
}

// nativeVR is the VR of uncompressed Pixel Data for which the metadata say vr: OW if a
// sample has more than 8 bits, else OB or OW (PS3.5 §8.1.2, §A.2).
func nativeVR(d *metadata.Dataset, vr string) string {
	if n, _ := d.Int(tag.BitsAllocated); n > 8 || vr == "OW" {
		return "OW"
	}
	return "OB"
}

// checkNative refuses Pixel Data that are not what application/octet-stream means:
// uncompressed, little endian (PS3.18 §8.7.3.3.1), of the length that follows from the Image Pixel
// attributes. A pad byte that makes the length even is allowed.
func (b *part) checkNative(d *metadata.Dataset) error {
	switch b.mediaType {
	case "", "application/octet-stream":
	default:
		return invalid("bulkdata part %q is %s, which is no media type for Pixel Data (PS3.18 Table 10.5.2-1)", b.name(), b.kind())
	}
	switch b.transferSyntax {
	case "", "*", uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian: // any, as in an Accept header
	default:
		return invalid("bulkdata part %q is application/octet-stream of Transfer Syntax %s: send compressed frames with their own media type, such as image/jpeg", b.name(), headerText(b.transferSyntax))
	}
	want := nativeBytes(d)
	switch {
	case want == 0:
		return invalid("bulkdata part %q is uncompressed: the metadata must have the Image Pixel attributes, Rows (0028,0010) to Bits Allocated (0028,0100)", b.name())
	case b.length >= 0 && b.length != want && b.length != even(want):
		return invalid("bulkdata part %q has %d bytes, the Image Pixel attributes ask for %d", b.name(), b.length, want)
	}
	return checkSamples(d)
}

// checkInline checks Pixel Data in the metadata as if they were bulkdata.
func checkInline(d *metadata.Dataset) error {
	value, found := d.Lookup(pixelData)
	if !found || len(value) == 0 {
		return nil
	}
	if want := nativeBytes(d); int64(len(value)) != even(want) {
		return invalid("Pixel Data (7FE0,0010) have %d bytes, the Image Pixel attributes ask for %d", len(value), want)
	}
	if !d.SetVR(pixelData, nativeVR(d, d.VR(pixelData))) {
		return invalid("Pixel Data (7FE0,0010) have a vr that Pixel Data cannot have")
	}
	return checkSamples(d)
}

var errFrames = invalid("Number of Frames (0028,0008) is not a number above 0")

// checkSamples refuses Image Pixel attributes that contradict each other, for an image
// that nothing else describes (PS3.3 §C.7.6.3.1, PS3.5 §8.1.1). nativeBytes is not 0.
func checkSamples(d *metadata.Dataset) error {
	samples, _ := d.Int(tag.SamplesPerPixel)
	allocated, _ := d.Int(tag.BitsAllocated)
	stored, _ := d.Int(tag.BitsStored)
	high, _ := d.Int(tag.HighBit)
	sign, _ := d.Int(tag.PixelRepresentation)
	planes, planar := d.Int(tag.PlanarConfiguration)
	switch p := d.String(tag.PhotometricInterpretation); {
	case stored > allocated:
		return invalid("Bits Stored (0028,0101) is %d, Bits Allocated (0028,0100) is %d", stored, allocated)
	case high >= allocated:
		return invalid("High Bit (0028,0102) is %d, Bits Allocated (0028,0100) is %d", high, allocated)
	case sign > 1:
		return invalid("Pixel Representation (0028,0103) is neither 0 nor 1")
	case p != "" && int64(samplesOf(p)) != samples:
		return invalid("Photometric Interpretation (0028,0004) is one of %d samples a pixel, Samples per Pixel (0028,0002) is %d", samplesOf(p), samples)
	case samples > 1 && (!planar || planes > 1):
		return invalid("Planar Configuration (0028,0006) is neither 0 nor 1, which images of %d samples a pixel need", samples)
	}
	return nil
}
