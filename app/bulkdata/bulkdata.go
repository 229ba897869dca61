// Package bulkdata knows the compressed bulkdata media types of PS3.18 Table
// 10.5.2-1: what a bit stream says of its image, which transfer syntax it is,
// and, for PNG and GIF, which pixels.
//
// Nothing here allocates by a length that a stream declares, and no stream needs
// more memory than its head or, for pixels, than Configure said.
package bulkdata

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// HeadBytes is how much of the front of a stream Inspect looks at. Heads in use
// are a few kilobytes; those with large colour profiles or, in MP4, the tables of
// an hour of video may reach some hundred. A longer head is an error that says so.
const HeadBytes = 1 << 20

// ErrShort says that what is known of the stream is not enough yet. It is given
// only while there may be more: never for a complete stream, nor by Inspect for a
// head of HeadBytes.
var ErrShort = errors.New("more of the bulkdata is needed")

// Image is the Image Pixel Description Macro (PS3.3 Table C.7-11c) as the bit
// stream tells it, and the stream's transfer syntax. Zero is what the stream does
// not tell.
type Image struct {
	TransferSyntaxUID         string
	SamplesPerPixel           int // 1 or 3
	PhotometricInterpretation string
	Rows, Columns             int // 1 to 65535
	BitsAllocated, BitsStored int // High Bit is BitsStored-1
	PixelRepresentation       int // 1: signed. JPEG does not tell and has 0
	PlanarConfiguration       int // always 0: colour by pixel. Only for three samples

	// Lossy says that the stream itself gives away that it lost something: Lossy
	// Image Compression (0028,2110) is 01. False is no proof of the contrary: a
	// reversible stream may have been cut, or made of an image that had lost before.
	Lossy bool
	// LossyMethod is a defined term of Lossy Image Compression Method (0028,2114),
	// PS3.3 §C.7.6.1.1.5.1; empty when not Lossy.
	LossyMethod string

	NumberOfFrames int     // of a video whose container tells it, and of a GIF of several frames
	FrameTime      float64 // of a video, in milliseconds

	// SkipBytes is how many bytes at the front of the part are not the codestream,
	// and CodestreamBytes the length of the codestream behind them; 0: up to the end
	// of the part. Only JPEG 2000 files have such a front: PS3.5 §A.4.4 forbids their
	// boxes in Pixel Data.
	SkipBytes, CodestreamBytes int64
}

// The media types of PS3.18 Table 10.5.2-1.
const (
	typeJPEG = "image/jpeg"
	typeJLS  = "image/jls"
	typeJP2  = "image/jp2"
	typeJPX  = "image/jpx"
	typeJPH  = "image/jph"
	typeJPHC = "image/jphc"
	typeJXL  = "image/jxl"
	typeRLE  = "image/dicom-rle"
	typeMPEG = "video/mpeg"
	typeMP4  = "video/mp4"
	typeH265 = "video/h265"
	typePNG  = "image/png"
	typeGIF  = "image/gif"
)

// Photometric Interpretation, PS3.3 §C.7.6.3.1.2.
const (
	monochrome2   = "MONOCHROME2"
	rgb           = "RGB"
	xyb           = "XYB"
	ybrFull       = "YBR_FULL"
	ybrFull422    = "YBR_FULL_422"
	ybrICT        = "YBR_ICT"
	ybrRCT        = "YBR_RCT"
	ybrPartial420 = "YBR_PARTIAL_420"
)

// source is the head of a stream and what is known about it.
type source struct {
	mediaType string
	head      []byte
	complete  bool   // head is the whole stream
	said      string // the transfer syntax its sender names, when it is one of this family
}

// mayGrow says that a longer head may be asked for.
func (s source) mayGrow() bool { return !s.complete && len(s.head) < HeadBytes }

// family returns the inspector of a media type and the transfer syntaxes that its
// streams may have. It is wider than PS3.18 Table 8.7.3-5 where the stream
// decides: JPEG-LS comes as image/jpeg, HTJ2K as image/jp2, H.265 as video/mp4.
func family(mediaType string) (func(source) (Image, error), []string) {
	switch strings.ToLower(mediaType) {
	case typeJPEG, typeJLS:
		return inspectJPEG, jpegSyntaxes
	case typeJP2, typeJPX, typeJPH, typeJPHC:
		return inspectJPEG2000, jpeg2000Syntaxes
	case typeJXL:
		return inspectJPEGXL, jpegXLSyntaxes
	case typeRLE:
		return inspectRLE, []string{rleLossless}
	case typeMPEG, typeMP4, typeH265:
		return inspectVideo, videoSyntaxes
	}
	return nil, nil
}

// Compressed says that bulkdata of the media type is encapsulated unchanged
// (PS3.18 Table 10.5.2-1). The type has no parameters; its case does not matter.
func Compressed(mediaType string) bool {
	inspect, _ := family(mediaType)
	return inspect != nil
}

// Transformed says that bulkdata of the media type becomes native pixels (PS3.18
// Table 10.5.2-1).
func Transformed(mediaType string) bool {
	return strings.EqualFold(mediaType, typePNG) || strings.EqualFold(mediaType, typeGIF)
}

// Inspect reads the head of a compressed bit stream: its first bytes, or, when
// complete, all of them. It looks at no more than HeadBytes.
//
// transferSyntax is the transfer-syntax parameter of the part, or empty. It decides
// between syntaxes that the stream cannot tell apart, such as JPEG 2000 and its
// lossless subset. One that contradicts the stream is an error. One that is none
// of the media type's, such as the wildcard of an Accept header, is passed over.
//
// The error is ErrShort when a longer head is needed. With any other error the
// Image holds what is known nevertheless, among it the sender's transfer syntax;
// the caller decides whether that and the metadata are enough.
func Inspect(mediaType, transferSyntax string, head []byte, complete bool) (Image, error) {
	inspect, syntaxes := family(mediaType)
	if inspect == nil {
		return Image{}, fmt.Errorf("%q is no compressed bulkdata media type", mediaType)
	}
	if len(head) > HeadBytes {
		head, complete = head[:HeadBytes], false
	}
	s := source{mediaType: strings.ToLower(mediaType), head: head, complete: complete}
	if said := strings.Trim(transferSyntax, " \x00"); slices.Contains(syntaxes, said) {
		s.said = said
	}
	img, err := inspect(s)
	if err == nil {
		return img, nil
	}
	if img.TransferSyntaxUID == "" {
		img.TransferSyntaxUID = s.said
	}
	if !errors.Is(err, ErrShort) {
		return img, fmt.Errorf("%s: %w", s.mediaType, err)
	}
	switch {
	case s.mayGrow():
		return Image{}, ErrShort
	case complete:
		return img, fmt.Errorf("%s: the stream ends before it has described its image", s.mediaType)
	}
	return img, fmt.Errorf("%s: the stream does not describe its image in its first %d bytes", s.mediaType, HeadBytes)
}

// choose returns the transfer syntax of a stream that may have any of allowed: the
// one that its sender names, otherwise the first.
func (s source) choose(allowed ...string) (string, error) {
	if s.said == "" {
		return allowed[0], nil
	}
	if slices.Contains(allowed, s.said) {
		return s.said, nil
	}
	return "", fmt.Errorf("the transfer syntax is said to be %s, but the stream is %s", s.said, allowed[0])
}

// checkSize refuses what Rows and Columns (US) cannot hold.
func checkSize(rows, columns int64) error {
	if rows < 1 || columns < 1 || rows > 65535 || columns > 65535 {
		return fmt.Errorf("%d rows and %d columns: each has to be 1 to 65535", rows, columns)
	}
	return nil
}

// wholeBytes is Bits Allocated for samples of so many bits (PS3.5 §8.1.1).
func wholeBytes(bits int) int { return (bits + 7) / 8 * 8 }
