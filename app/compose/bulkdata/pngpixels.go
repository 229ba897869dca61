package bulkdata

import (
	"bufio"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

// pngPixels reads the pixels of a PNG. It inflates no more than the header announces.
type pngPixels struct {
	pngHeader
	chunks  *pngChunks
	data    *bufio.Reader // of the IDAT chunks
	inflate io.Reader

	palette     [][4]byte // red, green, blue, opacity; nil: none
	key         []byte    // what pixels are that are transparent, as put takes them; nil: none
	keyed       bool      // tRNS was read
	table       []byte    // what a sample of 8 bits or less becomes that is a pixel; nil: pixels are more
	line, above []byte    // of the stream, filter type included
	held        []byte    // rows of the output
	unread      []byte    // of held
	given       int64     // rows that were decoded and put into unread
	err         error     // sticky
}

// open reads the chunks before the pixels and allocates what decodeBytes announces.
func (p *pngPixels) open() error {
	for {
		err := p.chunks.next()
		if err == nil {
			switch p.chunks.kind {
			case "IDAT":
				if err = p.begin(); err == nil {
					return nil
				}
			case "PLTE":
				err = p.readPalette()
			case "tRNS":
				err = p.readTransparency()
			case "acTL":
				return fmt.Errorf("%s: the picture is animated: send one that is not, or a video", typePNG)
			default:
				err = p.chunks.skip()
			}
		}
		if err != nil {
			return damagedPNG(err)
		}
	}
}

// begin prepares for the lines of the picture.
func (p *pngPixels) begin() (err error) {
	if p.colour == pngPalette && p.palette == nil {
		return errPalette
	}
	size := p.lineBits(p.columns)/8 + 2
	p.line, p.above = make([]byte, size), make([]byte, size)
	p.makeTable()
	p.held = make([]byte, p.heldRows()*p.columns*p.pixelBytes())
	p.data = bufio.NewReader(pngData{p.chunks}) // which inflate uses without a buffer of its own
	p.inflate, err = zlib.NewReader(p.data)
	return noEOF(err)
}

var (
	errPalette      = errors.New("its palette is wrong")
	errTransparency = errors.New("its chunk tRNS is wrong")
	errTooMuch      = errors.New("there is more than its pixels")
	errBehind       = errors.New("bytes follow behind its end, the chunk IEND")
)

// readPalette reads PLTE, ISO/IEC 15948 §11.2.3. Colour pictures have one only as a hint.
func (p *pngPixels) readPalette() error {
	most := 256
	if p.colour == pngPalette {
		most = 1 << p.depth
	}
	entries := p.chunks.left / 3
	if p.chunks.left%3 != 0 || entries == 0 || entries > most || p.palette != nil || p.keyed || p.image().SamplesPerPixel == 1 {
		return errPalette
	}
	p.palette = make([][4]byte, entries)
	for i := range p.palette {
		p.palette[i][3] = 255
		if _, err := io.ReadFull(p.chunks, p.palette[i][:3]); err != nil {
			return err
		}
	}
	return nil
}

// readTransparency reads tRNS, §11.3.2.1: the opacity of each of the first entries of
// the palette, or the colour that is transparent, in 16 bits a sample of which the low
// ones count.
func (p *pngPixels) readTransparency() error {
	var body [256]byte
	length := p.chunks.left
	wanted := p.colour < pngPalette && length == 2*int(pngChannels[p.colour]) || p.colour == pngPalette && length > 0 && length <= len(p.palette)
	if !wanted || p.keyed {
		return errTransparency
	}
	if _, err := io.ReadFull(p.chunks, body[:length]); err != nil {
		return err
	}
	p.keyed = true
	for i, b := range body[:length] {
		switch {
		case p.colour == pngPalette:
			p.palette[i][3] = b
		case p.depth == 16:
			p.key = append(p.key, b)
		case i%2 == 1:
			p.key = append(p.key, p.scaled(b&(1<<p.depth-1)))
		}
	}
	return nil
}

// Read implements io.Reader.
func (p *pngPixels) Read(b []byte) (int, error) {
	if len(p.unread) == 0 && p.err == nil {
		if p.err = p.decode(); p.err != nil && p.err != io.EOF { //nolint:errorlint // decode's own
			p.err = damagedPNG(p.err)
		}
	}
	if len(p.unread) == 0 {
		return 0, p.err
	}
	n := copy(b, p.unread)
	p.unread = p.unread[n:]
	return n, nil
}

// decode fills unread with the next row, or, of an interlaced picture, with all. The
// last row is not given before the end of the picture was checked.
func (p *pngPixels) decode() error {
	var err error
	switch {
	case p.given == p.rows:
		return io.EOF
	case p.interlaced:
		p.given = p.rows
		err = p.decodePasses()
	default:
		p.given++
		err = p.decodeLine(p.held, p.columns, 1)
	}
	if err == nil && p.given == p.rows {
		err = p.end()
	}
	if err == nil {
		p.unread = p.held
	}
	return err
}

// passes are those of Adam7, §8.2: where each begins, and the distance of its pixels.
var passes = [...]struct{ x, y, dx, dy int64 }{
	{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2},
}

// decodePasses reads all of an interlaced picture.
func (p *pngPixels) decodePasses() error {
	for _, pass := range passes {
		columns := (p.columns - pass.x + pass.dx - 1) / pass.dx
		clear(p.above)
		for y := pass.y; y < p.rows && columns > 0; y += pass.dy {
			if err := p.decodeLine(p.held[(y*p.columns+pass.x)*p.pixelBytes():], columns, pass.dx); err != nil {
				return err
			}
		}
	}
	return nil
}

// decodeLine inflates a line of so many pixels, undoes its filter, and writes the pixels
// to out, so many pixels apart.
func (p *pngPixels) decodeLine(out []byte, columns, distance int64) error {
	size := 1 + (p.lineBits(columns)+7)/8
	line, above := p.line[:size], p.above[:size]
	if _, err := io.ReadFull(p.inflate, line); err != nil {
		return noEOF(err)
	}
	if err := unfilter(line[0], line[1:], above[1:], int(max(p.lineBits(1)/8, 1))); err != nil {
		return err
	}
	p.line, p.above = p.above, p.line
	return p.convert(out, line[1:], int(columns), int(distance))
}

// end checks that nothing is missing behind the pixels, and that there are no more.
func (p *pngPixels) end() error {
	if n, err := io.ReadFull(p.inflate, make([]byte, 1)); n > 0 {
		return errTooMuch
	} else if err != io.EOF {
		return err
	}
	if _, err := p.data.ReadByte(); err == nil {
		return errTooMuch
	} else if err != io.EOF {
		return err
	}
	for p.chunks.kind != "IEND" {
		if p.chunks.kind == "tRNS" {
			return errTransparency
		}
		if err := p.chunks.skip(); err != nil {
			return err
		}
		if err := p.chunks.next(); err != nil {
			return err
		}
	}
	if p.chunks.left > 0 {
		return errTooMuch
	}
	if _, err := p.chunks.r.ReadByte(); err == nil {
		return errBehind
	} else if err != io.EOF {
		return err
	}
	return nil
}
