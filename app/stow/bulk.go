package stow

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"stowrs-to-s3/app/bulkdata"
	"stowrs-to-s3/app/s3store"
)

// bulk is the value of one hole, or a frame of it: a bulkdata part (PS3.18
// §10.5.1.4). What was read of it before its turn is kept in memory, of which
// aside knows; the rest is still on its way.
type bulk struct {
	location       string // Content-Location, as it was sent
	mediaType      string
	transferSyntax string
	length         int64     // -1: not known yet
	kept           []byte    // read, not yet consumed
	rest           io.Reader // nil: kept is all
	failed         error     // of rest, which a decoder may hide
	aside          *s3store.Aside
	claimed        int64 // of aside
}

// newBulk is a part that is being received.
func newBulk(p *part, aside *s3store.Aside) *bulk {
	contentType := parseMediaType(p.header.Get("Content-Type"))
	return &bulk{
		location: strings.TrimSpace(p.header.Get("Content-Location")), mediaType: contentType.name,
		transferSyntax: contentType.params["transfer-syntax"], length: p.declared, rest: p, aside: aside,
	}
}

// errNoRoom: what has to be kept is more than METADATALIMIT leaves.
var errNoRoom = &buildError{ReasonOutOfResources, errors.New("more bulkdata must be kept than METADATALIMIT leaves: send it in the order of the dataset, with a Content-Length for each part")}

// fill reads until sizeBytes are kept; complete says that they are all.
func (b *bulk) fill(sizeBytes int) (complete bool, err error) {
	const step = 64 << 10
	for b.rest != nil && len(b.kept) < sizeBytes {
		if len(b.kept) == cap(b.kept) {
			room := max(step, cap(b.kept))
			if b.length >= 0 {
				room = min(room, max(0, int(b.length)-len(b.kept))+1) // one more shows the end
			}
			if !b.aside.Take(int64(room)) {
				return false, errNoRoom
			}
			b.claimed += int64(room)
			grown := make([]byte, len(b.kept), cap(b.kept)+room)
			copy(grown, b.kept)
			b.kept = grown
		}
		n, err := b.rest.Read(b.kept[len(b.kept):cap(b.kept)])
		b.kept = b.kept[:len(b.kept)+n]
		if err == io.EOF {
			b.rest, b.length = nil, int64(len(b.kept))
		} else if err != nil {
			return false, b.fail(err)
		}
	}
	return b.rest == nil, nil
}

// keep reads all of it, so that the next part can come.
func (b *bulk) keep() error {
	_, err := b.fill(maxKept)
	return err
}

const maxKept = 1<<31 - 1 // METADATALIMIT ends it before

// Read implements io.Reader: what is kept, then the rest.
func (b *bulk) Read(p []byte) (int, error) {
	if len(b.kept) > 0 {
		n := copy(p, b.kept)
		b.kept = b.kept[n:]
		return n, nil
	}
	if b.rest == nil {
		return 0, io.EOF
	}
	n, err := b.rest.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.EOF itself ends a part
		err = b.fail(err)
	}
	return n, err
}

// drop gives the kept memory back, which must not be used any more.
func (b *bulk) drop() {
	b.aside.Release(b.claimed)
	b.claimed, b.kept, b.rest = 0, nil, nil
}

// limit drops what comes behind n more bytes, which has to come nevertheless: a part
// that breaks off there is an unfinished one.
func (b *bulk) limit(n int64) {
	source := io.Reader(bytes.NewReader(b.kept))
	if b.rest != nil {
		source = io.MultiReader(source, b.rest)
	}
	b.kept, b.rest = nil, &limited{source, n}
}

// limited reads left bytes of source, and past the others.
type limited struct {
	source io.Reader
	left   int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		_, err := io.Copy(io.Discard, l.source)
		return 0, cmp.Or(err, io.EOF)
	}
	n, err := l.source.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// fail is the error of the instance, if the part alone is wrong and not the body.
func (b *bulk) fail(err error) error {
	if errors.Is(err, errPartLength) {
		err = wrong("bulkdata part %q: %w", b.name(), err)
	}
	b.failed = err
	return err
}

// name is the Content-Location, fit for logs and headers.
func (b *bulk) name() string { return printable(b.location) }

// printable is s without what a header or a log should not hold, 300 characters at most.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 300)]
}

// compressed says whether the bit stream is encapsulated (PS3.18 Table 10.5.2-1: Unchanged).
func (b *bulk) compressed() bool { return bulkdata.Compressed(b.mediaType) }

// transformed says whether its pixels are stored without compression (PS3.18 Table 10.5.2-1: Transform).
func (b *bulk) transformed() bool { return bulkdata.Transformed(b.mediaType) }

// buildError is what is wrong with one instance of metadata and bulkdata. Its text is for the log.
type buildError struct {
	reason Reason
	err    error
}

func (e *buildError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *buildError) Unwrap() error { return e.err }

// wrong is an instance that cannot be built of what was sent.
func wrong(format string, args ...any) error {
	return &buildError{ReasonCannotUnderstand, fmt.Errorf(format, args...)}
}
