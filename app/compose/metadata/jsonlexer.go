package metadata

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// errEnd is the end of the text. It is an error before the end of the model.
var errEnd = fmt.Errorf("%w: cut off", ErrSyntax)

// lexer takes JSON (RFC 8259) apart. encoding/json has one, which keeps a string in
// its buffer, grown by doubling, and copies it twice, uncounted; and it replaces by
// U+FFFD, and so may change a name, what is refused here: bytes that are not UTF-8
// (§8.1) and escapes that are half of a surrogate pair (§8.2).
//
// A token is one byte: that of a bracket; '"' for a string or the name of a member
// and '0' for a number, which are in text; or the first letter of true, false, null.
type lexer struct {
	source *bufio.Reader
	*account
	offset int64  // bytes read
	open   []byte // brackets that are open
	inside bool   // something was read since the last of them
	named  bool   // the name of a member was read, its value comes
	text   []byte // valid until the next token
	err    error  // sticky
}

func newLexer(r io.Reader, a *account) *lexer {
	l := &lexer{source: bufio.NewReader(r), account: a}
	bom, err := l.source.Peek(3)
	if string(bom) == "\uFEFF" { // RFC 8259 §8.1 allows to ignore it
		l.discard(3)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = fmt.Errorf("read metadata: %w", err)
	}
	return l
}

// fail is the error of a text that is not JSON.
func (l *lexer) fail(problem string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrSyntax, problem, l.offset)
}

func (l *lexer) discard(n int) {
	discarded, _ := l.source.Discard(n)
	l.offset += int64(discarded)
}

// peek returns the next byte.
func (l *lexer) peek() (byte, error) {
	c, err := l.source.Peek(1)
	switch {
	case err == nil:
		return c[0], nil
	case errors.Is(err, io.EOF):
		return 0, errEnd
	}
	return 0, fmt.Errorf("read metadata: %w", err)
}

// start returns the first byte of the next token.
func (l *lexer) start() (byte, error) {
	for {
		c, err := l.peek()
		if err != nil || c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c, err
		}
		l.discard(1)
	}
}

// end checks that nothing follows.
func (l *lexer) end() error {
	_, err := l.start()
	switch {
	case err == nil:
		return l.fail("something follows")
	case errors.Is(err, errEnd):
		return nil
	}
	return err
}

// token reads the next token.
func (l *lexer) token() (byte, error) {
	var token byte
	if l.err == nil {
		token, l.err = l.next()
	}
	if l.account.err != nil {
		l.err = l.account.err
	}
	return token, l.err
}

func (l *lexer) next() (byte, error) {
	c, err := l.start()
	if err != nil {
		return 0, err
	}
	if len(l.open) == 0 {
		return l.value(c)
	}
	within := l.open[len(l.open)-1]
	switch {
	case l.named:
		if c != ':' {
			return 0, l.fail("no colon behind a name")
		}
		l.named = false
		if c, err = l.after(); err != nil {
			return 0, err
		}
		return l.value(c)
	case c == within+2: // } follows { in ASCII, ] follows [
		l.discard(1)
		l.open, l.inside = l.open[:len(l.open)-1], true
		return c, nil
	case l.inside:
		if c != ',' {
			return 0, l.fail("no comma")
		}
		if c, err = l.after(); err != nil {
			return 0, err
		}
	}
	l.inside = true
	if within == '{' {
		if c != '"' {
			return 0, l.fail("no name")
		}
		l.named = true
	}
	return l.value(c)
}

// after returns the first byte of what comes behind a comma or colon.
func (l *lexer) after() (byte, error) {
	l.discard(1)
	return l.start()
}

// value reads a value that begins with c, of an array or object its bracket.
func (l *lexer) value(c byte) (byte, error) {
	l.text = l.text[:0]
	switch {
	case c == '{', c == '[':
		if len(l.open) == maxNesting {
			return 0, fmt.Errorf("%w: nested too deep", ErrSyntax)
		}
		l.discard(1)
		l.open, l.inside = append(l.open, c), false
		return c, nil
	case c == '"':
		l.discard(1)
		return c, l.string()
	case c == '-', c >= '0' && c <= '9':
		return '0', l.word("+-.eE0123456789")
	case c == 't', c == 'f', c == 'n':
		return c, l.word("aeflnrstu")
	}
	return 0, l.fail("not JSON")
}

// word reads a number or a name of the language, which have no end of their own.
func (l *lexer) word(letters string) error {
	for {
		c, err := l.peek()
		if err != nil && !errors.Is(err, errEnd) {
			return err
		}
		if err != nil || strings.IndexByte(letters, c) < 0 {
			break
		}
		l.text = add(l.account, l.text, c)
		l.discard(1)
	}
	if !json.Valid(l.text) {
		return l.fail("not JSON")
	}
	return nil
}

// string reads a string whose quotation mark was read.
func (l *lexer) string() error {
	for l.account.err == nil {
		if _, err := l.peek(); err != nil {
			return err
		}
		plain, _ := l.source.Peek(l.source.Buffered())
		n := 0
		for n < len(plain) && plain[n] >= ' ' && plain[n] != '"' && plain[n] != '\\' {
			n++
		}
		l.text = add(l.account, l.text, plain[:n]...)
		if n == len(plain) {
			l.discard(n)
			continue
		}
		c := plain[n]
		l.discard(n + 1)
		switch {
		case c == '"' && !utf8.Valid(l.text): // what escapes add is valid, and does not mend what is around it
			return fmt.Errorf("%w: text is not UTF-8", ErrSyntax)
		case c == '"':
			return nil
		case c != '\\':
			return l.fail("a control character in a string")
		}
		r, err := l.escape()
		if err != nil {
			return err
		}
		l.text = add(l.account, l.text, utf8.AppendRune(nil, r)...)
	}
	return nil
}

// escape reads what follows a backslash (RFC 8259 §7).
func (l *lexer) escape() (rune, error) {
	c, err := l.peek()
	if err != nil {
		return 0, err
	}
	l.discard(1)
	if at := strings.IndexByte(`"\/bfnrt`, c); at >= 0 {
		return rune("\"\\/\b\f\n\r\t"[at]), nil
	}
	if c != 'u' {
		return 0, l.fail("unknown escape")
	}
	r, err := l.unit()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	second, err := l.source.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read metadata: %w", err)
	}
	if string(second) == `\u` {
		l.discard(2)
		low, err := l.unit()
		if err != nil {
			return 0, err
		}
		if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
			return r, nil
		}
	}
	return 0, fmt.Errorf("%w: text has half of a surrogate pair", ErrSyntax)
}

// unit reads the four digits of a \u escape.
func (l *lexer) unit() (rune, error) {
	var r rune
	for range 4 {
		c, err := l.peek()
		if err != nil {
			return 0, err
		}
		digit := strings.IndexByte("0123456789abcdef", c|0x20) // the digits have the bit, too
		if digit < 0 || c < '0' {
			return 0, l.fail("unknown escape")
		}
		r = r<<4 | rune(digit) //nolint:gosec // below 16
		l.discard(1)
	}
	return r, nil
}

// moveText returns the text of the token, which is the caller's now, and so is its memory.
func (l *lexer) moveText() []byte {
	text := l.text
	l.text = nil
	return text
}
