package dicom

import (
	"bufio"
	"compress/flate"
	"errors"
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
	z.raw, z.from, z.total = raw, at, 0
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
	d.at += int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// maxInflations is how often the window may be inflated, to look at what was there.
const maxInflations = 4

var errInflatedTooOften = errors.New("damaged data that are deflated")

// ReadAt implements io.ReaderAt, for one reader.
func (z *inflated) ReadAt(p []byte, offset int64) (int, error) {
	if offset < z.read {
		z.rewind()
	}
	if z.total > maxInflations*z.raw.window {
		return 0, &corruptError{errInflatedTooOften}
	}
	n, err := 0, error(nil)
	if offset > z.read {
		var skipped int64
		skipped, err = io.CopyN(io.Discard, z.flate, offset-z.read)
		z.read, z.total = z.read+skipped, z.total+skipped
	}
	for n < len(p) && err == nil {
		var read int
		read, err = z.flate.Read(p[n:])
		n, z.read, z.total = n+read, z.read+int64(read), z.total+int64(read)
	}
	var failed *readError
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrWindow) && !errors.As(err, &failed) {
		err = &corruptError{err}
	}
	return n, err
}
