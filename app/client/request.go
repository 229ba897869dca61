package client

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/minio/crc64nvme"
)

// errClosed is the error of a Read after Close.
var errClosed = errors.New("request body is closed")

// body streams a multipart/related payload, one part per instance (PS3.18 §8.6.1.2,
// §10.5.1.4). It opens each file when its turn comes, buffers none of its bytes, and sends
// exactly the number of bytes that length counts, so that the request has a Content-Length.
// If a file has changed since the walk, the body ends with an error before
// the boundary that would close its part, so that no server can take the part for complete.
//
// Close may be called during a Read (net/http does this); it waits for the Read.
type body struct {
	boundary string
	sent     func(n int) // is called after n bytes of instances were read

	mu     sync.Mutex
	rest   []*instance // not yet begun
	text   string      // framing that is read next
	file   *content    // of current, while it is open
	left   int64       // bytes of file that are still to be read
	crc    hash.Hash64 // CRC64NVME of the bytes read from file
	ended  bool        // the closing boundary is in text, or was read
	closed bool

	current *instance
	bytes   int64 // of instances, read so far
	changed error // why current could not be sent, which ended the body; nil: no such error
}

func newBody(instances []*instance, sent func(n int)) *body {
	return &body{boundary: rand.Text(), rest: instances, sent: sent}
}

// contentType quotes both parameters; a type with a slash must be quoted (PS3.18 §8.7.1, RFC 2387 §3.4).
func (b *body) contentType() string {
	return fmt.Sprintf(`multipart/related; type="application/dicom"; boundary="%s"`, b.boundary)
}

func (b *body) partHead(i *instance) string {
	return fmt.Sprintf("--%s\r\nContent-Type: application/dicom\r\nContent-Length: %d\r\n\r\n", b.boundary, i.size)
}

const partTail = "\r\n"

func (b *body) end() string { return "--" + b.boundary + "--\r\n" }

// length is the length of the whole body in bytes. Call it before the first Read.
func (b *body) length() int64 {
	n := int64(len(b.end()))
	for _, i := range b.rest {
		n += int64(len(b.partHead(i))) + i.size + int64(len(partTail))
	}
	return n
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.closed:
			return 0, errClosed
		case b.changed != nil:
			return 0, b.changed
		case b.text != "":
			n := copy(p, b.text)
			b.text = b.text[n:]
			return n, nil
		case b.file != nil && b.left > 0:
			return b.readFile(p)
		case b.file != nil:
			b.changed = b.finish()
		case len(b.rest) > 0:
			b.changed = b.begin()
		case !b.ended:
			b.text, b.ended = b.end(), true
		default:
			return 0, io.EOF
		}
	}
}

// begin opens the next instance.
func (b *body) begin() error {
	b.current, b.rest = b.rest[0], b.rest[1:]
	file, err := b.current.open()
	if err != nil {
		return err
	}
	b.file, b.left, b.crc = file, b.current.size, crc64nvme.New()
	b.current.sentWhole = false
	b.text = b.partHead(b.current)
	return b.verify()
}

func (b *body) readFile(p []byte) (int, error) {
	n, err := b.file.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	_, _ = b.crc.Write(p[:n]) // a hash never fails
	b.bytes += int64(n)
	b.sent(n)
	if err != nil {
		switch {
		case errors.Is(err, io.EOF) && b.left == 0: // a reader of an archive may return EOF with the last bytes
			err = nil
		case errors.Is(err, io.EOF) && b.current.member != nil:
			err = errCut
		case errors.Is(err, io.EOF):
			err = errChanged
		}
		b.changed = err
	}
	return n, b.changed
}

// finish checks that the file has not changed while it was read, and ends its part.
func (b *body) finish() error {
	if err := b.verify(); err != nil {
		return err
	}
	if b.file.check != nil {
		if err := b.file.check(); err != nil {
			return err
		}
	}
	b.text = partTail
	b.current.crc64nvme, b.current.sentWhole = b.crc.Sum64(), true
	return b.closeFile()
}

func (b *body) verify() error {
	info, err := b.file.file.Stat()
	if err != nil {
		return err
	}
	if !b.current.unchanged(info) {
		return errChanged
	}
	return nil
}

func (b *body) closeFile() error {
	if b.file == nil {
		return nil
	}
	file := b.file
	b.file = nil
	return file.Close()
}

// Close makes all later Reads fail. It may be called more than once.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.closeFile()
}

// outcome closes the body. It returns how many bytes of instances were read, and the
// instance that could not be sent, if any, with the reason.
func (b *body) outcome() (bytes int64, unsendable *instance, why error) {
	_ = b.Close() // the file was only read
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		return b.bytes, nil, nil
	}
	return b.bytes, b.current, b.changed
}
