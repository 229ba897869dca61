package dicom

import (
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"sync"
)

// readAhead is the size in bytes of the one buffer through which a stream is
// read. It bounds what is read from the origin beyond what was needed, and every
// Peek: the largest is the 132 bytes of preamble and prefix.
const readAhead = 4096

// stream is the head of an instance: buffered, and limited to a window. After
// inflate it delivers the inflated dataset.
type stream struct {
	*bufio.Reader // what the walk reads: raw or inflated
	raw, inflated *bufio.Reader
	origin        origin
	limit         limited // on what is read from the origin
	inflatedLimit limited
	inflater      io.ReadCloser
	window        int64
}

// streams recycles buffers, and decompressors with their 32 KiB windows.
var streams sync.Pool

func newStream(r io.Reader, window int64) *stream {
	s, ok := streams.Get().(*stream)
	if !ok {
		s = &stream{raw: bufio.NewReaderSize(nil, readAhead)}
	}
	s.window = window
	s.origin = origin{r: r}
	s.limit = limited{r: &s.origin, left: window}
	s.raw.Reset(&s.limit)
	s.Reader = s.raw
	return s
}

// release gives s back to the pool without a reference to the caller's reader.
func (s *stream) release() {
	s.origin = origin{}
	s.Reader = nil
	streams.Put(s)
}

// inflate makes s deliver what the rest of it inflates to (RFC 1951, as PS3.5
// §A.5 asks). A zlib header (RFC 1950) before the deflated data is wrong but
// written by some; it cannot begin a sensible deflate stream, so it is skipped.
func (s *stream) inflate() error {
	b, err := s.Peek(2)
	if err == nil && b[0] == 0x78 && (uint(b[0])<<8|uint(b[1]))%31 == 0 {
		if err := s.skip(2); err != nil {
			return err
		}
	}
	if used, ok := s.inflater.(flate.Resetter); !ok {
		s.inflater = flate.NewReader(s.raw)
		s.inflated = bufio.NewReaderSize(nil, readAhead)
	} else if err := used.Reset(s.raw, nil); err != nil {
		return fmt.Errorf("reset decompressor: %w", err)
	}
	s.inflatedLimit = limited{r: s.inflater, left: s.window}
	s.inflated.Reset(&s.inflatedLimit)
	s.Reader = s.inflated
	return nil
}

// skip moves n bytes on. It fails as readFailure says if the stream ends before.
func (s *stream) skip(n uint32) error {
	for n > 0 {
		step := min(n, 1<<30) // Discard takes an int, which may have 32 bits
		if _, err := s.Discard(int(step)); err != nil {
			return readFailure(err, "inside a value")
		}
		n -= step
	}
	return nil
}

// origin marks the errors of the caller's reader, so that its
// io.ErrUnexpectedEOF (a client that went away) is not taken for the one with
// which the decompressor reports truncated data.
type origin struct{ r io.Reader }

type originError struct{ err error }

func (e *originError) Error() string { return e.err.Error() }

func (o *origin) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	if err != nil && err != io.EOF {
		err = &originError{err}
	}
	return n, err
}

// limited reads at most left bytes from r, then fails with ErrWindow. An error
// is final: r is not asked again. The error that comes with the last byte of the
// window is dropped for ErrWindow, so that the outcome does not depend on how r
// cuts its reads.
type limited struct {
	r    io.Reader
	left int64
	err  error
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, ErrWindow
	}
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	l.err = err
	if l.left <= 0 {
		err = nil
	}
	return n, err
}

// readFailure is the error for a read that failed with err at the place told. An
// end of the stream, or deflated data that are corrupt, mean ErrNotDICOM.
func readFailure(err error, place string) error {
	var failed *originError
	switch {
	case errors.As(err, &failed):
		return fmt.Errorf("read DICOM head: %w", failed.err)
	case errors.Is(err, ErrWindow):
		return ErrWindow
	default:
		return fmt.Errorf("%w: %s: %s", ErrNotDICOM, place, endOrCorrupt(err))
	}
}

func endOrCorrupt(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the stream ends"
	}
	return err.Error()
}
