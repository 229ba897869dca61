package compose

import (
	"errors"
	"io"
	"strings"

	"stowrs-to-s3/app/compose/bulkdata"
	"stowrs-to-s3/app/related"
)

// part is the value of a hole, or a frame of it: a bulkdata part (PS3.18 §10.5.1.4).
// Bytes that were read too early are kept in memory; the rest still has to be received.
type part struct {
	composer       *Composer
	location       string // Content-Location, unchanged
	mediaType      string
	transferSyntax string
	encoded        error     // its bytes are an encoding of the value, not the value
	declared       bool      // it has a Content-Length
	length         int64     // -1: not known yet
	rest           io.Reader // nil: everything was received
	failed         error     // of rest, which a decoder may hide
	heldBytes      int64     // of a part that is kept, besides its content

	content *partContent
	chunk   int // of content, the next to be read
	at      int // in it
}

// partContent has the bytes that were read of a part, which several holes may share.
type partContent struct {
	chunks [][]byte
	users  int
}

// partBytes is about the memory of a part besides its texts and its content.
const partBytes = 512

// newPart is a part that is being received. There is only one at a time, so that it is
// counted only if it is kept.
func (c *Composer) newPart(p *related.Part) *part {
	contentType := related.ParseMediaType(p.Header.Get("Content-Type"))
	return &part{
		composer: c, encoded: checkEncoding(p), location: strings.TrimSpace(p.Header.Get("Content-Location")), mediaType: strings.Clone(contentType.Name),
		transferSyntax: strings.Clone(contentType.Params["transfer-syntax"]), declared: p.DeclaredBytes >= 0, length: p.DeclaredBytes, rest: p, content: &partContent{users: 1},
	}
}

// checkEncoding refuses encodings of the content that RFC 9110 §8.4 and RFC 2045 §6 allow for a part.
func checkEncoding(p *related.Part) error {
	for _, name := range []string{"Content-Encoding", "Content-Transfer-Encoding"} {
		for _, value := range p.Header.Values(name) {
			switch strings.ToLower(strings.TrimSpace(value)) {
			case "", "identity", "binary", "8bit", "7bit":
			default:
				return invalid("bulkdata part %q has a %s, which is not decoded: send it without", headerText(p.Header.Get("Content-Location")), name)
			}
		}
	}
	return nil
}

// textBytes is the memory of a text of n bytes, which Go rounds up.
func textBytes(n int) int64 { return int64(n + n/8) }

// share returns the same part, which is kept completely, for one more hole. With an error
// nothing is shared.
func (b *part) share() (*part, error) {
	c := b.composer
	if b.rest != nil {
		return &part{}, nil
	}
	if err := b.countMade(b.length); err != nil {
		return &part{}, err
	}
	if err := c.takeBulk(partBytes); err != nil {
		return &part{}, err
	}
	shared := *b
	shared.heldBytes, shared.chunk, shared.at = partBytes, 0, 0
	b.content.users++
	return &shared, nil
}

// countMade counts n more bytes that are made from the part, in addition to those received.
func (b *part) countMade(n int64) error {
	c := b.composer
	if c.made += n; c.made > freeMadeBytes+maxMadePerByte*c.came {
		return invalid("of the bulkdata up to part %q more than %d times their bytes would be made, by decoding or for many attributes: send it in several requests", b.name(), maxMadePerByte)
	}
	return nil
}

// receive reads the next bytes from the request. At the end of the part rest is nil.
func (b *part) receive(p []byte) (int, error) {
	n, err := b.rest.Read(p)
	b.composer.came += int64(n)
	if err == io.EOF { //nolint:errorlint // io.EOF itself ends a part
		b.rest = nil
	} else if err != nil {
		err = b.fail(err)
	}
	return n, err
}

// grow returns memory for n bytes, to which old is copied. The error is that of takeBulk.
func (b *part) grow(old []byte, n int) ([]byte, error) {
	if err := b.composer.takeBulk(int64(n)); err != nil {
		return nil, err
	}
	grown := append(make([]byte, 0, n), old...)
	b.composer.free(int64(cap(old)))
	return grown, nil
}

// fillChunk reads into a chunk, up to its capacity. At the end of the part rest is nil.
func (b *part) fillChunk(chunk []byte) ([]byte, error) {
	for b.rest != nil && len(chunk) < cap(chunk) {
		n, err := b.receive(chunk[len(chunk):cap(chunk)])
		if chunk = chunk[:len(chunk)+n]; err != nil && b.rest != nil {
			return chunk, err
		}
	}
	return chunk, nil
}

// keep reads the whole part, so that the next part can come.
func (b *part) keep() error {
	const smallest, largest = 512, 64 << 10
	if b.heldBytes == 0 && b.content != nil {
		size := partBytes + textBytes(len(b.location)+len(b.mediaType)+len(b.transferSyntax))
		if err := b.composer.takeBulk(size); err != nil {
			return err
		}
		b.heldBytes = size
	}
	if b.rest == nil {
		return nil
	}
	keptBytes := int64(0)
	for _, c := range b.content.chunks {
		keptBytes += int64(len(c))
	}
	for b.rest != nil {
		size := max(smallest, min(largest, keptBytes))
		if b.length >= 0 {
			size = min(largest, max(0, b.length-keptBytes)+1) // one byte more shows the end
		}
		chunk, err := b.grow(nil, int(size))
		if err != nil {
			return err
		}
		chunk, err = b.fillChunk(chunk) // also for a part that failed
		b.content.chunks = append(b.content.chunks, chunk)
		if keptBytes += int64(len(chunk)); err != nil {
			return err
		}
	}
	b.length = keptBytes
	return nil
}

// head returns the first bytes of a part of which nothing was consumed: size bytes, or
// all bytes, with complete set.
func (b *part) head(size int) (head []byte, complete bool, err error) {
	k := b.content
	if len(k.chunks) == 0 {
		k.chunks = append(k.chunks, nil)
	}
	if len(k.chunks) > 1 || cap(k.chunks[0]) < size && b.rest != nil {
		if k.chunks[0], err = b.grow(k.chunks[0], max(size, len(k.chunks[0]))); err != nil {
			return nil, false, err
		}
	}
	for len(k.chunks) > 1 && len(k.chunks[0]) < cap(k.chunks[0]) {
		first, second := k.chunks[0], k.chunks[1]
		n := copy(first[len(first):cap(first)], second)
		k.chunks[0] = first[:len(first)+n]
		if k.chunks[1] = second[:copy(second, second[n:])]; len(k.chunks[1]) == 0 {
			b.composer.free(int64(cap(second)))
			k.chunks = append(k.chunks[:1], k.chunks[2:]...)
		}
	}
	if len(k.chunks) == 1 {
		if k.chunks[0], err = b.fillChunk(k.chunks[0]); err == nil && b.rest == nil {
			b.length = int64(len(k.chunks[0]))
		}
	}
	return k.chunks[0], len(k.chunks) == 1 && b.rest == nil, err
}

// Read implements io.Reader: first the kept bytes, then the rest.
func (b *part) Read(p []byte) (int, error) {
	for k := b.content; k != nil && b.chunk < len(k.chunks); {
		chunk := k.chunks[b.chunk]
		if b.at < len(chunk) {
			n := copy(p, chunk[b.at:])
			b.at += n
			return n, nil
		}
		if k.users == 1 {
			b.composer.free(int64(cap(chunk)))
			k.chunks[b.chunk] = nil
		}
		b.chunk, b.at = b.chunk+1, 0
	}
	if b.rest == nil {
		return 0, io.EOF
	}
	return b.receive(p)
}

// drop gives the memory back. Then the part is empty.
func (b *part) drop() {
	if b.content == nil {
		return
	}
	if b.content.users--; b.content.users == 0 {
		for _, chunk := range b.content.chunks {
			b.composer.free(int64(cap(chunk)))
		}
	}
	b.composer.free(b.heldBytes)
	b.content, b.rest = nil, nil
}

// fail is the error of the instance if only the part is wrong, not the body.
func (b *part) fail(err error) error {
	if errors.Is(err, related.ErrPart) {
		err = invalid("bulkdata part %q: %w", b.name(), err)
	}
	b.failed = err
	return err
}

// name is the Content-Location, in a form for logs and headers.
func (b *part) name() string { return headerText(b.location) }

// kind is the media type, in a form for logs and headers.
func (b *part) kind() string { return headerText(b.mediaType) }

// headerText returns s without characters that must not be in a header or a log, 300 characters at most.
func headerText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s[:min(len(s), 300)])
	return s
}

// compressed says whether the bit stream is encapsulated (PS3.18 Table 10.5.2-1: Unchanged).
func (b *part) compressed() bool { return bulkdata.Compressed(b.mediaType) }

// transformed says whether its pixels are stored without compression (PS3.18 Table 10.5.2-1: Transform).
func (b *part) transformed() bool { return bulkdata.Transformed(b.mediaType) }

// video says whether the part is a whole video, however many frames it has.
func (b *part) video() bool { return strings.HasPrefix(b.mediaType, "video/") }
