package dicom

import (
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"io"
)

// inflated is what a head inflates to from some offset on (RFC 1951, as PS3.5 §A.5
// asks). To look back, it begins anew.
type inflated struct {
	raw   *head
	from  int64 // where the deflated data begin
	at    int64 // how much of them was read
	input *bufio.Reader
	flate io.ReadCloser
	read  int64 // how much was inflated
	total int64 // with what was inflated again
	most  int64 // of at
	again int64 // of the deflated data, how much was read more than once
}

// corruptError is the decompressor's.
type corruptError struct{ err error }

func (e *corruptError) Error() string {
	if errors.Is(e.err, io.ErrUnexpectedEOF) {
		return "the deflated data have no end"
	}
	return e.err.Error()
}

// begin takes the deflated data at the offset. A zlib header (RFC 1950) in front of them
// is wrong but written by some; it cannot begin a sensible deflate stream, so it is skipped.
func (z *inflated) begin(raw *head, at int64) {
	if b, err := raw.peek(at, 2); err == nil && b[0] == 0x78 && (uint(b[0])<<8|uint(b[1]))%31 == 0 {
		at += 2
	}
	z.raw, z.from, z.total, z.most, z.again = raw, at, 0, at, 0
	z.rewind()
}

func (z *inflated) rewind() {
	z.at, z.read = z.from, 0
	used, is := z.flate.(flate.Resetter)
	if !is {
		z.input = bufio.NewReaderSize(deflated{z}, readAhead)
		z.flate = flate.NewReader(z.input)
		return
	}
	z.input.Reset(deflated{z})
	_ = used.Reset(z.input, nil) // it never fails
}

// deflated reads the data in turn.
type deflated struct{ *inflated }

// Read implements io.Reader.
func (d deflated) Read(p []byte) (int, error) {
	b, err := d.raw.peek(d.at, min(len(p), readAhead))
	n := copy(p, b)
	d.again += min(int64(n), d.most-d.at)
	d.at += int64(n)
	d.most = max(d.most, d.at)
	switch {
	case d.again > maxAgain*(d.most-d.from)+readAhead*maxAgain:
		return 0, errInflatedTooOften
	case n > 0:
		return n, nil
	}
	return 0, err
}

// maxAgain bounds how often the deflated data are read again, since they may inflate to nothing: as often as there
// are ways to read a head. Small ones may be, for looks ahead, some more times.
const maxAgain = maxReadings

var errInflatedTooOften = fmt.Errorf("they must be inflated more than %d times before they name the instance", maxAgain)

// maxInflation bounds what is inflated, again too, by what was read for it: datasets in
// use become three to thirty times as large up to their UIDs, and a thousand times is possible.
const maxInflation = 128

var errInflatedTooMuch = fmt.Errorf("they become more than %d times as large before they name the instance", maxInflation)

// Read implements io.Reader: what comes behind what was inflated.
func (z *inflated) Read(p []byte) (int, error) {
	if z.total > maxInflation*(z.most-z.from) {
		return 0, errInflatedTooMuch
	}
	n, err := z.flate.Read(p)
	z.read, z.total = z.read+int64(n), z.total+int64(n)
	return n, err
}

// ReadAt implements io.ReaderAt, for one reader.
func (z *inflated) ReadAt(p []byte, offset int64) (int, error) {
	if offset < z.read {
		z.rewind()
	}
	n := 0
	_, err := io.CopyN(io.Discard, z, offset-z.read)
	for n < len(p) && err == nil {
		var read int
		read, err = z.Read(p[n:])
		n += read
	}
	var failed *readError
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrWindow) && !errors.As(err, &failed) {
		err = &corruptError{err}
	}
	return n, err
}
