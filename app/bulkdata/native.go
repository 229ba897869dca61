package bulkdata

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// explicitLittleEndian is the transfer syntax of native pixels.
const explicitLittleEndian = "1.2.840.10008.1.2.1"

// Configure reads the front of a PNG or GIF and returns what its native pixels will
// be like. decodeBytes is the most memory that Decode will use for it.
//
// A PNG is described before its first IDAT chunk, of which Configure looks at no
// more than HeadBytes. A GIF does not say how many frames it has, so all of it must
// be in head, however long it is: the error is ErrShort until its end is. It is
// never ErrShort when head is complete.
//
// Refused are images whose Rows or Columns exceed 65535 or whose pixels exceed what
// an element may be long, and animated PNGs. Both formats are colour by pixel;
// colour profiles and gamma are not applied.
func Configure(mediaType string, head []byte, complete bool) (Image, int64, error) {
	switch strings.ToLower(mediaType) {
	case typePNG:
		return configurePNG(head, complete)
	case typeGIF:
		return configureGIF(head, complete)
	}
	return Image{}, 0, fmt.Errorf("%q is no bulkdata media type to transform", mediaType)
}

// Decode returns the pixels of a PNG or GIF, in Explicit VR Little Endian: exactly
// Rows × Columns × SamplesPerPixel × BitsAllocated/8 × frames bytes, of which there
// is no second copy. The stream that r reads must be the one that Configure
// described as want; another size, kind or number of frames is an error.
//
// DICOM has no transparency: what shines through is black, as outside of an image.
//
// A PNG is decoded here, a GIF while its pixels are read, so that its errors come
// from the reader. r is not read beyond the image but for a buffer.
func Decode(mediaType string, r io.Reader, want Image) (io.Reader, error) {
	switch strings.ToLower(mediaType) {
	case typePNG:
		return decodePNG(r, want)
	case typeGIF:
		return decodeGIF(r, want)
	}
	return nil, fmt.Errorf("%q is no bulkdata media type to transform", mediaType)
}

// checkNative refuses pixels that do not fit into an element of defined length
// (PS3.5 §7.1.1: 32 bits, even).
func checkNative(img Image) error {
	if err := checkSize(int64(img.Rows), int64(img.Columns)); err != nil {
		return err
	}
	frame := int64(img.Rows) * int64(img.Columns) * int64(img.SamplesPerPixel) * int64(img.BitsAllocated/8)
	if frames := int64(max(img.NumberOfFrames, 1)); frame > (math.MaxUint32-1)/frames {
		return fmt.Errorf("%d frames of %d bytes exceed what Pixel Data may be long", frames, frame)
	}
	return nil
}

// sameNative says whether images have pixels of the same layout.
func sameNative(a, b Image) bool {
	return a.Rows == b.Rows && a.Columns == b.Columns && a.SamplesPerPixel == b.SamplesPerPixel &&
		a.BitsAllocated == b.BitsAllocated && max(a.NumberOfFrames, 1) == max(b.NumberOfFrames, 1)
}
