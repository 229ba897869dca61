package bulkdata

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strings"
)

// explicitLittleEndian is the transfer syntax of native pixels.
const explicitLittleEndian = "1.2.840.10008.1.2.1"

const (
	pngHeaderBytes = 33 // signature and IHDR

	// pngFixedBytes is what Decode needs whatever the image: inflate's window and
	// Huffman tables, the palette, buffers.
	pngFixedBytes = 192 << 10
)

// Configure reads the front of a PNG, which Transformed is true for, and returns what
// its native pixels will be like. decodeBytes is the most memory that Decode will use:
// for an interlaced picture as much as its pixels have, and for others less than
// 2 MiB.
//
// Refused are pictures whose Rows or Columns exceed 65535 or whose pixels exceed what
// an element may be long. Pixels are colour by pixel; palettes become RGB, and depths
// below 8 become 8. Colour profiles and gamma are not applied.
//
// The error is ErrShort when head is too short and not complete.
func Configure(mediaType string, head []byte, complete bool) (img Image, decodeBytes int64, err error) {
	if !Transformed(mediaType) {
		return Image{}, 0, fmt.Errorf("%.100q is no media type of bulkdata to transform", mediaType)
	}
	if len(head) < pngHeaderBytes {
		if !complete {
			return Image{}, 0, ErrShort
		}
		return Image{}, 0, damagedPNG(io.ErrUnexpectedEOF)
	}
	h, err := readPNGHeader(head[:pngHeaderBytes])
	if err != nil {
		return Image{}, 0, fmt.Errorf("%s: %w", typePNG, err)
	}
	return h.image(), h.decodeBytes(), nil
}

// pngHeader is IHDR, ISO/IEC 15948 §11.2.2.
type pngHeader struct {
	columns, rows int64
	depth, colour byte
	interlaced    bool
}

// Colour types, ISO/IEC 15948 Table 11.1, and their samples in a pixel.
const (
	pngGrey      = 0
	pngPalette   = 3
	pngGreyAlpha = 4
	pngRGBA      = 6
)

var pngChannels = [...]int64{pngGrey: 1, 2: 3, pngPalette: 1, pngGreyAlpha: 2, pngRGBA: 4}

// pngKinds are the colour types and depths that go together, ISO/IEC 15948 Table 11.1.
const pngKinds = " 0/1 0/2 0/4 0/8 0/16 2/8 2/16 3/1 3/2 3/4 3/8 4/8 4/16 6/8 6/16 "

// readPNGHeader reads the signature and IHDR.
func readPNGHeader(head []byte) (pngHeader, error) {
	if string(head[:16]) != "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" {
		return pngHeader{}, damaged(errors.New("not a PNG"))
	}
	h := pngHeader{
		columns: int64(binary.BigEndian.Uint32(head[16:])), rows: int64(binary.BigEndian.Uint32(head[20:])),
		depth: head[24], colour: head[25], interlaced: head[28] == 1,
	}
	if crc32.ChecksumIEEE(head[12:29]) != binary.BigEndian.Uint32(head[29:]) || head[26] != 0 || head[27] != 0 || head[28] > 1 ||
		!strings.Contains(pngKinds, fmt.Sprintf(" %d/%d ", h.colour, h.depth)) {
		return h, damaged(errors.New("its header is wrong"))
	}
	if err := checkSize(h.rows, h.columns); err != nil {
		return h, err
	}
	if bytes := h.rows * h.columns * h.pixelBytes(); bytes > math.MaxUint32-1 { // PS3.5 §7.1.1: 32 bits, even
		return h, fmt.Errorf("%d bytes of pixels are more than Pixel Data may have: compress the image with another media type", bytes)
	}
	return h, nil
}

// image returns what the pixels will be.
func (h pngHeader) image() Image {
	img := Image{
		TransferSyntaxUID: explicitLittleEndian,
		SamplesPerPixel:   3, PhotometricInterpretation: rgb,
		Rows: int(h.rows), Columns: int(h.columns),
		BitsAllocated: 8, BitsStored: 8,
	}
	if h.colour == pngGrey || h.colour == pngGreyAlpha {
		img.SamplesPerPixel, img.PhotometricInterpretation = 1, monochrome2
	}
	if h.depth == 16 {
		img.BitsAllocated, img.BitsStored = 16, 16
	}
	return img
}

// pixelBytes is the length of an output pixel.
func (h pngHeader) pixelBytes() int64 {
	img := h.image()
	return int64(img.SamplesPerPixel * img.BitsAllocated / 8)
}

// lineBits is the length of columns pixels in the stream.
func (h pngHeader) lineBits(columns int64) int64 {
	return columns * pngChannels[h.colour] * int64(h.depth)
}

// heldRows is how many output rows are held at once. An interlaced picture comes in
// seven passes, each of which has pixels of all of it.
func (h pngHeader) heldRows() int64 {
	if h.interlaced {
		return h.rows
	}
	return 1
}

// decodeBytes is the output that is held, a line of the stream and the one above it.
func (h pngHeader) decodeBytes() int64 {
	return h.heldRows()*h.columns*h.pixelBytes() + 2*(h.lineBits(h.columns)/8+2) + pngFixedBytes
}

// Decode returns the pixels of a PNG in Explicit VR Little Endian: exactly Rows ×
// Columns × SamplesPerPixel × BitsAllocated/8 bytes. The stream that r reads must be
// the one that Configure described as want; another size or kind is an error.
//
// The chunks before the pixels are read here, the others while the pixels are read. A
// picture that is damaged or cut anywhere never gives its last row but an error, which
// wraps that of r. So does one behind which bytes follow: r is read to its end.
//
// DICOM has no transparency: what shines through is black, as outside of an image. An
// animated PNG is refused, since other decoders show its first picture only.
func Decode(mediaType string, r io.Reader, want Image) (io.Reader, error) {
	if !Transformed(mediaType) {
		return nil, fmt.Errorf("%.100q is no media type of bulkdata to transform", mediaType)
	}
	head := make([]byte, pngHeaderBytes)
	buffered := bufio.NewReader(r)
	if _, err := io.ReadFull(buffered, head); err != nil {
		return nil, damagedPNG(noEOF(err))
	}
	h, err := readPNGHeader(head)
	if err == nil && h.image() != want {
		err = errors.New("another image than the one described")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", typePNG, err)
	}
	p := &pngPixels{pngHeader: h, chunks: &pngChunks{r: buffered}}
	if err := p.open(); err != nil {
		return nil, err
	}
	return p, nil
}

// damagedPNG is the error of what comes behind the header. Mostly the picture is damaged,
// but it may be that its part cannot be read on.
func damagedPNG(err error) error { return fmt.Errorf("%s: %w", typePNG, damaged(err)) }

// noEOF makes the end of a stream an error.
func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // io.Reader: io.EOF itself
		return io.ErrUnexpectedEOF
	}
	return err
}
