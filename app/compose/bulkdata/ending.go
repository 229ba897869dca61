package bulkdata

import (
	"bytes"
	"slices"
)

// Ending looks for the end of a stream while it is read, or, for a JPEG 2000 file, of the
// codestream in it. JPEG and JPEG-LS end with the marker EOI (ISO/IEC 10918-1 §B.2.1),
// JPEG 2000 with EOC (ISO/IEC 15444-1 §A.4.4), which is the same two bytes. They cannot
// occur in coded data, so a stream without them is truncated, and must not be stored.
// Bytes after them, such as padding or data of telephones, are no error.
type Ending struct {
	skip  int64 // bytes at the front, where the marker may belong to a thumbnail or a comment
	last  byte
	found bool
}

// Ending returns an Ending for a stream of i. Streams without such a marker always count as complete.
func (i Image) Ending() *Ending {
	marked := slices.Contains(jpegSyntaxes, i.TransferSyntaxUID) || slices.Contains(jpeg2000Syntaxes, i.TransferSyntaxUID)
	return &Ending{skip: i.scanBytes, found: !marked}
}

// See reads the next bytes of the stream.
func (e *Ending) See(p []byte) {
	if n := min(e.skip, int64(len(p))); n > 0 {
		e.skip, p = e.skip-n, p[n:]
	}
	if e.found || len(p) == 0 {
		return
	}
	e.found = e.last == 0xFF && p[0] == markerEOI || bytes.Contains(p, []byte{0xFF, markerEOI})
	e.last = p[len(p)-1]
}

// Whole says whether the end was found.
func (e *Ending) Whole() bool { return e.found }
