package bulkdata

import (
	"bytes"
	"slices"
)

// Ending looks for the end of a stream that passes, or, of a JPEG 2000 file, of the
// codestream in it. JPEG and JPEG-LS end with the marker EOI (ISO/IEC 10918-1 §B.2.1),
// JPEG 2000 with EOC (ISO/IEC 15444-1 §A.4.4), which is the same two bytes. They cannot
// occur in coded data, so that a stream without them was cut, and must not be stored.
// What comes behind them, padding or what telephones append, is no fault.
type Ending struct {
	skip  int64 // bytes in front, in which the marker may be one of a thumbnail or a comment
	last  byte
	found bool
}

// Ending is for a stream of i. Streams without such a marker are always whole.
func (i Image) Ending() *Ending {
	marked := slices.Contains(jpegSyntaxes, i.TransferSyntaxUID) || slices.Contains(jpeg2000Syntaxes, i.TransferSyntaxUID)
	return &Ending{skip: i.scanBytes, found: !marked}
}

// See takes the next bytes of the stream.
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

// Whole says whether the end has come.
func (e *Ending) Whole() bool { return e.found }
