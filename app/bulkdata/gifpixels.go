package bulkdata

import (
	"bytes"
	"compress/lzw"
	"errors"
	"fmt"
	"io"
)

// gifFixedBytes is what decoding needs whatever the image: LZW tables and buffers.
const gifFixedBytes = 64 << 10

// configureGIF counts the frames. One frame is no multi-frame image.
func configureGIF(head []byte, complete bool) (Image, int64, error) {
	img, memory, err := countGIF(head)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && !complete:
		return Image{}, 0, ErrShort
	case err != nil:
		return Image{}, 0, fmt.Errorf("%s: %w", typeGIF, err)
	}
	return img, memory, nil
}

func countGIF(data []byte) (Image, int64, error) {
	g, err := openGIF(bytes.NewReader(data))
	if err != nil {
		return Image{}, 0, err
	}
	img := Image{
		TransferSyntaxUID: explicitLittleEndian,
		SamplesPerPixel:   3, PhotometricInterpretation: rgb,
		Rows: g.rows, Columns: g.columns,
		BitsAllocated: 8, BitsStored: 8,
	}
	if err := checkNative(img); err != nil {
		return Image{}, 0, err
	}
	canvases, frames := int64(1), 0
	for ; ; frames++ {
		f, err := g.next()
		if err == io.EOF { //nolint:errorlint // next's own
			break
		}
		if err == nil {
			err = g.skipData()
		}
		if err != nil {
			return Image{}, 0, err
		}
		if f.disposal == disposePrevious {
			canvases = 2
		}
	}
	if frames == 0 {
		return Image{}, 0, errors.New("a GIF without a frame")
	}
	if frames > 1 {
		img.NumberOfFrames = frames
	}
	canvas := int64(g.rows) * int64(g.columns) * 3
	return img, canvases*canvas + 4*int64(g.columns) + gifFixedBytes, checkNative(img)
}

func decodeGIF(r io.Reader, want Image) (io.Reader, error) {
	g, err := openGIF(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", typeGIF, err)
	}
	if g.rows != want.Rows || g.columns != want.Columns || want.SamplesPerPixel != 3 || want.BitsAllocated != 8 {
		return nil, fmt.Errorf("%s: another image than the one described", typeGIF)
	}
	c := &gifCanvas{gifStream: g, pixels: make([]byte, g.rows*g.columns*3)}
	return &rows{
		next:   c.nextRow,
		end:    c.end,
		buffer: make([]byte, g.columns*3),
		left:   g.rows * max(want.NumberOfFrames, 1),
	}, nil
}

// gifCanvas composes frames, §23 c.iv. The background, onto which frames are put
// and which disposal restores, is transparent, as programs have it, and so black.
type gifCanvas struct {
	*gifStream
	pixels []byte   // RGB
	saved  []byte   // pixels without the frame last
	last   gifFrame // the one that pixels show
	row    int      // next to return
}

func (c *gifCanvas) nextRow(row []byte) error {
	if c.row == 0 {
		if err := c.paint(); err != nil {
			return fmt.Errorf("%s: %w", typeGIF, err)
		}
	}
	copy(row, c.pixels[c.row*len(row):])
	c.row = (c.row + 1) % c.rows
	return nil
}

// end makes sure that no frame is left over.
func (c *gifCanvas) end() error {
	switch _, err := c.next(); {
	case err == nil:
		return fmt.Errorf("%s: more frames than described", typeGIF)
	case err != io.EOF: //nolint:errorlint // next's own
		return fmt.Errorf("%s: %w", typeGIF, err)
	}
	return nil
}

// paint disposes of the last frame and decodes the next onto the canvas.
func (c *gifCanvas) paint() error {
	switch c.last.disposal {
	case disposeBackground:
		for y := c.last.top; y < c.last.top+c.last.height; y++ {
			clear(c.line(y, c.last))
		}
	case disposePrevious:
		copy(c.pixels, c.saved)
	}
	f, err := c.next()
	if err != nil {
		return noEOF(err)
	}
	if c.last = f; f.disposal == disposePrevious {
		c.saved = append(c.saved[:0], c.pixels...)
	}
	width, err := c.r.ReadByte()
	if err != nil {
		return noEOF(err)
	}
	if width < 2 || width > 8 {
		return fmt.Errorf("codes of %d bits", width)
	}
	blocks := &subBlocks{r: c.r}
	indices := lzw.NewReader(blocks, lzw.LSB, int(width))
	line := make([]byte, f.width)
	for y := range f.lines() {
		if _, err := io.ReadFull(indices, line); err != nil {
			return fmt.Errorf("pixels: %w", noEOF(err))
		}
		pixels := c.line(y, f)
		for x, index := range line {
			if int(index) != f.transparent {
				copy(pixels[3*x:], f.palette[index][:])
			}
		}
	}
	return blocks.skip()
}

// line returns the part of the canvas's row y that a frame covers.
func (c *gifCanvas) line(y int, f gifFrame) []byte {
	start := (y*c.columns + f.left) * 3
	return c.pixels[start : start+f.width*3]
}
