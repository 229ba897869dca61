package bulkdata

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"strings"
)

// pngFixedBytes is what the decoder needs whatever the image: the window of
// inflate, Huffman tables, buffers.
const pngFixedBytes = 256 << 10

// pngHeader is IHDR, and what the chunks between it and the pixels change.
type pngHeader struct {
	columns, rows int64
	depth, colour byte
	interlaced    bool
	keyed         bool // a tRNS chunk gives palette entries or one colour transparency
}

// Colour types, ISO/IEC 15948 Table 11.1. The others are RGB.
const (
	pngGrey      = 0
	pngPalette   = 3
	pngGreyAlpha = 4
)

// pngKinds are the colour types and depths that go together, ISO/IEC 15948 Table 11.1.
const pngKinds = " 0/1 0/2 0/4 0/8 0/16 2/8 2/16 3/1 3/2 3/4 3/8 4/8 4/16 6/8 6/16 "

// image returns what the pixels will be: palettes become RGB, and depths below 8
// become 8.
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

// decodeBytes is the memory of image/png: an image of 1, 2, 4 or 8 bytes a pixel,
// as much again for the seven passes of an interlaced one, two rows of the stream,
// and one row of the output.
func (h pngHeader) decodeBytes() int64 {
	pixel := int64(4)
	switch {
	case h.depth == 16 && h.colour == pngGrey && !h.keyed:
		pixel = 2
	case h.depth == 16:
		pixel = 8
	case h.colour == pngPalette, h.colour == pngGrey && !h.keyed:
		pixel = 1
	}
	memory := h.rows * h.columns * pixel
	if h.interlaced {
		memory *= 2
	}
	return memory + 3*8*(h.columns+1) + pngFixedBytes
}

// readPNGHeader reads the signature and IHDR, which are 33 bytes with their check.
func readPNGHeader(head []byte) (pngHeader, error) {
	if string(head[:16]) != "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" {
		return pngHeader{}, errors.New("not a PNG")
	}
	h := pngHeader{
		columns: int64(binary.BigEndian.Uint32(head[16:])), rows: int64(binary.BigEndian.Uint32(head[20:])),
		depth: head[24], colour: head[25], interlaced: head[28] == 1,
	}
	if !strings.Contains(pngKinds, fmt.Sprintf(" %d/%d ", h.colour, h.depth)) {
		return h, fmt.Errorf("colour type %d of depth %d", h.colour, h.depth)
	}
	return h, checkNative(h.image())
}

// readPNG reads the chunks before the pixels. What a megabyte of them leaves open
// is taken for the worst case.
func readPNG(head []byte, complete bool) (pngHeader, error) {
	const headerBytes = 33
	head = head[:min(len(head), HeadBytes)]
	short := errors.New("the PNG ends before its pixels")
	if !complete {
		short = ErrShort
	}
	if len(head) < headerBytes {
		return pngHeader{}, short
	}
	h, err := readPNGHeader(head)
	if err != nil {
		return h, err
	}
	for at := int64(headerBytes); ; {
		if at+8 > int64(len(head)) {
			if len(head) == HeadBytes {
				h.keyed = true
				return h, nil
			}
			return h, short
		}
		switch string(head[at+4 : at+8]) {
		case "IDAT":
			return h, nil
		case "tRNS":
			h.keyed = true
		case "acTL":
			return h, errors.New("an animated PNG: a decoder of PNG shows its first picture only")
		}
		at += 12 + int64(binary.BigEndian.Uint32(head[at:]))
	}
}

func configurePNG(head []byte, complete bool) (Image, int64, error) {
	h, err := readPNG(head, complete)
	if err != nil {
		if errors.Is(err, ErrShort) {
			return Image{}, 0, err
		}
		return Image{}, 0, fmt.Errorf("%s: %w", typePNG, err)
	}
	return h.image(), h.decodeBytes(), nil
}

// decodePNG allocates by IHDR, after comparing it with want. image/png inflates no
// more than the pixels that IHDR announces, and refuses what has more.
func decodePNG(r io.Reader, want Image) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(33)
	if err != nil {
		return nil, fmt.Errorf("%s: read header: %w", typePNG, err)
	}
	h, err := readPNGHeader(head)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", typePNG, err)
	}
	if !sameNative(h.image(), want) {
		return nil, fmt.Errorf("%s: another image than the one described", typePNG)
	}
	decoded, err := png.Decode(buffered)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", typePNG, err)
	}
	row, err := newPNGRow(decoded, want)
	if err != nil {
		return nil, err
	}
	return &rows{next: row, buffer: make([]byte, want.Columns*want.SamplesPerPixel*want.BitsAllocated/8), left: want.Rows}, nil
}

// rows reads pixels row by row.
type rows struct {
	next   func(row []byte) error
	buffer []byte // of one row
	unread []byte // of buffer
	left   int
	end    func() error // what is still to be checked behind the last row
	err    error        // sticky
}

// Read implements io.Reader.
func (r *rows) Read(p []byte) (int, error) {
	if len(r.unread) == 0 && r.err == nil && r.left == 0 {
		r.err = io.EOF
		if r.end != nil {
			if err := r.end(); err != nil {
				r.err = err
			}
		}
	}
	if len(r.unread) == 0 && r.err == nil {
		r.err = r.next(r.buffer)
		r.left--
		if r.err == nil {
			r.unread = r.buffer
		}
	}
	if len(r.unread) == 0 {
		return 0, r.err
	}
	n := copy(p, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

// newPNGRow returns what converts the rows of a decoded image, from the top.
func newPNGRow(decoded image.Image, want Image) (func([]byte) error, error) {
	y := -1
	var convert func(row []byte, x int)
	pixel := want.SamplesPerPixel * want.BitsAllocated / 8
	switch img := decoded.(type) {
	case *image.Gray:
		convert = func(row []byte, x int) { row[0] = img.Pix[y*img.Stride+x] }
	case *image.Gray16:
		convert = func(row []byte, x int) { opaque16(row, img.Pix[y*img.Stride+2*x:]) }
	case *image.RGBA: // without transparency
		convert = func(row []byte, x int) { copy(row, img.Pix[y*img.Stride+4*x:][:pixel]) }
	case *image.RGBA64: // without transparency
		convert = func(row []byte, x int) { opaque16(row, img.Pix[y*img.Stride+8*x:]) }
	case *image.NRGBA: // grey has its value three times
		convert = func(row []byte, x int) { onBlack8(row, img.Pix[y*img.Stride+4*x:]) }
	case *image.NRGBA64:
		convert = func(row []byte, x int) { onBlack16(row, img.Pix[y*img.Stride+8*x:]) }
	case *image.Paletted:
		colours := paletteOnBlack(img)
		convert = func(row []byte, x int) { copy(row, colours[img.Pix[y*img.Stride+x]][:]) }
	default:
		return nil, fmt.Errorf("%s: unknown kind of image %T", typePNG, decoded)
	}
	return func(row []byte) error {
		y++
		for x := range want.Columns {
			convert(row[x*pixel:(x+1)*pixel], x)
		}
		return nil
	}, nil
}

// opaque16 turns big endian samples into little endian ones.
func opaque16(row, pix []byte) {
	for i := 0; i < len(row); i += 2 {
		row[i], row[i+1] = pix[i+1], pix[i]
	}
}

// onBlack8 puts a pixel with transparency on black.
func onBlack8(row, pix []byte) {
	alpha := uint32(pix[3])
	for i := range row {
		row[i] = byte((uint32(pix[i])*alpha + 127) / 255) //nolint:gosec // at most 255
	}
}

func onBlack16(row, pix []byte) {
	alpha := uint64(binary.BigEndian.Uint16(pix[6:]))
	for i := 0; i < len(row); i += 2 {
		sample := (uint64(binary.BigEndian.Uint16(pix[i:]))*alpha + 32767) / 65535
		binary.LittleEndian.PutUint16(row[i:], uint16(sample)) //nolint:gosec // at most 65535
	}
}

// paletteOnBlack returns RGB of each index.
func paletteOnBlack(img *image.Paletted) [256][3]byte {
	var colours [256][3]byte
	for i, c := range img.Palette {
		pixel := color.NRGBAModel.Convert(c).(color.NRGBA) //nolint:forcetypeassert // the model's own
		onBlack8(colours[i][:], []byte{pixel.R, pixel.G, pixel.B, pixel.A})
	}
	return colours
}
