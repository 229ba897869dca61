package stow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/uid"

	"stowrs-to-s3/app/bulkdata"
	"stowrs-to-s3/app/metadata"
)

var pixelData = tag.PixelData

func tagName(t tag.Tag) string { return fmt.Sprintf("(%04X,%04X)", t.Group, t.Element) }

// checkNative refuses Pixel Data that are not what application/octet-stream is: uncompressed, little endian (PS3.18 §8.7.3.3.1).
func (b *bulk) checkNative() error {
	switch b.mediaType {
	case "", "application/octet-stream":
	default:
		return wrong("bulkdata part %q is %s, which is no media type for Pixel Data (PS3.18 Table 10.5.2-1)", b.name(), b.mediaType)
	}
	switch b.transferSyntax {
	case "", uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian:
		return nil
	}
	return wrong("bulkdata part %q is application/octet-stream of Transfer Syntax %s: send compressed frames with their own media type, such as image/jpeg", b.name(), printable(b.transferSyntax))
}

// frames is Number of Frames (0028,0008), 1 without it.
func frames(d *metadata.Dataset) int {
	if n, found := d.Int(tag.NumberOfFrames); found && n > 0 && n < 1<<31 {
		return int(n)
	}
	return 1
}

// nativeBytes is the length of uncompressed Pixel Data (PS3.5 §8.1.1), 0 when the
// dataset does not tell, or tells nonsense.
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
	if int64(frames(d)) > 1<<62/bits {
		return 0
	}
	return (bits*int64(frames(d)) + 7) / 8
}

// inspect reads as much of b as is needed to know its image.
func inspect(b *bulk) (image bulkdata.Image, decodeBytes int64, err error) {
	for size := 4 << 10; ; size *= 2 {
		complete, err := b.fill(size)
		if err != nil {
			return image, 0, err
		}
		if b.transformed() {
			image, decodeBytes, err = bulkdata.Configure(b.mediaType, b.kept, complete)
		} else {
			image, err = bulkdata.Inspect(b.mediaType, b.transferSyntax, b.kept, complete)
		}
		if errors.Is(err, bulkdata.ErrShort) && !complete {
			continue
		}
		return image, decodeBytes, err
	}
}

// deriveImage gives the dataset what the bit stream says of the image, where the
// metadata do not (PS3.18 §10.5.2: the Image Pixel Description Macro is derived).
// Metadata that contradict it are an error: one of them must be another image's.
func deriveImage(d *metadata.Dataset, b *bulk, image bulkdata.Image) error {
	numbers := []struct {
		t     tag.Tag
		value int
		fixed bool // the stream cannot be read otherwise
	}{
		{tag.SamplesPerPixel, image.SamplesPerPixel, true},
		{tag.Rows, image.Rows, true},
		{tag.Columns, image.Columns, true},
		{tag.BitsAllocated, image.BitsAllocated, b.transformed()},
		{tag.BitsStored, image.BitsStored, false},
		{tag.HighBit, image.BitsStored - 1, false},
		{tag.PixelRepresentation, image.PixelRepresentation, false},
	}
	for _, n := range numbers {
		if got, found := d.Int(n.t); !found {
			d.Set(n.t, "US", binary.LittleEndian.AppendUint16(nil, uint16(n.value))) //nolint:gosec // bulkdata keeps them below 2^16
		} else if n.fixed && got != int64(n.value) {
			return wrong("the metadata has %d for %s, the bulkdata part %q has %d", got, tagName(n.t), b.name(), n.value)
		}
	}
	setText(d, tag.PhotometricInterpretation, "CS", image.PhotometricInterpretation)
	if image.SamplesPerPixel > 1 {
		if _, found := d.Int(tag.PlanarConfiguration); !found || b.transformed() {
			d.Set(tag.PlanarConfiguration, "US", []byte{0, 0}) // colour by pixel, as all of them are
		}
	}
	if image.NumberOfFrames > 1 {
		if n, found := d.Int(tag.NumberOfFrames); found && b.transformed() && n != int64(image.NumberOfFrames) {
			return wrong("the metadata has %d frames, the bulkdata part %q has %d", n, b.name(), image.NumberOfFrames)
		}
		setText(d, tag.NumberOfFrames, "IS", strconv.Itoa(image.NumberOfFrames))
	}
	if image.FrameTime > 0 { // PS3.3 §C.7.6.5, §C.7.6.6
		setText(d, tag.FrameTime, "DS", strconv.FormatFloat(image.FrameTime, 'g', 10, 64))
		if value, _ := d.Lookup(tag.FrameIncrementPointer); len(value) == 0 {
			d.Set(tag.FrameIncrementPointer, "AT", []byte{0x18, 0x00, 0x63, 0x10})
		}
	}
	if image.Lossy { // PS3.3 §C.7.6.1.1.5
		setText(d, tag.LossyImageCompression, "CS", "01")
		setText(d, tag.LossyImageCompressionMethod, "CS", image.LossyMethod)
	}
	return nil
}

// setText sets an attribute that is absent or empty.
func setText(d *metadata.Dataset, t tag.Tag, vr, value string) {
	if value != "" && d.String(t) == "" {
		d.Set(t, vr, []byte(value))
	}
}

// video says whether the part is a whole video, however many frames it has.
func (b *bulk) video() bool { return strings.HasPrefix(strings.ToLower(b.mediaType), "video/") }
