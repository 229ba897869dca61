package bulkdata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// PS3.6 Table A-1.
const (
	jpeg2000Lossless      = "1.2.840.10008.1.2.4.90"
	jpeg2000              = "1.2.840.10008.1.2.4.91"
	jpeg2000Part2Lossless = "1.2.840.10008.1.2.4.92"
	jpeg2000Part2         = "1.2.840.10008.1.2.4.93"
	htj2kLossless         = "1.2.840.10008.1.2.4.201"
	htj2kLosslessRPCL     = "1.2.840.10008.1.2.4.202"
	htj2k                 = "1.2.840.10008.1.2.4.203"
)

var jpeg2000Syntaxes = []string{
	jpeg2000Lossless, jpeg2000, jpeg2000Part2Lossless, jpeg2000Part2, htj2kLossless, htj2kLosslessRPCL, htj2k,
}

// Markers of ISO/IEC 15444-1 Table A.2.
const (
	markerSOC = 0xFF4F
	markerCAP = 0xFF50
	markerSIZ = 0xFF51
	markerCOD = 0xFF52
	markerCOC = 0xFF53
	markerTLM = 0xFF55
	markerSOT = 0xFF90
)

// codestream is what the main header of a JPEG 2000 codestream says (ISO/IEC
// 15444-1 §A.4 to §A.6). A tile may say otherwise in its own header, which is not
// looked at.
type codestream struct {
	highThroughput bool // Part 15: a CAP segment names it, which it must have; bit 14 of Rsiz alone may be anything
	extensions     bool // Part 2: bit 15 of Rsiz
	rows, columns  int64
	components     int
	bits           int
	signed         bool
	uniform        bool // all components have the same bits, sign and, being 1, subsampling

	coded           bool // COD was seen
	rpcl            bool // progression order
	transform       bool // multiple component transform
	levels          int  // of decomposition
	wavelet         byte // 1: the reversible 5-3
	exception       bool // a component has another wavelet than that, by COC
	tilePartLengths bool // TLM was seen

	headerBytes int // that were read: with SOT all of the main header
}

// inspectJPEG2000 reads the four media types of JPEG 2000. Whether there are JP2
// boxes around the codestream does not depend on them.
func inspectJPEG2000(s source) (Image, error) {
	f, c, err := readJPEG2000(s.head)
	if errors.Is(err, ErrShort) && len(s.head) == HeadBytes {
		// Nobody could say where the codestream begins, or whether it is one.
		err = fmt.Errorf("no main header in the first %d bytes", HeadBytes)
	}
	if err != nil {
		return Image{}, damaged(err)
	}
	img := Image{
		SamplesPerPixel: c.components,
		Rows:            int(c.rows),
		Columns:         int(c.columns),
		BitsAllocated:   wholeBytes(c.bits),
		BitsStored:      c.bits,
		Lossy:           !c.reversible(),
		SkipBytes:       f.codestream.start,
		CodestreamBytes: max(f.codestream.length, 0),
		scanBytes:       int64(c.headerBytes),
	}
	if c.signed {
		img.PixelRepresentation = 1
	}
	if img.Lossy {
		img.LossyMethod = "ISO_15444_1"
		if c.highThroughput {
			img.LossyMethod = "ISO_15444_15"
		}
	}
	if img.TransferSyntaxUID, err = s.choose(c.syntaxes(s.mediaType)...); err != nil {
		return img, err
	}
	if c.extensions && c.components != 1 && c.components != 3 { // frames may be components, PS3.5 §A.4.5
		stated, err := s.undescribed(fmt.Errorf("the stream has %d components", c.components))
		stated.SkipBytes, stated.CodestreamBytes, stated.scanBytes = img.SkipBytes, img.CodestreamBytes, img.scanBytes
		return stated, err
	}
	if err := c.describable(f); err != nil {
		return img, err
	}
	img.PhotometricInterpretation = c.photometric(f)
	return img, checkSize(c.rows, c.columns)
}

// readJPEG2000 reads the boxes, and the main header of the codestream in them.
func readJPEG2000(head []byte) (jp2File, codestream, error) {
	f, err := readJP2(head)
	if err != nil {
		return f, codestream{}, err
	}
	c, err := readCodestream(f.codestream.body)
	switch {
	case !errors.Is(err, ErrShort):
	case f.codestream.whole():
		err = errors.New("the codestream box ends inside the main header")
	case len(head) == HeadBytes && c.components > 0 && c.coded:
		err = nil // what is a megabyte long are packet headers and lengths, which say nothing more
	}
	return f, c, err
}

// describable refuses what the Image Pixel attributes cannot say.
func (c codestream) describable(f jp2File) error {
	switch {
	case f.palette:
		return errors.New("the samples are indices of a palette that DICOM would not have: convert the image to RGB")
	case c.components != 1 && c.components != 3:
		return fmt.Errorf("the image has %d components, but DICOM has images of one and of three: convert it", c.components)
	case c.bits > 38: // ISO/IEC 15444-1 Table A.11
		return damaged(fmt.Errorf("%d bits a sample", c.bits))
	case !c.uniform:
		return errors.New("the components differ in bits, sign or size, which DICOM cannot describe: encode them alike")
	}
	return nil
}

// syntaxes returns the transfer syntaxes that fit (PS3.5 §A.4.4, §A.4.5, §10.18).
// Those without "lossless" are for any stream of their kind. That a reversible
// stream was not cut before its last layer cannot be seen.
//
// Where media type and codestream disagree, the codestream decides: a decoder for
// Part 1 fails on the extensions of Part 2 and on the block coder of Part 15. Only
// a Part 1 codestream that is sent as image/jpx has the syntaxes of Part 2, as
// PS3.18 Table 8.7.3-5 says; decoders for Part 2 read it.
func (c codestream) syntaxes(mediaType string) []string {
	switch {
	case c.highThroughput && !c.reversible():
		return []string{htj2k}
	case c.highThroughput && c.rpcl && c.tilePartLengths && c.smallest() <= 64:
		return []string{htj2kLosslessRPCL, htj2kLossless, htj2k}
	case c.highThroughput:
		return []string{htj2kLossless, htj2k}
	case c.extensions || mediaType == typeJPX: // of Part 1 where the sender says so: archives have any Rsiz
		if c.reversible() {
			return []string{jpeg2000Part2Lossless, jpeg2000Part2, jpeg2000Lossless, jpeg2000}
		}
		return []string{jpeg2000Part2, jpeg2000}
	case c.reversible():
		return []string{jpeg2000Lossless, jpeg2000}
	}
	return []string{jpeg2000}
}

func (c codestream) reversible() bool { return c.wavelet == 1 && !c.exception }

// smallest is the shorter side of the lowest resolution, which PS3.5 §10.18 wants
// to be 64 or less for HTJ2K Lossless RPCL ("width or height").
func (c codestream) smallest() int64 {
	side := min(c.rows, c.columns)
	for range c.levels {
		side = (side + 1) / 2
	}
	return side
}

// photometric follows PS3.5 §8.2.4: the component transform decides, and without
// one the colours are those that the components have, which the boxes tell.
func (c codestream) photometric(f jp2File) string {
	switch {
	case c.components == 1:
		return monochrome2
	case c.transform && c.reversible():
		return ybrRCT
	case c.transform:
		return ybrICT
	case f.colourspace == 18: // sYCC, ISO/IEC 15444-1 Table I.10
		return ybrFull
	}
	return rgb
}

// readCodestream walks the marker segments of the main header. With ErrShort it
// returns what it has read.
func readCodestream(data []byte) (codestream, error) {
	var c codestream
	if len(data) < 2 {
		return c, ErrShort
	}
	if binary.BigEndian.Uint16(data) != markerSOC {
		return c, errors.New("no start of codestream")
	}
	all := len(data)
	for data = data[2:]; ; {
		if c.headerBytes = all - len(data); len(data) < 2 {
			return c, ErrShort
		}
		marker := binary.BigEndian.Uint16(data)
		if marker == markerSOT {
			break
		}
		if marker < 0xFF00 || marker >= 0xFF30 && marker <= 0xFF3F || marker > markerSOT {
			return c, fmt.Errorf("%#04x is no marker of a main header", marker)
		}
		if len(data) < 4 {
			return c, ErrShort
		}
		length := int(binary.BigEndian.Uint16(data[2:]))
		if length < 2 {
			return c, errors.New("a marker segment of no length")
		}
		if len(data) < 2+length {
			return c, ErrShort
		}
		if err := c.segment(marker, data[4:2+length]); err != nil {
			return c, err
		}
		data = data[2+length:]
	}
	if c.components == 0 || !c.coded {
		return c, errors.New("the main header lacks SIZ or COD")
	}
	return c, nil
}

func (c *codestream) segment(marker uint16, body []byte) error {
	switch marker {
	case markerSIZ:
		return c.size(body)
	case markerCAP:
		// Pcap: bit 15 from the top, which is Part 15 (ISO/IEC 15444-15 §A.3).
		c.highThroughput = c.highThroughput || len(body) >= 4 && binary.BigEndian.Uint32(body)&(1<<17) != 0
	case markerCOD:
		if len(body) < 10 {
			return errors.New("the COD segment is cut")
		}
		c.coded, c.rpcl, c.transform = true, body[1] == 2, body[4] == 1
		c.levels, c.wavelet = int(min(body[5], 32)), body[9]
	case markerCOC:
		wavelet := 6
		if c.components > 256 { // the number of the component has two bytes
			wavelet = 7
		}
		if len(body) <= wavelet {
			return errors.New("the COC segment is cut")
		}
		c.exception = c.exception || body[wavelet] != 1
	case markerTLM:
		c.tilePartLengths = true
	}
	return nil
}

// size reads SIZ, ISO/IEC 15444-1 §A.5.1.
func (c *codestream) size(body []byte) error {
	if len(body) < 36 {
		return errors.New("the SIZ segment is cut")
	}
	number := func(at int) int64 { return int64(binary.BigEndian.Uint32(body[at:])) }
	capabilities := binary.BigEndian.Uint16(body)
	c.extensions = capabilities&(1<<15) != 0
	c.columns, c.rows = number(2)-number(10), number(6)-number(14)
	c.components = int(binary.BigEndian.Uint16(body[34:]))
	components := body[36:]
	if c.components == 0 || len(components) != 3*c.components {
		return errors.New("the SIZ segment does not describe its components")
	}
	c.bits, c.signed = int(components[0]&0x7F)+1, components[0]&0x80 != 0
	c.uniform = true
	for each := range slices.Chunk(components, 3) {
		c.uniform = c.uniform && each[0] == components[0] && each[1] == 1 && each[2] == 1
	}
	return nil
}
