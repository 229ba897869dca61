package bulkdata

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// palette has red, green and blue of each index; black where the stream has none.
type palette [256][3]byte

// gifStream reads the blocks of a GIF (GIF89a specification, §17 to §27).
type gifStream struct {
	r             *bufio.Reader
	columns, rows int
	global        *palette // nil: none

	control gifControl // of the next frame
}

// gifControl is a Graphic Control Extension, §23.
type gifControl struct {
	disposal    byte
	transparent int // the index that leaves the canvas as it is; -1: none
}

const (
	disposeBackground = 2
	disposePrevious   = 3
)

// gifFrame is an Image Descriptor, §20, with what belongs to it.
type gifFrame struct {
	gifControl
	left, top, width, height int
	interlaced               bool
	palette                  *palette
}

// openGIF reads the header and the logical screen.
func openGIF(r io.Reader) (*gifStream, error) {
	g := &gifStream{r: bufio.NewReader(r), control: gifControl{transparent: -1}}
	var head [13]byte
	if _, err := io.ReadFull(g.r, head[:]); err != nil {
		return nil, noEOF(err)
	}
	if version := string(head[:6]); version != "GIF87a" && version != "GIF89a" {
		return nil, errors.New("not a GIF")
	}
	g.columns, g.rows = int(head[6])|int(head[7])<<8, int(head[8])|int(head[9])<<8
	var err error
	g.global, err = g.table(head[10])
	return g, err
}

// noEOF makes the end of a stream an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// table reads a colour table if the packed field says that there is one.
func (g *gifStream) table(packed byte) (*palette, error) {
	if packed&0x80 == 0 {
		return nil, nil
	}
	colours := new(palette)
	for i := range 2 << (packed & 7) {
		if _, err := io.ReadFull(g.r, colours[i][:]); err != nil {
			return nil, noEOF(err)
		}
	}
	return colours, nil
}

// next reads up to the data of the next frame. The error is io.EOF at the trailer.
func (g *gifStream) next() (gifFrame, error) {
	for {
		kind, err := g.r.ReadByte()
		if err != nil {
			return gifFrame{}, noEOF(err)
		}
		switch kind {
		case ';':
			return gifFrame{}, io.EOF
		case ',':
			return g.frame()
		case '!':
			if err := g.extension(); err != nil {
				return gifFrame{}, err
			}
		default:
			return gifFrame{}, fmt.Errorf("unknown block %#x", kind)
		}
	}
}

func (g *gifStream) frame() (gifFrame, error) {
	var d [9]byte
	if _, err := io.ReadFull(g.r, d[:]); err != nil {
		return gifFrame{}, noEOF(err)
	}
	f := gifFrame{
		gifControl: g.control,
		left:       int(d[0]) | int(d[1])<<8, top: int(d[2]) | int(d[3])<<8,
		width: int(d[4]) | int(d[5])<<8, height: int(d[6]) | int(d[7])<<8,
		interlaced: d[8]&0x40 != 0,
	}
	g.control = gifControl{transparent: -1}
	if f.left+f.width > g.columns || f.top+f.height > g.rows { // §20 forbids it
		return f, errors.New("a frame exceeds the logical screen")
	}
	local, err := g.table(d[8])
	if err != nil {
		return f, err
	}
	if f.palette = local; local == nil {
		f.palette = g.global
	}
	if f.palette == nil {
		return f, errors.New("a frame without colours")
	}
	return f, nil
}

// extension reads a Graphic Control Extension and skips others.
func (g *gifStream) extension() error {
	label, err := g.r.ReadByte()
	if err != nil {
		return noEOF(err)
	}
	if label == 0xF9 {
		control, err := g.r.Peek(5)
		if err != nil {
			return noEOF(err)
		}
		if control[0] == 4 {
			g.control.disposal, g.control.transparent = control[1]>>2&7, -1
			if control[1]&1 != 0 {
				g.control.transparent = int(control[4])
			}
		}
	}
	return (&subBlocks{r: g.r}).skip()
}

// skipData skips the pixels of a frame.
func (g *gifStream) skipData() error {
	if _, err := g.r.ReadByte(); err != nil {
		return noEOF(err)
	}
	return (&subBlocks{r: g.r}).skip()
}

// subBlocks reads the data of sub-blocks, §15, up to the terminator.
type subBlocks struct {
	r    *bufio.Reader
	left int // of the current one
	done bool
}

// ReadByte implements io.ByteReader, without which lzw would add a buffer.
func (s *subBlocks) ReadByte() (byte, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	s.left--
	c, err := s.r.ReadByte()
	return c, noEOF(err)
}

// Read implements io.Reader.
func (s *subBlocks) Read(p []byte) (int, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, noEOF(err)
}

// begin makes sure that a byte is left in the current sub-block.
func (s *subBlocks) begin() error {
	if s.left > 0 {
		return nil
	}
	if s.done {
		return io.EOF
	}
	size, err := s.r.ReadByte()
	if err != nil {
		return noEOF(err)
	}
	if s.left, s.done = int(size), size == 0; s.done {
		return io.EOF
	}
	return nil
}

// skip goes behind the terminator.
func (s *subBlocks) skip() error {
	for {
		if err := s.begin(); err != nil {
			if err == io.EOF { //nolint:errorlint // begin's own
				return nil
			}
			return err
		}
		if _, err := s.r.Discard(s.left); err != nil {
			return noEOF(err)
		}
		s.left = 0
	}
}

// lines yields the rows of the canvas in the order in which a frame has them,
// §20 and Appendix E.
func (f gifFrame) lines() func(func(int) bool) {
	passes := []struct{ start, step int }{{0, 1}}
	if f.interlaced {
		passes = []struct{ start, step int }{{0, 8}, {4, 8}, {2, 4}, {1, 2}}
	}
	return func(yield func(int) bool) {
		for _, pass := range passes {
			for y := pass.start; y < f.height; y += pass.step {
				if !yield(f.top + y) {
					return
				}
			}
		}
	}
}
