package metadata

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxAssignments bounds the equals signs without a tag between them, and so the
// attributes of one tag, each of which the decoder keeps in many times its text.
// No value is likely to have as many.
const maxAssignments = 1 << 16

// maxAttributes bounds the attributes of a tag that are looked at. The model has
// four, and namespaces are attributes too.
const maxAttributes = 32

// xmlText passes XML on and bounds what the decoder would make of it.
type xmlText struct {
	r           io.Reader
	err         error // the reader's, or what is wrong with the text; never io.EOF
	assignments int   // since the last tag began
}

func (t *xmlText) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	for _, c := range p[:n] {
		switch c {
		case '<': // never within a tag (XML 1.0 §2.3)
			t.assignments = 0
		case '=':
			t.assignments++
		}
		if t.assignments > maxAssignments {
			t.err = fmt.Errorf("%w: a tag has too many attributes", ErrSyntax)
			return 0, t.err
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = fmt.Errorf("read metadata: %w", err)
	}
	return n, err
}

// refuseCharset lets only encodings pass that are UTF-8 anyway.
func (t *xmlText) refuseCharset(name string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "us-ascii", "ascii":
		return input, nil
	}
	t.err = fmt.Errorf("%w: encoding %.40q is not UTF-8", ErrSyntax, name)
	return nil, t.err
}
