package references

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"stowrs-to-s3/app/storeresponse"
)

// MaxReferences is how many instances one module may name.
const MaxReferences = 100_000

// Errors of Read, wrapped. Others are those of the reader or of take.
var (
	// ErrSyntax: the text is not JSON or XML, or not such a module.
	ErrSyntax = errors.New("the body is not a Storage Commitment module")
	// ErrTooMany: it names more than MaxReferences instances.
	ErrTooMany = fmt.Errorf("more than %d instances in one request: ask about them in several", MaxReferences)
)

// Module is what Read has found.
type Module struct {
	TransactionUID string      // (0008,1195); empty: none, as the standard requires
	Studies        []string    // Study Instance UIDs of the study sequences, one for each item, also of studies without a reference
	All            []Reference // in the order of the text
}

// Read reads a module, as XML if mediaType is storeresponse.MediaTypeXML, else as JSON. The text is streamed: only the references
// are kept, and take is called before memory is used (with a negative number: given back). An
// attribute of 64 KiB or more, and more than 64 levels, are refused.
//
// In addition to the standard, it accepts: items of (0008,1199) or (0008,114A) right under a series, each with
// its own class, hexadecimal tags in either case, and one object in an array.
// The padding of UIDs is removed (PS3.5 §9.1). The caller must check whether they are valid.
func Read(r io.Reader, mediaType string, take func(n int64) error) (*Module, error) {
	source := &tokenLimiter{source: r}
	b := &builder{module: &Module{}, take: take, classes: map[string]string{}}
	read := readJSON
	if mediaType == storeresponse.MediaTypeXML {
		read = readXML
	}
	err := read(source, b)
	switch {
	case errors.Is(source.err, ErrSyntax):
		return nil, source.err
	case source.err != nil:
		return nil, fmt.Errorf("read storage commitment module: %w", source.err)
	case b.err != nil:
		return nil, b.err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return b.module, nil
}

const (
	longestToken = 64 << 10
	deepest      = 64
)

var (
	errLong = fmt.Errorf("%w: a token has more than %d bytes", ErrSyntax, longestToken)
	errDeep = fmt.Errorf("%w: more than %d levels", ErrSyntax, deepest)
)

// tokenLimiter ends a text whose next token is longer than longestToken, because a decoder would keep the whole token. Its error is sticky.
type tokenLimiter struct {
	source io.Reader
	read   int // since the last token
	err    error
}

// Read implements io.Reader.
func (l *tokenLimiter) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	if l.read > longestToken {
		l.err = errLong
		return 0, l.err
	}
	n, err := l.source.Read(p[:min(len(p), 4<<10)])
	l.read += n
	if err != nil && err != io.EOF { // io.EOF itself ends a text
		l.err = err
	}
	return n, err //nolint:wrapcheck // an io.Reader
}

// withoutMark removes a byte order mark.
func withoutMark(r io.Reader) *bufio.Reader {
	b := bufio.NewReaderSize(r, 4<<10)
	if mark, _ := b.Peek(3); string(mark) == "\uFEFF" {
		_, _ = b.Discard(3)
	}
	return b
}

// Tags of PS3.6.
const (
	tagStudies           = "00081110"
	tagGroups            = "00081112"
	tagSeries            = "00081115"
	tagInstances         = "0008114A"
	tagSOPClassUID       = "00081150"
	tagSOPInstanceUID    = "00081155"
	tagTransactionUID    = "00081195"
	tagFailureReason     = "00081197"
	tagFailed            = "00081198"
	tagReferenced        = "00081199"
	tagFailedStudies     = "0008119B"
	tagStudyInstanceUID  = "0020000D"
	tagSeriesInstanceUID = "0020000E"
)

// withoutPadding returns a UID without the padding of PS3.5 §9.1, and without the white space of indented XML. It is a copy: a part of uid would keep all of it in memory.
func withoutPadding(uid string) string { return strings.Clone(strings.Trim(uid, " \t\r\n\x00")) }
