package related

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
)

// Part is one part of the body. It reads up to its delimiter, and ends with
// io.EOF there; if there is none, with ErrTruncated or the body's error.
type Part struct {
	Header        textproto.MIMEHeader
	DeclaredBytes int64 // its Content-Length; -1: it has none, or an invalid one
	wrongLength   bool  // its Content-Length is invalid
	digests       Digests
	reader        *Reader
	read          int64
	atStart       bool
	err           error // sticky
}

func newPart(header textproto.MIMEHeader, reader *Reader) *Part {
	p := &Part{Header: header, DeclaredBytes: -1, digests: NewDigests(header), reader: reader, atStart: true}
	for _, value := range header.Values("Content-Length") {
		n, err := strconv.ParseUint(value, 10, 63)
		if p.wrongLength = p.wrongLength || err != nil || p.DeclaredBytes >= 0 && p.DeclaredBytes != int64(n); !p.wrongLength {
			p.DeclaredBytes = int64(n)
		}
	}
	if p.wrongLength {
		p.DeclaredBytes = -1
	}
	return p
}

// Read implements io.Reader.
func (p *Part) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	s := p.reader
	for p.err == nil && s.data == 0 {
		if s.data, p.err = p.scan(); p.err == io.EOF { //nolint:errorlint // io.EOF itself ends a part
			p.err = p.check()
		}
	}
	if s.data == 0 {
		return 0, p.err
	}
	n := copy(b, s.window()[:s.data])
	p.digests.Add(b[:n])
	s.consume(n)
	s.data -= n
	if p.read += int64(n); p.DeclaredBytes >= 0 && p.read > p.DeclaredBytes { // it ends here, because its length was believed
		return n, errPartLength
	}
	return n, nil
}

// find returns where the next delimiter is: it begins after data, with a preceding CR
// if there is one, and ends at after. If there is none, after is 0, and data is the number of bytes that cannot belong to one.
func (p *Part) find(window []byte) (data, after int, cr bool) {
	s := p.reader
	if p.atStart && bytes.HasPrefix(window, s.dashes) { // an empty part
		return 0, len(s.dashes), true
	}
	i := bytes.Index(window, s.delimiter)
	if i < 0 { // the rest may be a CR and the beginning of a delimiter
		return max(0, len(window)-len(s.delimiter)), 0, false
	}
	if i > 0 && window[i-1] == '\r' {
		return i - 1, i + len(s.delimiter), true
	}
	return i, i + len(s.delimiter), false
}

// scan says how many of the next bytes are data. At the delimiter, which it
// consumes, there are none, and the error is io.EOF.
func (p *Part) scan() (int, error) {
	s := p.reader
	window := s.window()
	data, after, cr := p.find(window)
	if data > 0 {
		p.atStart = false
		return data, nil
	}
	if after == 0 {
		if !s.fill() {
			return 0, s.cut()
		}
		return 0, nil
	}
	other := s.crlf && !cr
	switch s.classify(window[after:], other) {
	case tailUnknown:
		if !s.fill() && s.classify(s.window()[after:], other) == tailUnknown {
			return 0, s.cut()
		}
		return 0, nil
	case tailNone:
		p.atStart = false
		return after, nil
	case tailNext, tailClose:
	}
	if s.line(window[after:]); !s.crlf && window[0] == '\r' {
		p.atStart = false
		return 1, nil
	}
	s.consume(after)
	return 0, io.EOF
}

// check returns io.EOF, the end of a complete part, if the part matches its header.
func (p *Part) check() error {
	if p.Header.Get("Content-Range") != "" {
		return errPartRange
	}
	if p.wrongLength || p.DeclaredBytes >= 0 && p.DeclaredBytes != p.read {
		return errPartLength
	}
	if err := p.digests.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrPart, err)
	}
	return io.EOF
}

// skip reads to the delimiter.
func (p *Part) skip() error {
	s := p.reader
	for p.err == nil {
		s.consume(s.data)
		s.data, p.err = p.scan()
	}
	if p.err == io.EOF || errors.Is(p.err, ErrPart) { //nolint:errorlint // io.EOF itself ends a part
		return nil
	}
	return p.err
}
