// Package related splits multipart/related bodies while they arrive (RFC 2046 §5.1, RFC 2387),
// and reads media types as DICOMweb clients write them (RFC 9110 §8.3, PS3.18 §8.7.1).
package related

import (
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"slices"
	"strings"
	"sync"
)

// MaxBoundaryBytes is how long a boundary may be: RFC 2046 §5.1.1 allows 70, Orthanc's client sends 73.
const MaxBoundaryBytes = 256

const (
	bufferBytes        = 16 << 10  // one for each request
	largeBufferBytes   = 128 << 10 // for a body that fills the small one; larger ones save no more system calls
	maxPartHeaderBytes = 16 << 10
	maxPaddingBytes    = 256 // white space after a boundary (RFC 2046 §5.1.1, transport-padding)
)

// Errors of a body.
var (
	ErrTruncated  = errors.New("the body ends too early: it was cut on its way, or lacks its closing boundary")
	ErrPartHeader = errors.New("a part has more than 16 KiB of headers")
	errClosed     = errors.New("the body is read after its end")
	// ErrPart: only this part does not match its header.
	ErrPart       = errors.New("the part is not what its header says")
	errPartLength = fmt.Errorf("%w: it is not as long as its Content-Length", ErrPart)
	errPartRange  = fmt.Errorf("%w: its Content-Range says that it is a piece of it; send it as a whole", ErrPart)
)

// Reader is step 2: it splits a multipart/related body (RFC 2046 §5.1, RFC 2387)
// while it arrives. Every byte between the boundaries belongs to the part, whatever
// it looks like. A delimiter is a line end, two hyphens and the boundary, and then two
// hyphens, or white space and a line end. Line ends are CRLF; some clients write LF, or
// both in one body. A CR before a delimiter belongs to the delimiter, unless all lines of
// the framing, that of the delimiter included, end in LF alone. If lines end in CRLF, an LF before
// a delimiter counts only if a part or the end of the body follows.
type Reader struct {
	source io.Reader
	spare  func(bytes int64) bool
	large  bool // buf is
	filled int  // how often a read has filled buf
	buf    []byte
	start  int // of the bytes not yet consumed
	end    int
	err    error // of source, sticky

	dashes    []byte // "--boundary"
	delimiter []byte // LF + dashes
	crlf      bool   // a boundary's line, or one of a part's header, has ended in CRLF
	part      *Part  // the current one
	data      int    // bytes from start that are known to be data of the part
}

var buffers, largeBuffers = sync.Pool{New: func() any { return new([bufferBytes]byte) }}, sync.Pool{New: func() any { return new([largeBufferBytes]byte) }}

// NewReader reads body through a buffer of 16 KiB. If a body fills it, spare is
// asked for the memory of a larger one; nil: it remains small. After use, call Close.
func NewReader(body io.Reader, boundary string, spare func(bytes int64) bool) *Reader {
	delimiter := []byte("\n--" + boundary)
	return &Reader{source: body, spare: spare, dashes: delimiter[1:], delimiter: delimiter, buf: buffers.Get().(*[bufferBytes]byte)[:]} //nolint:forcetypeassert // only these are put
}

// Close returns the buffer, and the number of bytes that spare has granted. Nothing
// may be read afterwards; a second call does nothing.
func (s *Reader) Close() (granted int64) {
	switch {
	case s.buf == nil:
		return 0
	case s.large:
		largeBuffers.Put((*[largeBufferBytes]byte)(s.buf))
		granted = largeBufferBytes
	default:
		buffers.Put((*[bufferBytes]byte)(s.buf))
	}
	s.buf, s.start, s.end, s.data = nil, 0, 0, 0
	s.err = errClosed
	return granted
}

// grow takes a larger buffer after the small one was filled several times.
func (s *Reader) grow() {
	const often = 4
	if s.large || s.spare == nil || s.filled < often {
		return
	}
	if s.filled = 0; !s.spare(largeBufferBytes) {
		return
	}
	small := s.buf
	s.buf, s.large = largeBuffers.Get().(*[largeBufferBytes]byte)[:], true //nolint:forcetypeassert // only these are put
	s.start, s.end = 0, copy(s.buf, small[s.start:s.end])
	buffers.Put((*[bufferBytes]byte)(small))
}

// Buffered is the number of bytes that were read from the body and not yet from a part.
func (s *Reader) Buffered() int64 { return int64(s.end - s.start) }

// Next skips the rest of the current part, and returns the next part. After the
// closing boundary it reads the epilogue and returns io.EOF.
func (s *Reader) Next() (*Part, error) {
	if s.part == nil {
		if err := s.skipPreamble(); err != nil {
			return nil, err
		}
	} else if err := s.part.skip(); err != nil {
		return nil, err
	}
	// At the bytes behind "--boundary".
	if s.boundaryEnd() {
		return nil, s.skipEpilogue()
	}
	header, err := s.header()
	if err != nil {
		return nil, err
	}
	s.part = newPart(header, s)
	return s.part, nil
}

// fill reads once; false if there is no more data, or no room.
func (s *Reader) fill() bool {
	if s.err != nil {
		return false
	}
	s.grow()
	if s.start > 0 {
		s.end = copy(s.buf, s.buf[s.start:s.end])
		s.start = 0
	}
	if s.end == len(s.buf) {
		return false
	}
	n, err := s.source.Read(s.buf[s.end:])
	if s.end += n; s.end == len(s.buf) {
		s.filled++
	}
	s.err = err
	return n > 0 || err == nil
}

func (s *Reader) window() []byte { return s.buf[s.start:s.end] }

func (s *Reader) consume(n int) {
	s.start += n
}

// cut is the error of a body that ended too early.
func (s *Reader) cut() error {
	if s.err == nil || errors.Is(s.err, io.EOF) || errors.Is(s.err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return s.err
}

func (s *Reader) skipEpilogue() error {
	for s.consume(s.end - s.start); s.fill(); s.consume(s.end - s.start) {
	}
	if errors.Is(s.err, io.EOF) {
		return io.EOF
	}
	return s.cut()
}

// readHeaders are the headers that any code reads. Others are not kept: a few bytes in the request
// would take a few hundred bytes of memory.
var readHeaders = []string{"Content-Type", "Content-Location", "Content-Length", "Content-Encoding", "Content-Transfer-Encoding",
	"Content-Range", "Content-Md5", "Content-Digest", "Repr-Digest", "Digest"}

// header reads the part's header up to its blank line (RFC 2046 §5.1). Lines
// that begin with white space continue the previous line (RFC 5322 §2.2.3); other lines
// without a colon are skipped.
func (s *Reader) header() (textproto.MIMEHeader, error) {
	header := textproto.MIMEHeader{}
	var name string
	var pieces []string // of its value
	for read := 0; ; {
		i := s.line(s.window())
		if i < 0 {
			if s.end-s.start == len(s.buf) {
				return nil, ErrPartHeader
			}
			if !s.fill() {
				return nil, s.cut()
			}
			continue
		}
		line := strings.TrimRight(string(s.window()[:i]), "\r")
		s.consume(i + 1)
		if read += i + 1; read > maxPartHeaderBytes {
			return nil, ErrPartHeader
		}
		value, folded := line, line != "" && (line[0] == ' ' || line[0] == '\t')
		if !folded {
			if slices.Contains(readHeaders, name) {
				header[name] = append(header[name], strings.Clone(strings.Join(pieces, " "))) // without the rest of its line
			}
			if line == "" {
				return header, nil
			}
			var found bool
			if name, value, found = strings.Cut(line, ":"); !found {
				name = ""
			}
			name, pieces = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)), pieces[:0]
		}
		if value = strings.TrimSpace(value); value != "" {
			pieces = append(pieces, value)
		}
	}
}
