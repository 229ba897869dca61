package bulkdata

import (
	"errors"
	"fmt"
)

// PS3.6 Table A-1.
const (
	jpegXLLossless      = "1.2.840.10008.1.2.4.110"
	jpegXLRecompression = "1.2.840.10008.1.2.4.111"
	jpegXL              = "1.2.840.10008.1.2.4.112"
)

var jpegXLSyntaxes = []string{jpegXLLossless, jpegXLRecompression, jpegXL}

// jxlHeadBytes is more than the headers up to the first frame's coding need.
const jxlHeadBytes = 1024

// inspectJPEGXL reads a bare codestream or one in the boxes of ISO/IEC 18181-2.
// The stream is stored as it comes, with its boxes: PS3.5 §A.4.12 only says that a
// frame is one fragment, and without its jbrd box a recompressed JPEG could not be
// had back.
func inspectJPEGXL(s source) (Image, error) {
	f, err := readJXLBoxes(s.head)
	if err != nil {
		return Image{}, err
	}
	h, err := readJPEGXL(f.codestream)
	if errors.Is(err, ErrShort) && f.whole {
		err = errors.New("the codestream is cut")
	}
	if err != nil {
		return Image{}, err
	}
	img := Image{
		SamplesPerPixel:           3,
		PhotometricInterpretation: h.photometric(f.jpeg),
		Rows:                      int(h.rows),
		Columns:                   int(h.columns),
		BitsAllocated:             wholeBytes(h.bits),
		BitsStored:                h.bits,
	}
	if h.grey {
		img.SamplesPerPixel = 1
	}
	if err := h.describable(); err != nil {
		return img, err
	}
	if img.TransferSyntaxUID, err = s.choose(h.syntaxes(f.jpeg)...); err != nil {
		return img, err
	}
	switch {
	case f.jpeg || img.TransferSyntaxUID == jpegXLRecompression:
		img.Lossy, img.LossyMethod = true, "ISO_10918_1" // by the JPEG that it was; JPEG XL added nothing
	case h.xyb || h.frame == varDCT:
		img.Lossy, img.LossyMethod = true, "ISO_18181_1"
	}
	return img, checkSize(h.rows, h.columns)
}

// describable refuses what the Image Pixel attributes cannot say.
func (h jxlHead) describable() error {
	switch {
	case h.float:
		return errors.New("the samples are floating point numbers")
	case h.extraChannels > 0:
		return fmt.Errorf("%d channels besides the colours: DICOM has no transparency", h.extraChannels)
	case h.animation:
		return errors.New("an animation: DICOM has one frame a stream") // PS3.5 §A.4.12
	}
	return nil
}

// syntaxes returns the transfer syntaxes that fit (PS3.5 §A.4.12); .112 is for any
// stream. What a stream tells is that it is XYB or VarDCT, which lose, and, by the
// jbrd box, that it is a JPEG that can be had back. What it does not tell is whether
// a Modular stream in the image's own colours is lossless, as it mostly is; whether
// a VarDCT stream in those colours is a JPEG that lost its jbrd box; and, behind an
// ICC profile, which is coded as the pixels are, how the frame is coded at all.
func (h jxlHead) syntaxes(jpeg bool) []string {
	switch {
	case h.xyb:
		return []string{jpegXL}
	case jpeg:
		return []string{jpegXLRecompression, jpegXL}
	case h.frame == varDCT:
		return []string{jpegXL, jpegXLRecompression}
	case h.frame == modular:
		return []string{jpegXL, jpegXLLossless}
	}
	return []string{jpegXL, jpegXLLossless, jpegXLRecompression}
}

// photometric follows PS3.5 Table 8.2.15-1, in which colours of a JPEG are
// YBR_FULL_422 or RGB. Where the ICC profile hides which, they are what JPEGs
// mostly have.
func (h jxlHead) photometric(jpeg bool) string {
	switch {
	case h.grey:
		return monochrome2
	case h.xyb:
		return xyb
	case h.ycbcr, jpeg && h.frame == unknownCoding:
		return ybrFull422
	}
	return rgb
}

// jxlFile is what the boxes say.
type jxlFile struct {
	codestream []byte // its first bytes
	whole      bool   // there is no more of it
	jpeg       bool   // there is a jbrd box, which gives the JPEG back
}

// readJXLBoxes finds the codestream, which one jxlc or several jxlp boxes hold. The
// jbrd box comes before the codestream, or before its second part (as libjxl has it).
func readJXLBoxes(head []byte) (jxlFile, error) {
	var f jxlFile
	if len(head) < 12 {
		return f, ErrShort
	}
	if head[0] == 0xFF && head[1] == 0x0A {
		f.codestream = head[:min(len(head), jxlHeadBytes)]
		return f, nil
	}
	if string(head[:12]) != "\x00\x00\x00\x0CJXL \r\n\x87\n" {
		return f, errors.New("neither a JPEG XL codestream nor a JPEG XL file")
	}
	for at := int64(12); at >= 0 && !f.whole; {
		b, err := boxAt(head, at)
		if err != nil {
			return f, err
		}
		switch b.kind {
		case "jbrd":
			f.jpeg = true
		case "jxlc":
			f.add(b.body)
			f.whole = b.whole()
			return f, nil
		case "jxlp": // a number, its highest bit set in the last part, comes first
			if len(b.body) < 4 {
				return f, boxCut(b)
			}
			f.add(b.body[4:])
			f.whole = b.whole() && b.body[0]&0x80 != 0
			if !b.whole() && len(f.codestream) >= jxlHeadBytes {
				return f, nil
			}
		}
		at = b.next()
	}
	if !f.whole {
		return f, errors.New("a JPEG XL file without the end of its codestream")
	}
	return f, nil
}

// add appends to what is known of the codestream, up to jxlHeadBytes.
func (f *jxlFile) add(part []byte) {
	f.codestream = append(f.codestream, part[:min(len(part), jxlHeadBytes-len(f.codestream))]...)
}

// boxCut says why a box has too little content.
func boxCut(b box) error {
	if b.whole() {
		return fmt.Errorf("the box %q is cut", b.kind)
	}
	return ErrShort
}
