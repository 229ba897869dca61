package s3store

import (
	"errors"
	"io"
	"iter"

	"github.com/minio/crc64nvme"

	"stowrs-to-s3/app/memory"
)

// buffer is the memory of one part: chunks, all full except the last one. One goroutine
// fills it; then it is only read, until release.
type buffer struct {
	chunks [][]byte
	n      int64  // bytes filled
	crc    uint64 // CRC64NVME of these
}

// room is the memory after the filled bytes; empty if the last chunk is full.
func (b *buffer) room() []byte {
	if b.n == int64(len(b.chunks))*memory.ChunkBytes {
		return nil
	}
	return b.chunks[len(b.chunks)-1][b.n%memory.ChunkBytes:]
}

// fill counts the first n bytes of room, which were just written. Their checksum is computed now,
// while the processor's cache has them.
func (b *buffer) fill(n int) {
	b.crc = crc64nvme.Update(b.crc, b.room()[:n])
	b.n += int64(n)
}

// split cuts the first whole chunks off, sizeBytes of them.
func (b *buffer) split(sizeBytes int64) *buffer {
	n := sizeBytes / memory.ChunkBytes
	front := &buffer{chunks: b.chunks[:n:n], n: n * memory.ChunkBytes}
	b.chunks, b.n = b.chunks[n:], b.n-front.n
	front.sum()
	b.sum()
	return front
}

// write overwrites filled bytes from offset on.
func (b *buffer) write(offset int64, p []byte) {
	for len(p) > 0 {
		n := copy(b.chunks[offset/memory.ChunkBytes][offset%memory.ChunkBytes:], p)
		offset, p = offset+int64(n), p[n:]
	}
	b.sum()
}

// read copies filled bytes from offset on, as many as fit into p, because each read causes a system call for sending.
func (b *buffer) read(p []byte, offset int64) int {
	n := 0
	for n < len(p) && offset < b.n {
		chunk := b.chunks[offset/memory.ChunkBytes]
		start := offset % memory.ChunkBytes
		copied := copy(p[n:], chunk[start:min(int64(len(chunk)), start+b.n-offset)])
		n, offset = n+copied, offset+int64(copied)
	}
	return n
}

// filled are its bytes, chunk by chunk.
func (b *buffer) filled() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rest := b.n
		for _, chunk := range b.chunks {
			n := min(rest, int64(len(chunk)))
			if rest -= n; !yield(chunk[:n]) {
				return
			}
		}
	}
}

// sum computes the checksum again.
func (b *buffer) sum() {
	b.crc = 0
	for filled := range b.filled() {
		b.crc = crc64nvme.Update(b.crc, filled)
	}
}

// release gives all chunks back. The buffer must not be used afterwards; a second call does nothing.
func (b *buffer) release(ledger *memory.Ledger) {
	ledger.Free(b.chunks...)
	b.chunks, b.n = nil, 0
}

// reader reads the filled bytes, for one attempt at sending them. The SDK seeks to
// the start when it signs them.
func (b *buffer) reader(w *watch) io.ReadSeeker { return &bufferReader{buffer: b, watch: w} }

type bufferReader struct {
	buffer *buffer
	watch  *watch
	offset int64
}

// Read implements io.Reader.
func (r *bufferReader) Read(p []byte) (int, error) {
	r.watch.progress()
	if r.offset >= r.buffer.n {
		return 0, io.EOF
	}
	n := r.buffer.read(p, r.offset)
	r.offset += int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (r *bufferReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.buffer.n
	}
	if offset < 0 {
		return 0, errors.New("seek before the first byte")
	}
	r.offset = offset
	return offset, nil
}
