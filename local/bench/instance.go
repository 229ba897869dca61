package main

import (
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/minio/crc64nvme"

	"stowrs-to-s3/app/dicomtest"
	"stowrs-to-s3/app/s3store"
)

// UIDs of the instances, under 2.25 (PS3.5 §B.2). All have the same number of digits, so
// that every head has the same length.
const (
	studyInstanceUID  = "2.25.100000000000000000000000000000001"
	seriesInstanceUID = "2.25.100000000000000000000000000000002"
)

// instance is a DICOM file: its head, then the pixel bytes, which are repeated up to its size.
type instance struct {
	sopInstanceUID string
	head           []byte
	pixels         []byte
	sizeBytes      int64
}

// newInstance makes the number-th instance of a study, of an even size.
func newInstance(number int, sizeBytes int64, pixels []byte) instance {
	uid := fmt.Sprintf("2.25.2%032d", number)
	head := instanceHead(uid, 0)
	return instance{
		sopInstanceUID: uid, pixels: pixels, sizeBytes: sizeBytes,
		head: instanceHead(uid, uint32(sizeBytes-int64(len(head)))), //nolint:gosec // instances have 2 GiB at most
	}
}

// noise is n pseudo-random bytes, which cannot be compressed or deduplicated.
func noise(n int64) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

// instanceHead is a file (PS3.10 §7.1) up to its pixels, which have this length.
func instanceHead(sopInstanceUID string, pixelBytes uint32) []byte {
	return dicomtest.Instance{
		SOP: sopInstanceUID, Study: studyInstanceUID, Series: seriesInstanceUID, More: dicomtest.ExplicitLE.Element(0x00080060, "CS", "CT"),
	}.Head(pixelBytes)
}

func (i instance) key() string {
	return s3store.Key("", studyInstanceUID, seriesInstanceUID, i.sopInstanceUID, "")
}

// at returns the bytes from offset on, as far as they are contiguous in memory.
func (i instance) at(offset int64) []byte {
	if offset < int64(len(i.head)) {
		return i.head[offset:]
	}
	return i.pixels[(offset-int64(len(i.head)))%int64(len(i.pixels)):]
}

// ReadAt implements io.ReaderAt.
func (i instance) ReadAt(p []byte, offset int64) (int, error) {
	read := 0
	for read < len(p) {
		left := i.sizeBytes - offset
		if left <= 0 {
			return read, io.EOF
		}
		b := i.at(offset)
		n := copy(p[read:], b[:min(left, int64(len(b)))])
		read, offset = read+n, offset+int64(n)
	}
	return read, nil
}

// section reads n bytes from offset on. It can seek, so that a request can be repeated.
func (i instance) section(offset, n int64) *io.SectionReader {
	return io.NewSectionReader(i, offset, n)
}

// piece is n bytes from offset on.
func (i instance) piece(offset, n int64) piece {
	return piece{body: i.section(offset, n), sizeBytes: n, crc64: func() uint64 { return i.crc64(offset, n) }}
}

// crc64 is the CRC64NVME of n bytes from offset on.
func (i instance) crc64(offset, n int64) uint64 {
	var crc uint64
	for n > 0 {
		b := i.at(offset)
		b = b[:min(n, int64(len(b)))]
		crc = crc64nvme.Update(crc, b)
		offset, n = offset+int64(len(b)), n-int64(len(b))
	}
	return crc
}
