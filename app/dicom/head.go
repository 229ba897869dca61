package dicom

import (
	"errors"
	"fmt"
	"io"
)

// readAhead is the size in bytes of the one buffer through which a head is read. It
// limits how much is read beyond the needed bytes.
const readAhead = 4096

// head is the beginning of a stream; any byte within the window can be read.
type head struct {
	source io.ReaderAt
	origin origin
	window int64
	start  int64  // of buffer, in the stream
	buffer []byte // of array
	array  [readAhead]byte
	small  [8]byte
}

// reset begins to read the caller's stream.
func (h *head) reset(r io.ReaderAt, window int64) {
	h.origin = origin{r}
	h.source, h.window, h.start, h.buffer = &h.origin, window, 0, nil
}

// peek returns the n bytes at the offset; or the existing bytes, with an error: io.EOF
// at the end of the stream, ErrWindow at the end of the window, or the error with which reading
// failed. The returned bytes are valid until the next call.
func (h *head) peek(at int64, n int) ([]byte, error) {
	if from := at - h.start; from >= 0 && from+int64(n) <= int64(len(h.buffer)) {
		return h.buffer[from:][:n], nil
	}
	most := min(readAhead, h.window-at)
	if most <= 0 {
		return nil, h.beyond()
	}
	read, err := h.source.ReadAt(h.array[:most], at)
	h.start, h.buffer = at, h.array[:read]
	switch {
	case read >= n:
		return h.buffer[:n], nil
	case int64(read) == most:
		return h.buffer, ErrWindow
	default:
		return h.buffer, err
	}
}

// glance is peek of 8 bytes at another place, after which the walk continues where it was.
func (h *head) glance(at int64) ([]byte, error) {
	if from := at - h.start; from >= 0 && from+int64(len(h.small)) <= int64(len(h.buffer)) {
		return h.peek(at, len(h.small))
	}
	most := min(int64(len(h.small)), h.window-at)
	if most <= 0 {
		return nil, h.beyond()
	}
	read, err := h.source.ReadAt(h.small[:most], at)
	switch {
	case read == len(h.small):
		err = nil
	case int64(read) == most:
		err = ErrWindow
	}
	return h.small[:read], err
}

// beyond is the error of a read after the window: io.EOF if the stream ends within it.
func (h *head) beyond() error {
	if h.window > 0 {
		if n, err := h.source.ReadAt(h.small[:1], h.window-1); n == 0 {
			return err
		}
	}
	return ErrWindow
}

// ended says whether the stream ends exactly at the offset.
func (h *head) ended(at int64) bool {
	if at > 0 {
		if b, _ := h.glance(at - 1); len(b) == 0 {
			return false
		}
	}
	b, err := h.glance(at)
	return len(b) == 0 && errors.Is(err, io.EOF)
}

// origin marks the errors of the caller's reader: its io.ErrUnexpectedEOF, when a client
// has left, is different from the one with which the decompressor reports truncated data.
type origin struct{ io.ReaderAt }

type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

// ReadAt implements io.ReaderAt.
func (o origin) ReadAt(p []byte, offset int64) (int, error) {
	n, err := o.ReaderAt.ReadAt(p, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &readError{err}
	}
	return n, err
}

// failure is the error for reading the head at the given place when that failed with err.
func failure(err error, place string) error {
	var read *readError
	var corrupt *corruptError
	switch {
	case errors.As(err, &read):
		return fmt.Errorf("read DICOM head: %w", read.err)
	case errors.Is(err, ErrWindow):
		return ErrWindow
	case errors.As(err, &corrupt):
		return damaged("%s: %s", place, corrupt)
	case errors.Is(err, errInHeader):
		return damaged("%s", err)
	default:
		return damaged("the stream ends %s", place)
	}
}
