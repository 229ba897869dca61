package bulkdata

import (
	"encoding/binary"
	"fmt"
)

const rleLossless = "1.2.840.10008.1.2.5"

// inspectRLE recognises an RLE frame. Its header (PS3.5 §G.5) is sixteen little
// endian numbers: how many segments there are, at most fifteen, and where each
// begins, the first always at 64. Neither the size nor the kind of the image is in
// it, so that the metadata must have the Image Pixel attributes.
func inspectRLE(s source) (Image, error) {
	if len(s.head) < 64 {
		return Image{}, ErrShort
	}
	segments, first := binary.LittleEndian.Uint32(s.head), binary.LittleEndian.Uint32(s.head[4:])
	if segments < 1 || segments > 15 || first != 64 {
		return Image{}, fmt.Errorf("no RLE header: %d segments, the first at %d", segments, first)
	}
	return Image{TransferSyntaxUID: rleLossless}, nil
}
