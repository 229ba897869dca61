package bulkdata

import "errors"

// coding is how the first frame of a JPEG XL codestream is coded.
type coding int

const (
	unknownCoding coding = iota
	varDCT
	modular
)

// jxlHead is what the headers of a JPEG XL codestream say.
type jxlHead struct {
	rows, columns int64
	bits          int
	float         bool
	grey          bool
	xyb           bool // the samples are XYB, whatever the colours of the image
	ycbcr         bool // the samples are those of a YCbCr JPEG
	extraChannels uint32
	animation     bool
	frame         coding
}

// readJPEGXL reads the headers of ISO/IEC 18181-1: SizeHeader (§D.2), ImageMetadata
// (§D.3), and as much of the first FrameHeader (§F.2) as says how it is coded.
func readJPEGXL(codestream []byte) (jxlHead, error) {
	var h jxlHead
	if len(codestream) < 2 {
		return h, ErrShort
	}
	if codestream[0] != 0xFF || codestream[1] != 0x0A {
		return h, errors.New("no start of a JPEG XL codestream")
	}
	b := &lsbReader{data: codestream, at: 16}
	h.rows, h.columns = b.size()
	toFrame := h.metadata(b)
	if b.short {
		return h, ErrShort
	}
	if h.extraChannels == 0 && !h.float && toFrame {
		h.firstFrame(b)
		if b.short {
			return h, ErrShort
		}
	}
	return h, nil
}

// size reads a SizeHeader.
func (b *lsbReader) size() (rows, columns int64) {
	small := b.flag()
	side := func() int64 {
		if small {
			return 8 * (1 + int64(b.u(5)))
		}
		return int64(b.u32([4]distribution{{1, 9}, {1, 13}, {1, 18}, {1, 30}}))
	}
	rows = side()
	switch b.u(3) {
	case 1:
		return rows, rows
	case 2:
		return rows, rows * 12 / 10
	case 3:
		return rows, rows * 4 / 3
	case 4:
		return rows, rows * 3 / 2
	case 5:
		return rows, rows * 16 / 9
	case 6:
		return rows, rows * 5 / 4
	case 7:
		return rows, rows * 2
	}
	return rows, side()
}

// metadata reads ImageMetadata. toFrame: the frame header follows, and nothing that
// only a decoder can read is between.
func (h *jxlHead) metadata(b *lsbReader) (toFrame bool) {
	h.bits, h.xyb = 8, true
	if b.flag() {
		return false // XYB: nothing else is of interest
	}
	extraFields, preview := b.flag(), false
	if extraFields {
		if b.u(3) >= 4 { // orientations that a decoder turns by a quarter, §D.3.2
			h.rows, h.columns = h.columns, h.rows
		}
		if b.flag() {
			b.size() // of display
		}
		preview = b.flag()
		if preview {
			b.previewSize()
		}
		if h.animation = b.flag(); h.animation {
			b.u32([4]distribution{{100, 0}, {1000, 0}, {1, 10}, {1, 30}})
			b.u32([4]distribution{{1, 0}, {1001, 0}, {1, 8}, {1, 10}})
			b.u32([4]distribution{{0, 0}, {0, 3}, {0, 16}, {0, 32}})
			b.flag()
		}
	}
	if h.float = b.flag(); h.float {
		h.bits = int(b.u32([4]distribution{{32, 0}, {16, 0}, {24, 0}, {1, 6}}))
		b.u(4)
	} else {
		h.bits = int(b.u32([4]distribution{{8, 0}, {10, 0}, {12, 0}, {1, 6}}))
	}
	b.flag() // whether 16 bits are enough for a decoder
	h.extraChannels = b.u32([4]distribution{{0, 0}, {1, 0}, {2, 4}, {1, 12}})
	if h.extraChannels > 0 {
		return false // what follows describes them
	}
	h.xyb = b.flag()
	profile := h.colours(b)
	if extraFields && !b.flag() { // tone mapping
		b.u(32)
		b.flag()
		b.u(16)
	}
	extensions := b.u64()
	return !preview && !profile && extensions == 0 && b.flag()
}

// previewSize skips a PreviewHeader.
func (b *lsbReader) previewSize() {
	side := [4]distribution{{1, 6}, {65, 8}, {321, 10}, {1345, 12}}
	if b.flag() {
		side = [4]distribution{{16, 0}, {32, 0}, {1, 5}, {33, 9}}
	}
	b.u32(side)
	if b.u(3) == 0 {
		b.u32(side)
	}
}

// colours reads ColourEncoding, §E.2. profile: an ICC profile takes its place.
func (h *jxlHead) colours(b *lsbReader) (profile bool) {
	if b.flag() {
		return false // sRGB
	}
	const inGrey, inXYB, custom = 1, 2, 2
	profile = b.flag()
	space := b.enum()
	h.grey = space == inGrey
	if profile {
		return true
	}
	point := func() {
		for range 2 {
			b.u32([4]distribution{{0, 19}, {524288, 19}, {1048576, 20}, {2097152, 21}})
		}
	}
	if space == inXYB {
		b.enum() // rendering intent
		return false
	}
	if b.enum() == custom { // white point
		point()
	}
	if space != inGrey && b.enum() == custom { // primaries
		for range 3 {
			point()
		}
	}
	if b.flag() { // gamma
		b.u(24)
	} else {
		b.enum()
	}
	b.enum() // rendering intent
	return false
}

// firstFrame reads how a regular first frame is coded. Frames of other types serve
// the regular one and may be coded in another way.
func (h *jxlHead) firstFrame(b *lsbReader) {
	b.at = (b.at + 7) &^ 7
	if b.flag() {
		h.frame = varDCT
		return
	}
	if b.u(2) != 0 {
		return
	}
	h.frame = varDCT
	if b.flag() {
		h.frame = modular
	}
	b.u64() // flags
	h.ycbcr = !h.xyb && b.flag()
}
