package stow

import (
	"bytes"
	"errors"
	"io"
	"net/textproto"
	"strings"
	"sync"
)

const (
	splitBufferBytes   = 128 << 10 // one for each request; larger ones save no more system calls
	maxPartHeaderBytes = 16 << 10
	maxPaddingBytes    = 256 // white space after a boundary (RFC 2046 §5.1.1, transport-padding)
)

// Errors of a body.
var (
	errTruncated  = errors.New("the body ends before the closing boundary")
	errPartHeader = errors.New("a part has more than 16 KiB of headers")
	errPartLength = errors.New("the part is not as long as its Content-Length says")
)

// splitter is step 2: it takes a multipart/related body (RFC 2046 §5.1, RFC 2387)
// apart while it arrives. Every byte between the boundaries is the part's, whatever
// it looks like: a delimiter is the line end of the first boundary, two hyphens and
// the boundary, and then two hyphens, or white space and a line end.
type splitter struct {
	source io.Reader
	total  int64 // declared length of the body, -1: unknown
	taken  int64 // bytes of the body consumed
	buf    []byte
	start  int // of the bytes not yet consumed
	end    int
	err    error // of source, sticky

	dashes    []byte // "--boundary"
	delimiter []byte // line end + dashes; nil before the first boundary
	part      *part  // the current one
	data      int    // bytes from start that are known to be data of the part
}

var splitBuffers = sync.Pool{New: func() any { return new([splitBufferBytes]byte) }}

// newSplitter reads body, whose declared length is total, or -1. After use, close returns its buffer.
func newSplitter(body io.Reader, boundary string, total int64) *splitter {
	return &splitter{source: body, total: total, dashes: []byte("--" + boundary), buf: splitBuffers.Get().(*[splitBufferBytes]byte)[:]} //nolint:forcetypeassert // only these are put
}

func (s *splitter) close() {
	splitBuffers.Put((*[splitBufferBytes]byte)(s.buf))
	s.buf = nil
}

// next skips what is left of the current part, and returns the next. After the
// closing boundary it reads the epilogue and returns io.EOF.
func (s *splitter) next() (*part, error) {
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
	s.part = &part{header: header, declared: contentLength(header), splitter: s, atStart: true}
	return s.part, nil
}

// fill reads once; false when there is no more, or no room.
func (s *splitter) fill() bool {
	if s.err != nil {
		return false
	}
	if s.start > 0 {
		s.end = copy(s.buf, s.buf[s.start:s.end])
		s.start = 0
	}
	if s.end == len(s.buf) {
		return false
	}
	n, err := s.source.Read(s.buf[s.end:])
	s.end += n
	s.err = err
	return n > 0 || err == nil
}

func (s *splitter) window() []byte { return s.buf[s.start:s.end] }

func (s *splitter) consume(n int) {
	s.start += n
	s.taken += int64(n)
}

// cut is the error of a body that ended too early.
func (s *splitter) cut() error {
	if s.err == nil || errors.Is(s.err, io.EOF) || errors.Is(s.err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return s.err
}

// What follows "--boundary".
type tail int

const (
	tailUnknown tail = iota // more bytes are needed
	tailNone                // not a delimiter: data that looks like one
	tailNext
	tailClose
)

func classifyTail(rest []byte) tail {
	if len(rest) >= 2 && rest[0] == '-' && rest[1] == '-' {
		return tailClose
	}
	trimmed := bytes.TrimLeft(rest, " \t")
	switch {
	case len(rest)-len(trimmed) > maxPaddingBytes:
		return tailNone
	case len(trimmed) == 0, len(trimmed) == 1 && trimmed[0] == '\r', len(rest) == 1 && rest[0] == '-':
		return tailUnknown
	case trimmed[0] == '\n', trimmed[0] == '\r' && trimmed[1] == '\n':
		return tailNext
	}
	return tailNone
}

// skipPreamble finds the first boundary, at the start of the body or of a line.
func (s *splitter) skipPreamble() error {
	for lineStart := true; ; {
		window := s.window()
		i := bytes.Index(window, s.dashes)
		if i < 0 { // keep what may be the beginning of "\n--boundary"
			if drop := len(window) - len(s.dashes); drop > 0 {
				lineStart = window[drop-1] == '\n'
				s.consume(drop)
			}
			if !s.fill() {
				return s.cut()
			}
			continue
		}
		if i == 0 && !lineStart || i > 0 && window[i-1] != '\n' {
			lineStart = false
			s.consume(i + 1)
			continue
		}
		rest := window[i+len(s.dashes):]
		switch classifyTail(rest) {
		case tailUnknown:
			s.consume(i)
			lineStart = true
			if !s.fill() {
				return s.cut()
			}
			continue
		case tailNone:
			lineStart = false
			s.consume(i + 1)
			continue
		case tailNext:
			lineEnd := "\r\n"
			if bytes.TrimLeft(rest, " \t")[0] == '\n' {
				lineEnd = "\n"
			}
			s.delimiter = append([]byte(lineEnd), s.dashes...)
		case tailClose:
		}
		s.consume(i + len(s.dashes))
		return nil
	}
}

// boundaryEnd consumes what follows "--boundary", and says whether it was the last.
func (s *splitter) boundaryEnd() (closing bool) {
	window := s.window() // classified before: it is complete
	if window[0] == '-' {
		s.consume(2)
		return true
	}
	s.consume(bytes.IndexByte(window, '\n') + 1)
	return false
}

func (s *splitter) skipEpilogue() error {
	for s.consume(s.end - s.start); s.fill(); s.consume(s.end - s.start) {
	}
	if errors.Is(s.err, io.EOF) {
		return io.EOF
	}
	return s.cut()
}

// header reads the part's header up to its blank line (RFC 2046 §5.1). Lines
// without a colon are skipped.
func (s *splitter) header() (textproto.MIMEHeader, error) {
	header := textproto.MIMEHeader{}
	for read := 0; ; {
		i := bytes.IndexByte(s.window(), '\n')
		if i < 0 {
			if s.end-s.start > maxPartHeaderBytes {
				return nil, errPartHeader
			}
			if !s.fill() {
				return nil, s.cut()
			}
			continue
		}
		line := strings.TrimRight(string(s.window()[:i]), "\r")
		s.consume(i + 1)
		if read += i + 1; read > maxPartHeaderBytes {
			return nil, errPartHeader
		}
		if line == "" {
			return header, nil
		}
		if name, value, found := strings.Cut(line, ":"); found {
			header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
}
