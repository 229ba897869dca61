package bulkdata

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// PS3.6 Table A-1. Those from extended arithmetic to lossless arithmetic, except
// lossless, are retired. An instance that has one is not what PS3.5 §8.2.1 wants
// today, but the stream must not be changed, no other syntax describes it, and
// decoders that go by its markers show it; progressive JPEG is what most programs
// outside of medicine write.
const (
	jpegBaseline              = "1.2.840.10008.1.2.4.50"
	jpegExtended              = "1.2.840.10008.1.2.4.51"
	jpegExtendedArithmetic    = "1.2.840.10008.1.2.4.52"
	jpegProgressive           = "1.2.840.10008.1.2.4.55"
	jpegProgressiveArithmetic = "1.2.840.10008.1.2.4.56"
	jpegLossless              = "1.2.840.10008.1.2.4.57"
	jpegLosslessArithmetic    = "1.2.840.10008.1.2.4.58"
	jpegLosslessSV1           = "1.2.840.10008.1.2.4.70"
	jpegLSLossless            = "1.2.840.10008.1.2.4.80"
	jpegLSNearLossless        = "1.2.840.10008.1.2.4.81"
)

var jpegSyntaxes = []string{
	jpegBaseline, jpegExtended, jpegExtendedArithmetic, jpegProgressive, jpegProgressiveArithmetic,
	jpegLossless, jpegLosslessArithmetic, jpegLosslessSV1, jpegLSLossless, jpegLSNearLossless,
}

// Markers of ISO/IEC 10918-1 Table B.1 and ISO/IEC 14495-1 Table C.1.
const (
	markerSOI   = 0xD8
	markerEOI   = 0xD9
	markerSOS   = 0xDA
	markerAPP14 = 0xEE
	markerSOF55 = 0xF7
)

// jpegHead is what the marker segments before the first scan's data say.
type jpegHead struct {
	process        byte // the SOF marker; 0: not seen yet
	precision      int
	lines, samples int
	components     []byte // their identifiers
	adobe          int    // colour transform of an Adobe APP14 segment; -1: none
	predictor      byte   // of the first scan; in JPEG-LS it is NEAR, the allowed error
	mapping        byte   // of the first scan: the table that its samples are indices of
	scanData       int    // where the first scan's data begin
}

// inspectJPEG reads JPEG and JPEG-LS. Both media types go by the frame marker.
func inspectJPEG(s source) (Image, error) {
	h, err := readJPEG(s.head)
	if err != nil {
		return Image{}, damaged(err)
	}
	img := Image{
		SamplesPerPixel: len(h.components),
		Rows:            h.lines,
		Columns:         h.samples,
		BitsAllocated:   wholeBytes(h.precision),
		BitsStored:      h.precision,
		scanBytes:       int64(h.scanData),
	}
	if h.precision < 2 || h.precision > 16 {
		return Image{}, damaged(fmt.Errorf("%d bits a sample", h.precision))
	}
	if n := len(h.components); n != 1 && n != 3 {
		return Image{}, fmt.Errorf("the image has %d components, but DICOM has images of one and of three: convert it", n)
	}
	img.PhotometricInterpretation = h.photometric()
	allowed, err := h.syntaxes()
	if err != nil {
		return img, err
	}
	switch h.process {
	case markerSOF55:
		if img.Lossy = h.predictor > 0; img.Lossy {
			img.LossyMethod = "ISO_14495_1"
		}
	case 0xC3, 0xCB:
	default:
		img.Lossy, img.LossyMethod = true, "ISO_10918_1"
	}
	if img.TransferSyntaxUID, err = s.choose(allowed...); err != nil {
		return img, err
	}
	if h.mapping != 0 {
		return img, errors.New("the samples are indices of a JPEG-LS mapping table: convert the image to RGB")
	}
	if h.lines == 0 { // they follow the scan, or, in JPEG-LS, are in an LSE segment
		return Image{TransferSyntaxUID: img.TransferSyntaxUID, scanBytes: img.scanBytes}, nil
	}
	return img, checkSize(int64(h.lines), int64(h.samples))
}

// jpegProcesses has the transfer syntaxes of each SOF marker (PS3.5 §A.4.1, §A.4.3), the
// closest one first. The baseline process is "required for all DCT-based decoders"
// (ISO/IEC 10918-1 §4.11 Table 1), so those of the extended processes read it.
var jpegProcesses = map[byte][]string{
	0xC0:        {jpegBaseline, jpegExtended},
	0xC1:        {jpegExtended},
	0xC2:        {jpegProgressive},
	0xC3:        {jpegLosslessSV1, jpegLossless},
	0xC9:        {jpegExtendedArithmetic},
	0xCA:        {jpegProgressiveArithmetic},
	0xCB:        {jpegLosslessArithmetic},
	markerSOF55: {jpegLSLossless, jpegLSNearLossless}, // near-lossless with an error of zero is allowed
}

// syntaxes returns the transfer syntaxes that fit. The first scan stands for all.
func (h jpegHead) syntaxes() ([]string, error) {
	allowed := jpegProcesses[h.process]
	switch {
	case len(allowed) == 0:
		return nil, errors.New("DICOM has no transfer syntax for hierarchical JPEG: encode the image otherwise")
	case h.process == 0xC0 && h.precision != 8: // ISO/IEC 10918-1 Table B.2
		return nil, damaged(fmt.Errorf("a baseline frame of %d bits", h.precision))
	case h.process == 0xC3 && h.predictor != 1, h.process == markerSOF55 && h.predictor != 0:
		return allowed[1:], nil // Process 14 has all predictors, .70 the first only; .80 is without error
	}
	return allowed, nil
}

// photometric names the colours of the components, which neither JPEG nor PS3.5
// tells for sure.
//
// Lossless and JPEG-LS streams are compressed as they are, and that is RGB (PS3.5
// §8.2.3 note 2). Of a lossy stream it is RGB when an Adobe segment or the
// components' names say so, as the well-known decoders understand them. Otherwise
// it is YBR_FULL_422 whatever the sampling, 4:4:4 and 4:2:0 included: PS3.5 Table
// 8.2.1-1 allows lossy JPEG no third value, and its note 1 leaves the sampling to
// the stream. A JFIF segment is not asked, as §8.2.1 note 3 wants.
func (h jpegHead) photometric() string {
	if len(h.components) == 1 {
		return monochrome2
	}
	switch h.process {
	case 0xC3, 0xCB, markerSOF55:
		return rgb
	}
	if h.adobe == 0 {
		return rgb
	}
	if h.adobe < 0 && string(h.components) == "RGB" {
		return rgb
	}
	return ybrFull422
}

// readJPEG walks the marker segments up to the first scan.
func readJPEG(data []byte) (jpegHead, error) {
	h := jpegHead{adobe: -1}
	if len(data) < 2 {
		return h, ErrShort
	}
	if data[0] != 0xFF || data[1] != markerSOI {
		return h, errors.New("no start of image")
	}
	for at := 2; ; {
		for at+1 < len(data) && data[at] == 0xFF && data[at+1] == 0xFF {
			at++ // fill bytes
		}
		if at+1 >= len(data) {
			return h, ErrShort
		}
		marker := data[at+1]
		if data[at] != 0xFF || marker < 0xC0 || marker >= 0xD0 && marker <= markerEOI {
			return h, fmt.Errorf("no marker segment at byte %d", at)
		}
		if at+4 > len(data) {
			return h, ErrShort
		}
		end := at + 2 + int(binary.BigEndian.Uint16(data[at+2:]))
		if end < at+4 {
			return h, fmt.Errorf("a marker segment of no length at byte %d", at)
		}
		if end > len(data) {
			return h, ErrShort
		}
		done, err := h.segment(marker, data[at+4:end])
		if done || err != nil {
			h.scanData = end
			return h, err
		}
		at = end
	}
}

// segment reads one marker segment. done: it was the head of the first scan.
func (h *jpegHead) segment(marker byte, body []byte) (done bool, err error) {
	switch {
	case marker == markerSOS:
		return true, h.scan(body)
	case marker == markerAPP14:
		if len(body) >= 12 && string(body[:5]) == "Adobe" {
			h.adobe = int(body[11])
		}
	case marker == markerSOF55, marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC:
		return false, h.frame(marker, body)
	}
	return false, nil
}

// frame reads a frame header, ISO/IEC 10918-1 §B.2.2.
func (h *jpegHead) frame(marker byte, body []byte) error {
	if h.process != 0 {
		return errors.New("two frames")
	}
	if len(body) < 6 || len(body) < 6+3*int(body[5]) {
		return errors.New("the frame header is cut")
	}
	h.process, h.precision = marker, int(body[0])
	h.lines = int(binary.BigEndian.Uint16(body[1:]))
	h.samples = int(binary.BigEndian.Uint16(body[3:]))
	for c := body[6 : 6+3*int(body[5])]; len(c) > 0; c = c[3:] {
		h.components = append(h.components, c[0])
	}
	return nil
}

// scan reads a scan header: ISO/IEC 10918-1 §B.2.3, where the predictor is the
// byte after the components; in ISO/IEC 14495-1 §C.2.3 that byte is NEAR.
func (h *jpegHead) scan(body []byte) error {
	if h.process == 0 {
		return errors.New("a scan before the frame")
	}
	if len(body) < 1 || len(body) < 1+2*int(body[0])+3 {
		return errors.New("the scan header is cut")
	}
	h.predictor = body[1+2*int(body[0])]
	if h.process == markerSOF55 && body[0] > 0 {
		h.mapping = body[2]
	}
	return nil
}
