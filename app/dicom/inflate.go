package dicom

import (
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"io"
)

// inflated is the inflated data of a head, from some offset on (RFC 1951, as PS3.5 §A.5
// requires). The last bytes are kept; to look back further, it begins again.
type inflated struct {
	raw   *head
	from  int64 // where the deflated data begin
	at    int64 // how much of them was read
	input *bufio.Reader
	flate io.ReadCloser
	last  []byte // the end of the inflated data
	read  int64  // how much was inflated
	total int64  // including data that were inflated again
	most  int64  // of at
	again int64  // how much of the deflated data was read more than once
}

// corruptError is an error of the decompressor.
type corruptError struct{ err error }

func (e *corruptError) Error() string {
	if errors.Is(e.err, io.ErrUnexpectedEOF) {
		return "the deflated data have no end"
	}
	return e.err.Error()
}

// begin takes the deflated data at the offset. A zlib header (RFC 1950) before them is
// wrong but some writers use it; it cannot begin a sensible deflate stream, so it is skipped.
func (z *inflated) begin(raw *head, at int64) {
	if b, err := raw.peek(at, 2); err == nil && b[0] == 0x78 && (uint(b[0])<<8|uint(b[1]))%31 == 0 {
		at += 2
	}
	z.raw, z.from, z.total, z.most, z.again = raw, at, 0, at, 0
	z.rewind()
}

func (z *inflated) rewind() {
	z.at, z.read, z.last = z.from, 0, z.last[:0]
	used, is := z.flate.(flate.Resetter)
	if !is {
		z.input = bufio.NewReaderSize(deflated{z}, readAhead)
		z.flate = flate.NewReader(z.input)
		z.last = make([]byte, 0, 4*readAhead)
		return
	}
	z.input.Reset(deflated{z})
	_ = used.Reset(z.input, nil) // it never fails
}

// deflated reads the deflated data in order.
type deflated struct{ *inflated }

// Read implements io.Reader.
func (d deflated) Read(p []byte) (int, error) {
	b, err := d.raw.peek(d.at, min(len(p), readAhead))
	n := copy(p, b)
	d.again += min(int64(n), d.most-d.at)
	d.at += int64(n)
	d.most = max(d.most, d.at)
	switch {
	case d.again > d.most-d.from+readAhead*maxReadings:
		return 0, errInflatedTooOften
	case n > 0:
		return n, nil
	}
	return 0, err
}

// The deflated data may inflate to nothing, so it is not enough to limit the inflated size: they may be read
// once more, and small data once more for each way in which a head is read.
var errInflatedTooOften = errors.New("they must be inflated again and again before they name the instance")

// maxInflation limits the inflated data, repetitions included, by the bytes that were read for them: real datasets
// become three to thirty times as large up to their UIDs, and a thousand times is possible.
const maxInflation = 128

var errInflatedTooMuch = fmt.Errorf("they become more than %d times as large before they name the instance", maxInflation)

// more inflates a few bytes more.
func (z *inflated) more() error {
	if z.total > maxInflation*(z.most-z.from) {
		return errInflatedTooMuch
	}
	if len(z.last)+readAhead > cap(z.last) {
		z.last = z.last[:copy(z.last, z.last[len(z.last)-2*readAhead:])]
	}
	n, err := z.flate.Read(z.last[len(z.last):][:readAhead])
	z.last = z.last[:len(z.last)+n]
	z.read, z.total = z.read+int64(n), z.total+int64(n)
	return err
}

// ReadAt implements io.ReaderAt, for one reader.
func (z *inflated) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset < z.read-int64(len(z.last)) {
		z.rewind()
	}
	for {
		if behind := z.read - offset - int64(n); behind > 0 {
			n += copy(p[n:], z.last[int64(len(z.last))-behind:])
		}
		if n == len(p) {
			return n, nil
		}
		if err != nil {
			break
		}
		err = z.more()
	}
	var failed *readError
	if !errors.Is(err, io.EOF) && !errors.Is(err, ErrWindow) && !errors.As(err, &failed) {
		err = &corruptError{err}
	}
	return n, err
}
