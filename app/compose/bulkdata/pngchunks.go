package bulkdata

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// pngChunks reads the chunks of a PNG, ISO/IEC 15948 §5.3, and checks their CRCs.
type pngChunks struct {
	r    *bufio.Reader
	kind string // of the current chunk
	left int    // bytes of its data that were not read yet
	crc  uint32 // of what was read
	err  error  // sticky, since io.ReadFull passes over what comes with the last byte
}

// next begins the next chunk. All data of the current one must have been read.
func (c *pngChunks) next() error {
	var head [8]byte
	if c.err == nil {
		_, c.err = io.ReadFull(c.r, head[:])
	}
	length := binary.BigEndian.Uint32(head[:])
	if c.err == nil && length > 1<<31-1 { // §5.3
		c.err = errors.New("a chunk of an impossible length")
	}
	if c.err != nil {
		return noEOF(c.err)
	}
	c.kind, c.left, c.crc = string(head[4:]), int(length), crc32.ChecksumIEEE(head[4:])
	c.check()
	return c.err
}

// check compares the CRC when the end of the chunk has come.
func (c *pngChunks) check() {
	var sum [4]byte
	if c.left > 0 || c.err != nil {
		return
	}
	if _, c.err = io.ReadFull(c.r, sum[:]); c.err != nil {
		c.err = noEOF(c.err)
	} else if binary.BigEndian.Uint32(sum[:]) != c.crc {
		c.err = fmt.Errorf("the check of the chunk %+q fails", c.kind)
	}
}

// Read implements io.Reader: the data of the current chunk.
func (c *pngChunks) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(b[:min(len(b), c.left)])
	c.crc = crc32.Update(c.crc, crc32.IEEETable, b[:n])
	if c.left -= n; c.left > 0 || err != io.EOF {
		c.err = noEOF(err)
	}
	c.check()
	return n, nil
}

// skip goes to the end of an ancillary chunk (§5.4). A decoder has to know all others.
func (c *pngChunks) skip() error {
	if c.kind[0]&0x20 == 0 {
		return fmt.Errorf("the chunk %+q is unknown or has no place here", c.kind)
	}
	_, err := io.Copy(io.Discard, c)
	return err
}

// pngData reads the data of IDAT chunks, which follow one another (§11.2.4).
type pngData struct{ *pngChunks }

// Read implements io.Reader. At io.EOF the chunk that comes behind has begun.
func (d pngData) Read(b []byte) (int, error) {
	for d.left == 0 && d.kind == "IDAT" {
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	if d.kind != "IDAT" {
		return 0, io.EOF
	}
	return d.pngChunks.Read(b)
}
