package metadata

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxAttributes bounds the attributes of a tag. The model has four, and namespaces
// are attributes too.
const maxAttributes = 32

// xmlText passes XML on and counts what the decoder makes of it: up to its next token
// it keeps what it reads, in a buffer that grows by doubling, and more for each
// attribute of a tag.
type xmlText struct {
	r           *bufio.Reader
	account     *account
	err         error // the reader's, or what is wrong with the text; never io.EOF
	read        int64 // bytes
	consumed    int64 // bytes up to the end of the last token
	assignments int   // equals signs since the last tag began
	counted     int   // bytes of memory, the most there have been
}

// Read implements io.Reader.
func (t *xmlText) Read(p []byte) (int, error) {
	const (
		growth         = 3        // of a buffer, when it is doubled
		attributeBytes = 256      // of memory for each
		smallBytes     = 64 << 10 // not counted
	)
	n, err := t.r.Read(p)
	t.read += int64(n)
	for _, c := range p[:n] {
		switch c {
		case '<': // never within a tag (XML 1.0 §2.3)
			t.assignments = 0
		case '=':
			t.assignments++
		}
	}
	need := growth*int(t.read-t.consumed) + attributeBytes*t.assignments - smallBytes
	if need > t.counted {
		need += need / 2 // for a while
		if !t.account.hold(need - t.counted) {
			return 0, t.account.err
		}
		t.counted = need
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
