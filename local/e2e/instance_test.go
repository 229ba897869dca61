package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/suyashkumar/dicom/pkg/uid"
)

const (
	studyInstanceUID  = "2.25.1001"
	seriesInstanceUID = "2.25.1002"
	ctImageStorage    = "1.2.840.10008.5.1.4.1.1.2"
)

// serials is how many instances of one size a UID can tell apart.
const serials = 1_000_000

// instance is a synthetic DICOM instance whose bytes follow from its UID alone:
// the UID tells the size of the pixel data, which is noise seeded with the UID.
type instance struct {
	serial     int64
	pixelBytes int64 // even, 0xFFFFFFFE at most
	// earlyBytes is the length of a private element before the Study Instance UID.
	// The UID does not tell it.
	earlyBytes int64
}

// instanceOf is the instance that a key of the bucket names.
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

// beginning: preamble, File Meta Information (PS3.10 §7.1), SOP Class and Instance UID.
func (i instance) beginning() []byte {
	meta := element(0x0002, 0x0001, "OB", []byte{0, 1})
	meta = append(meta, text(0x0002, 0x0002, ctImageStorage)...)
	meta = append(meta, text(0x0002, 0x0003, i.uid())...)
	meta = append(meta, text(0x0002, 0x0010, uid.ExplicitVRLittleEndian)...)
	b := append(make([]byte, 128), "DICM"...)
	b = append(b, element(0x0002, 0x0000, "UL", binary.LittleEndian.AppendUint32(nil, uint32(len(meta))))...)
	b = append(b, meta...)
	b = append(b, text(0x0008, 0x0016, ctImageStorage)...)
	b = append(b, text(0x0008, 0x0018, i.uid())...)
	if i.earlyBytes > 0 {
		b = append(b, element(0x0009, 0x0010, "LO", []byte("SYNTHETIC "))...)
		b = append(b, longHeader(0x0009, 0x1010, "OB", i.earlyBytes)...)
	}
	return b
}

// middle: Study and Series Instance UID, and the header of the pixel data.
func (i instance) middle() []byte {
	b := text(0x0020, 0x000D, studyInstanceUID)
	b = append(b, text(0x0020, 0x000E, seriesInstanceUID)...)
	return append(b, longHeader(0x7FE0, 0x0010, "OW", i.pixelBytes)...)
}

// text is an element of VR UI, padded to an even length (PS3.5 §9.1).
func text(group, number uint16, value string) []byte {
	if len(value)%2 == 1 {
		value += "\x00"
	}
	return element(group, number, "UI", []byte(value))
}

// element in Explicit VR Little Endian (PS3.5 §7.1.2).
func element(group, number uint16, vr string, value []byte) []byte {
	if vr == "OB" {
		return append(longHeader(group, number, vr, int64(len(value))), value...)
	}
	b := header(group, number, vr)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// longHeader is the header of an element with a length of 32 bits.
func longHeader(group, number uint16, vr string, lengthBytes int64) []byte {
	return binary.LittleEndian.AppendUint32(append(header(group, number, vr), 0, 0), uint32(lengthBytes))
}

func header(group, number uint16, vr string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, group)
	return append(binary.LittleEndian.AppendUint16(b, number), vr...)
}

// noise reads left bytes of SplitMix64, which is cheap and differs at every
// offset, so that a part in the wrong place is seen.
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
