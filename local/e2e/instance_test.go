package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"stowrs-to-s3/app/dicomtest"
)

const (
	studyInstanceUID  = "2.25.1001"
	seriesInstanceUID = "2.25.1002"
	ctImageStorage    = dicomtest.CTImageStorage
)

// le writes elements in Explicit VR Little Endian.
var le = dicomtest.ExplicitLE

// serials is the number of instances of one size that UIDs can distinguish.
const serials = 1_000_000

// instance is a synthetic DICOM instance whose bytes are determined by its UID:
// the UID contains the size of the pixel data, which are noise with the UID as seed.
type instance struct {
	serial     int64
	pixelBytes int64 // even, at most 0xFFFFFFFE
	// earlyBytes is the length of a private element before the Study Instance UID.
	// It is not part of the UID.
	earlyBytes int64
}

// instanceOf is the instance with this key in the bucket.
func instanceOf(key string) (instance, error) {
	name := key[strings.LastIndexByte(key, '/')+1:]
	number, err := strconv.ParseInt(strings.TrimPrefix(name, "2.25."), 10, 64)
	if err != nil {
		return instance{}, fmt.Errorf("key %s: %w", key, err)
	}
	return instance{serial: number % serials, pixelBytes: number / serials}, nil
}

func (i instance) number() int64 { return i.pixelBytes*serials + i.serial }
func (i instance) uid() string   { return "2.25." + strconv.FormatInt(i.number(), 10) }
func (i instance) key() string {
	return studyInstanceUID + "/" + seriesInstanceUID + "/" + i.uid()
}

// reader streams the instance.
func (i instance) reader() io.Reader {
	return io.MultiReader(
		bytes.NewReader(i.beginning()), &noise{seed: uint64(i.number()) + 1, left: i.earlyBytes},
		bytes.NewReader(i.middle()), &noise{seed: uint64(i.number()), left: i.pixelBytes})
}

func (i instance) sizeBytes() int64 {
	return int64(len(i.beginning())) + i.earlyBytes + int64(len(i.middle())) + i.pixelBytes
}

// beginning is the preamble, File Meta Information (PS3.10 §7.1), SOP Class and Instance UID.
func (i instance) beginning() []byte {
	b := dicomtest.File(i.uid(), ctImageStorage, le.UID, slices.Concat(le.UI(0x00080016, ctImageStorage), le.UI(0x00080018, i.uid())))
	if i.earlyBytes > 0 {
		b = slices.Concat(b, le.Element(0x00090010, "LO", "SYNTHETIC "), le.Header(0x00091010, "OB", uint32(i.earlyBytes)))
	}
	return b
}

// middle is the Study and Series Instance UID, and the header of the pixel data.
func (i instance) middle() []byte {
	return slices.Concat(le.UI(0x0020000D, studyInstanceUID), le.UI(0x0020000E, seriesInstanceUID), le.Header(dicomtest.PixelData, "OW", uint32(i.pixelBytes)))
}

// noise reads left bytes of SplitMix64, which is fast and differs at every
// offset, so that a part in the wrong place is detected.
type noise struct {
	seed, index uint64
	left        int64
	word        [8]byte
	rest        []byte // of word
}

// Read implements io.Reader.
func (n *noise) Read(p []byte) (int, error) {
	if n.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), n.left)]
	read := copy(p, n.rest)
	n.rest = n.rest[read:]
	for ; len(p)-read >= 8; read += 8 {
		binary.LittleEndian.PutUint64(p[read:], n.next())
	}
	if read < len(p) {
		binary.LittleEndian.PutUint64(n.word[:], n.next())
		n.rest = n.word[:]
		copied := copy(p[read:], n.rest)
		n.rest = n.rest[copied:]
		read += copied
	}
	n.left -= int64(read)
	return read, nil
}

func (n *noise) next() uint64 {
	n.index++
	z := n.seed*0xD1342543DE82EF95 + n.index*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
