// Package bulkdata knows the bulkdata media types of PS3.18 Table 10.5.2-1: it finds out
// what a compressed bit stream says about its image and its transfer syntax, and decodes
// the pixels of a PNG.
//
// A stream that does not describe itself, or whose description would need much code
// to read, is accepted as its sender describes it: see Inspect.
//
// This package never allocates memory by a length that a stream declares. Inspect needs
// no memory besides the head that it is given; Decode needs as much as Configure says.
package bulkdata

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// HeadBytes is how much of the front of a stream Inspect reads. Real heads have
// a few kilobytes; those with large colour profiles or, in MP4, the tables of
// an hour of video, may reach some hundred. A longer head is an error that says so.
const HeadBytes = 1 << 20

// ErrShort says that more of the front of the stream is needed. Inspect returns it
// only for a head that is shorter than HeadBytes and not complete, Configure only
// for one that is not complete.
var ErrShort = errors.New("more of the bulkdata is needed")

// Image is the Image Pixel Description Macro (PS3.3 Table C.7-11c) according to the bit
// stream, and the stream's transfer syntax. Zero means that the stream does
// not say it.
//
// If Rows is 0, the stream does not describe its image: only TransferSyntaxUID is
// set, and the metadata must have the Image Pixel attributes.
type Image struct {
	TransferSyntaxUID         string
	SamplesPerPixel           int // 1 or 3
	PhotometricInterpretation string
	Rows, Columns             int // 1 to 65535
	// BitsAllocated is 8 or more, in whole bytes. BitsStored is the precision of the
	// stream: metadata may have less, as of 12 bits in a JPEG 2000 stream of 16.
	// High Bit is BitsStored-1.
	BitsAllocated, BitsStored int
	PixelRepresentation       int // 1: signed. JPEG does not say this and has 0
	PlanarConfiguration       int // always 0: color-by-pixel. Only for three samples

	// Lossy says that the stream itself shows that it is lossy: Lossy
	// Image Compression (0028,2110) is 01. False does not prove the contrary: a
	// reversible stream may have been truncated, or made from an image that was lossy before.
	Lossy bool
	// LossyMethod is a defined term of Lossy Image Compression Method (0028,2114),
	// PS3.3 §C.7.6.1.1.5.1; empty when not Lossy.
	LossyMethod string

	NumberOfFrames int     // of a video whose container tells it
	FrameTime      float64 // of a video, in milliseconds

	// SkipBytes is how many bytes at the front of the part are not the codestream,
	// and CodestreamBytes the length of the codestream after them; 0: up to the end
	// of the part. Only JPEG 2000 files have such a front: PS3.5 §A.4.4 forbids their
	// boxes in Pixel Data.
	SkipBytes, CodestreamBytes int64

	scanBytes int64 // of a stream up to its coded data: of JPEG the first scan's, of JPEG 2000 the first tile-part
}

// Media types of PS3.18 Table 10.5.2-1 that matter behind family.
const (
	typeJPX = "image/jpx"
	typePNG = "image/png"
)

// Photometric Interpretation, PS3.3 §C.7.6.3.1.2.
const (
	monochrome2   = "MONOCHROME2"
	rgb           = "RGB"
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
	said      string // the transfer syntax that its sender names
}

// mayGrow says whether a longer head may be requested.
func (s source) mayGrow() bool { return !s.complete && len(s.head) < HeadBytes }

// family returns the inspector of a media type and the transfer syntaxes that its
// streams may have. It is wider than PS3.18 Table 8.7.3-5 where the stream
// decides: JPEG-LS comes as image/jpeg, HTJ2K as image/jp2, H.265 as video/mp4.
func family(mediaType string) (func(source) (Image, error), []string) {
	switch mediaType {
	case "image/jpeg", "image/jpg", "image/pjpeg", "image/jls": // the second and third as browsers and scanners name it
		return inspectJPEG, jpegSyntaxes
	case "image/jp2", "image/j2c", typeJPX, "image/jph", "image/jphc":
		return inspectJPEG2000, jpeg2000Syntaxes
	case "image/jxl":
		return inspectJPEGXL, jpegXLSyntaxes
	case "image/dicom-rle":
		return inspectRLE, []string{rleLossless}
	}
	if strings.HasPrefix(mediaType, "video/") {
		return inspectVideo, videoSyntaxes
	}
	return nil, nil
}

// Compressed says that bulkdata of the media type is encapsulated unchanged (PS3.18
// Table 10.5.2-1): true also for every video. The type has no parameters; its case
// does not matter.
func Compressed(mediaType string) bool {
	inspect, _ := family(strings.ToLower(mediaType))
	return inspect != nil
}

// Transformed says that bulkdata of the media type becomes native pixels (PS3.18
// Table 10.5.2-1): only PNG does.
func Transformed(mediaType string) bool { return strings.EqualFold(mediaType, typePNG) }

// Inspect reads the head of a compressed bit stream: its first bytes, or, if
// complete, all of them. It reads no more than HeadBytes.
//
// transferSyntax is the transfer-syntax parameter of the part, or empty. It decides
// between syntaxes that the stream cannot distinguish, such as JPEG 2000 and its
// lossless subset. It is an error if it contradicts the stream, or does not belong to the media type;
// the wildcard of an Accept header, *, is ignored.
//
// JPEG XL, RLE, and video in containers other than MP4 and the MPEG program stream are
// not read: their Image has only a TransferSyntaxUID, that of the sender. The same applies
// to the few streams of the other kinds that do not describe themselves.
//
// The error is ErrShort if a longer head is needed. With any other error the part
// must be refused, whatever the metadata say; the error tells its sender what to do.
func Inspect(mediaType, transferSyntax string, head []byte, complete bool) (Image, error) {
	mediaType = strings.ToLower(mediaType)
	inspect, syntaxes := family(mediaType)
	if inspect == nil {
		return Image{}, fmt.Errorf("%.100q is no media type of compressed bulkdata", mediaType)
	}
	if len(head) > HeadBytes {
		head, complete = head[:HeadBytes], false
	}
	s := source{mediaType: mediaType, head: head, complete: complete}
	switch said := strings.Trim(transferSyntax, " \x00"); {
	case slices.Contains(syntaxes, said):
		s.said = said
	case said != "" && said != "*":
		return Image{}, fmt.Errorf("%.100s: the transfer-syntax parameter of the part, %.70q, is none of its media type: correct it", mediaType, said)
	}
	img, err := inspect(s)
	if errors.Is(err, ErrShort) {
		switch {
		case s.mayGrow():
			return Image{}, ErrShort
		case complete:
			err = errors.New("the stream ends before it has described its image: send all of it")
		default:
			img, err = s.undescribed(fmt.Errorf("the stream does not describe its image in its first %d bytes", HeadBytes))
		}
	}
	if err != nil {
		return Image{}, fmt.Errorf("%.100s: %w", mediaType, err)
	}
	return img, nil
}

// undescribed is the image of a stream that does not describe it. The sender must do so.
func (s source) undescribed(why error) (Image, error) {
	if s.said == "" {
		return Image{}, fmt.Errorf("%w: give the part its transfer-syntax parameter, and the metadata the Image Pixel attributes", why)
	}
	return Image{TransferSyntaxUID: s.said}, nil
}

// damaged is the error of a stream that breaks the rules of its format.
func damaged(err error) error {
	if errors.Is(err, ErrShort) {
		return err
	}
	return fmt.Errorf("the stream is damaged, or is not what its media type says (%w): send it as its encoder wrote it", err)
}

// choose returns the transfer syntax of a stream that may have any of allowed: the
// one that its sender names, otherwise the first one.
func (s source) choose(allowed ...string) (string, error) {
	if s.said == "" {
		return allowed[0], nil
	}
	if slices.Contains(allowed, s.said) {
		return s.said, nil
	}
	return "", fmt.Errorf("the transfer syntax is said to be %s, but the stream is %s: correct the transfer-syntax parameter of the part", s.said, allowed[0])
}

// checkSize refuses what Rows and Columns (US) cannot hold.
func checkSize(rows, columns int64) error {
	if rows < 1 || columns < 1 || rows > 65535 || columns > 65535 {
		return fmt.Errorf("the image has %d rows and %d columns, but DICOM has images of 1 to 65535", rows, columns)
	}
	return nil
}

// wholeBytes is Bits Allocated for samples of this many bits (PS3.5 §8.1.1).
func wholeBytes(bits int) int { return (bits + 7) / 8 * 8 }
