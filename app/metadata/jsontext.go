package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// jsonText passes JSON on while it checks what encoding/json would silently
// replace by U+FFFD, and so change a name: bytes that are not UTF-8 (RFC 8259
// §8.1) and escapes that are half of a surrogate pair (§8.2).
type jsonText struct {
	r   io.Reader
	err error // the reader's, or what is wrong with the text; never io.EOF

	partial []byte // the start of a character whose end is yet to be read
	escapes escapes
}

func (t *jsonText) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	switch {
	case !t.isUTF8(p[:n]), errors.Is(err, io.EOF) && len(t.partial) > 0:
		t.err = fmt.Errorf("%w: text is not UTF-8", ErrSyntax)
	case !t.escapes.valid(p[:n]):
		t.err = fmt.Errorf("%w: text has half of a surrogate pair", ErrSyntax)
	case err != nil && !errors.Is(err, io.EOF):
		t.err = fmt.Errorf("read metadata: %w", err)
	default:
		return n, err
	}
	return 0, t.err
}

// isUTF8 tells whether what was read so far is the start of valid UTF-8.
func (t *jsonText) isUTF8(b []byte) bool {
	for len(t.partial) > 0 && len(b) > 0 {
		t.partial, b = append(t.partial, b[0]), b[1:]
		if utf8.FullRune(t.partial) {
			if r, size := utf8.DecodeRune(t.partial); r == utf8.RuneError && size == 1 {
				return false
			}
			t.partial = t.partial[:0]
		}
	}
	for i := max(0, len(b)-utf8.UTFMax+1); i < len(b); i++ {
		if utf8.RuneStart(b[i]) && !utf8.FullRune(b[i:]) {
			t.partial, b = append(t.partial, b[i:]...), b[:i]
		}
	}
	return utf8.Valid(b)
}

// escapes follows the escapes of JSON strings: outside of strings there are none.
type escapes struct {
	escaped bool   // after a backslash
	digits  int    // hexadecimal ones of \u that are to come
	unit    uint16 // of UTF-16, so far
	high    bool   // the other half of a pair is to come
}

func (e *escapes) valid(b []byte) bool {
	for len(b) > 0 {
		if !e.escaped && e.digits == 0 && !e.high {
			i := bytes.IndexByte(b, '\\')
			if i < 0 {
				return true
			}
			b = b[i:]
		}
		if !e.next(b[0]) {
			return false
		}
		b = b[1:]
	}
	return true
}

func (e *escapes) next(c byte) bool {
	switch {
	case e.digits > 0:
		e.unit = e.unit<<4 | uint16(hexDigit(c))
		if e.digits--; e.digits == 0 {
			return e.complete()
		}
	case e.escaped && c == 'u':
		e.escaped, e.digits, e.unit = false, 4, 0
	case e.escaped:
		e.escaped = false
		return !e.high
	case c == '\\':
		e.escaped = true
	default:
		return false // a high half without a low one
	}
	return true
}

// complete ends a \u escape. The halves of a pair are D800 to DBFF and DC00 to
// DFFF, in this order.
func (e *escapes) complete() bool {
	low := e.unit>>10 == 0xDC00>>10
	if low != e.high {
		return false
	}
	e.high = e.unit>>10 == 0xD800>>10
	return true
}

// hexDigit is the value of a digit; that of anything else does not matter, since
// it is not JSON.
func hexDigit(c byte) byte {
	if c >= 'A' {
		return c&0xF + 9
	}
	return c & 0xF
}

// withoutBOM skips a byte order mark, which RFC 8259 §8.1 allows to ignore and XML
// takes for a part of the encoding (XML 1.0 §4.3.3).
func withoutBOM(r io.Reader) io.Reader {
	const bom = "\uFEFF"
	head := make([]byte, len(bom))
	n, err := io.ReadFull(r, head)
	if string(head[:n]) == bom {
		return r
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return io.MultiReader(bytes.NewReader(head[:n]), failing{err})
	}
	return io.MultiReader(bytes.NewReader(head[:n]), r)
}

// failing is a reader that has failed.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
