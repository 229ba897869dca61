package stow

import (
	"bytes"
	"errors"
	"io"
	"net/textproto"
	"strconv"
)

// part is one part of the body. It reads up to its delimiter, and ends with
// io.EOF there; with errTruncated or the body's error when there is none.
type part struct {
	header   textproto.MIMEHeader
	declared int64 // its Content-Length; -1: it has none
	splitter *splitter
	read     int64
	atStart  bool
	err      error // sticky
}

func contentLength(header textproto.MIMEHeader) int64 {
	n, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// AtMost is what may still come of the part: the rest of a body of declared length.
func (p *part) AtMost() int64 {
	if p.splitter.total < 0 {
		return -1
	}
	return max(0, p.splitter.total-p.splitter.taken)
}

// Read implements io.Reader.
func (p *part) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	s := p.splitter
	for p.err == nil && s.data == 0 {
		s.data, p.err = p.scan()
	}
	if s.data == 0 {
		return 0, p.err
	}
	n := copy(b, s.window()[:s.data])
	s.consume(n)
	s.data -= n
	p.read += int64(n)
	return n, nil
}

// scan says how many of the next bytes are data. At the delimiter, which it
// consumes, there are none, and the error is io.EOF.
func (p *part) scan() (int, error) {
	s := p.splitter
	window := s.window()
	delimiter, i := s.delimiter, 0
	if p.atStart && bytes.HasPrefix(window, s.dashes) { // an empty part
		delimiter = s.dashes
	} else {
		i = bytes.Index(window, delimiter)
	}
	if i < 0 {
		if n := len(window) - len(delimiter) + 1; n > 0 {
			p.atStart = false
			return n, nil
		}
		if !s.fill() {
			return 0, s.cut()
		}
		return 0, nil
	}
	if i > 0 {
		p.atStart = false
		return i, nil
	}
	switch classifyTail(window[len(delimiter):]) {
	case tailUnknown:
		if !s.fill() {
			return 0, s.cut()
		}
		return 0, nil
	case tailNone:
		p.atStart = false
		return len(delimiter), nil
	case tailNext, tailClose:
	}
	s.consume(len(delimiter))
	if p.declared >= 0 && p.declared != p.read {
		return 0, errPartLength
	}
	return 0, io.EOF
}

// skip reads to the delimiter.
func (p *part) skip() error {
	s := p.splitter
	for p.err == nil {
		s.consume(s.data)
		p.read += int64(s.data)
		s.data, p.err = p.scan()
	}
	if p.err == io.EOF || errors.Is(p.err, errPartLength) { //nolint:errorlint // io.EOF itself ends a part
		return nil
	}
	return p.err
}
