package related

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// The bytes after "--boundary".
type tail int

const (
	tailUnknown tail = iota // more bytes are needed
	tailNone                // not a delimiter, but data that look like one
	tailNext
	tailClose
)

func (s *Reader) classifyTail(rest []byte) tail {
	closing := len(rest) >= 2 && rest[0] == '-' && rest[1] == '-'
	if closing {
		rest = rest[2:]
	}
	trimmed := bytes.TrimLeft(rest, " \t")
	switch {
	case len(rest)-len(trimmed) > maxPaddingBytes:
		return tailNone
	case closing && s.err != nil && len(trimmed) == 0: // Orthanc sends no line end
		return tailClose
	case len(trimmed) == 0, len(trimmed) == 1 && trimmed[0] == '\r', !closing && len(rest) == 1 && rest[0] == '-':
		return tailUnknown
	case trimmed[0] != '\n' && (trimmed[0] != '\r' || trimmed[1] != '\n'):
		return tailNone
	case closing:
		return tailClose
	}
	return tailNext
}

// classify is classifyTail for a delimiter whose line end may differ from earlier ones. In data
// of many gigabytes this may be chance, so the header of a part, or the end of the body, must follow.
func (s *Reader) classify(rest []byte, other bool) tail {
	kind := s.classifyTail(rest)
	const header = "content-"
	switch line := bytes.IndexByte(rest, '\n'); {
	case !other || kind != tailNext && kind != tailClose:
		return kind
	case kind == tailNext:
		next := rest[line+1:]
		switch n := min(len(next), len(header)); {
		case !strings.EqualFold(string(next[:n]), header[:n]):
			return tailNone
		case n < len(header):
			return tailUnknown
		}
	case len(bytes.TrimSpace(rest[len("--"):])) > 0 || len(rest) > maxPaddingBytes:
		return tailNone
	case s.err == nil:
		return tailUnknown
	case !errors.Is(s.err, io.EOF): // the body was truncated
		return tailNone
	}
	return kind
}

// skipPreamble finds the first boundary, at the start of the body or of a line.
func (s *Reader) skipPreamble() error {
	for lineStart := true; ; {
		window := s.window()
		i := bytes.Index(window, s.dashes)
		if i < 0 { // keep bytes that may be the beginning of "\n--boundary"
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
		switch s.classifyTail(rest) {
		case tailUnknown:
			s.consume(i)
			lineStart = true
			if !s.fill() && s.classifyTail(s.window()[len(s.dashes):]) == tailUnknown {
				return s.cut()
			}
			continue
		case tailNone:
			lineStart = false
			s.consume(i + 1)
			continue
		case tailNext, tailClose:
		}
		s.consume(i + len(s.dashes))
		return nil
	}
}

// boundaryEnd consumes the bytes after "--boundary", and says whether it was the last one.
func (s *Reader) boundaryEnd() (closing bool) {
	window := s.window() // it is complete, because it was classified before
	if window[0] == '-' {
		s.consume(2)
		return true
	}
	s.consume(s.line(window) + 1)
	return false
}

// line returns where a line of the framing ends, and notes which line end it has.
func (s *Reader) line(window []byte) int {
	i := bytes.IndexByte(window, '\n')
	if i > 0 && window[i-1] == '\r' {
		s.crlf = true
	}
	return i
}
