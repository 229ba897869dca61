package s3store

import "stowrs-to-s3/app/memory"

// S3's limits of a multipart upload
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html).
const (
	maxParts     = 10_000
	maxPartBytes = 5 << 30

	// firstPartBytes is the size of the first parts. S3's minimum is 5 MiB.
	firstPartBytes = 8 << 20
	// growEveryParts: part sizes grow by firstPartBytes after this number of parts.
	growEveryParts = 500
)

// partSizes decides how large each part of a multipart upload is.
type partSizes struct {
	part    int64 // the first parts
	largest int64

	undeclaredMax int64 // the largest instance without a declared length
}

func newPartSizes(part, largest int64) partSizes {
	s := partSizes{part: part, largest: largest}
	for n := 1; n <= maxParts; n++ {
		s.undeclaredMax += s.size(n, -1)
	}
	return s
}

// size of part n (from 1) of an instance with the declared length, or -1.
//
// Without a declared length, parts grow with their number, so that small
// instances cost little memory and 10,000 parts still reach about half a
// tebibyte (8 MiB to 64 MiB). With a declared length, all parts have a size with
// which 10,000 of them are enough.
func (s partSizes) size(n int, declared int64) int64 {
	if declared < 0 {
		return min(s.part*int64(1+(n-1)/growEveryParts), s.largest)
	}
	needed := (declared + maxParts - 1) / maxParts
	needed = (needed + memory.ChunkBytes - 1) / memory.ChunkBytes * memory.ChunkBytes
	return min(max(s.part, needed), s.largest)
}

// maxBytes is the largest instance that 10,000 parts hold.
func (s partSizes) maxBytes(declared bool) int64 {
	if declared {
		return s.largest * maxParts
	}
	return s.undeclaredMax
}
