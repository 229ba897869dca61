package bulkdata

import (
	"encoding/binary"
	"errors"
	"strings"
)

// The transfer syntaxes of the streams of which only the front is looked at, PS3.6
// Table A-1.
const (
	jpegXLLossless      = "1.2.840.10008.1.2.4.110"
	jpegXLRecompression = "1.2.840.10008.1.2.4.111"
	jpegXL              = "1.2.840.10008.1.2.4.112"
	rleLossless         = "1.2.840.10008.1.2.5"
)

var jpegXLSyntaxes = []string{jpegXLLossless, jpegXLRecompression, jpegXL}

// inspectJPEGXL recognises a bare codestream, or one in the boxes of ISO/IEC 18181-2,
// which are stored too: PS3.5 §A.4.12 does not forbid them, and without its jbrd box a
// recompressed JPEG could not be had back. Whether the stream is lossless only its
// sender can say.
func inspectJPEGXL(s source) (Image, error) {
	if len(s.head) < 12 {
		return Image{}, ErrShort
	}
	if front := string(s.head[:12]); !strings.HasPrefix(front, "\xFF\x0A") && front != "\x00\x00\x00\x0CJXL \r\n\x87\n" {
		return Image{}, damaged(errors.New("neither a JPEG XL codestream nor a JPEG XL file"))
	}
	return s.undescribed(errors.New("JPEG XL streams are taken as their sender describes them"))
}

// inspectRLE recognises an RLE frame. Its header (PS3.5 §G.5) is sixteen little
// endian numbers: how many segments there are, at most fifteen, and where each
// begins, the first always at 64. It says nothing of the image, but there is only
// one transfer syntax for the media type (PS3.18 Table 8.7.3-5).
func inspectRLE(s source) (Image, error) {
	if len(s.head) < 64 {
		return Image{}, ErrShort
	}
	if segments := binary.LittleEndian.Uint32(s.head); segments < 1 || segments > 15 || binary.LittleEndian.Uint32(s.head[4:]) != 64 {
		return Image{}, damaged(errors.New("no RLE header"))
	}
	return Image{TransferSyntaxUID: rleLossless}, nil
}
