package s3store

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// pool hands out chunks of memory, and never more than its size: it is what
// bounds the process (promise 3). Chunks are made on first use and kept.
//
// A caller takes all chunks it needs at once, while it holds none it is waiting
// with, and is served first come, first served. Whoever holds chunks either
// reads from a client, which is cut when it is too slow, or waits for S3, which
// has a time limit: so the pool always moves.
type pool struct {
	chunkBytes int
	chunks     int64 // how many there are in all
	permits    *semaphore.Weighted
	parent     *pool // whose memory a private pool hands out; nil: its own

	inUse atomic.Int64 // bytes handed out

	mu   sync.Mutex
	idle [][]byte
}

func newPool(sizeBytes int64, chunkBytes int) *pool {
	chunks := sizeBytes / int64(chunkBytes)
	return &pool{chunkBytes: chunkBytes, chunks: chunks, permits: semaphore.NewWeighted(chunks)}
}

// acquire waits for a buffer that holds at least sizeBytes (rounded up to whole
// chunks, at least one), until ctx ends. More than the pool has is an error at once.
func (p *pool) acquire(ctx context.Context, sizeBytes int64) (*buffer, error) {
	n := max(1, (sizeBytes+int64(p.chunkBytes)-1)/int64(p.chunkBytes))
	if n > p.chunks {
		return nil, errors.New("buffer larger than the memory budget")
	}
	if err := p.permits.Acquire(ctx, n); err != nil {
		return nil, err
	}
	p.inUse.Add(n * int64(p.chunkBytes))
	return &buffer{pool: p, chunks: make([][]byte, n)}, nil
}

// chunk is the memory behind one permit. The one that was used last comes first:
// it is still in the processor's cache, and what small instances never fill is never made.
func (p *pool) chunk() []byte {
	if p.parent != nil {
		return p.parent.chunk()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return make([]byte, p.chunkBytes)
	}
	c := p.idle[last]
	p.idle = p.idle[:last]
	return c
}

// buffer is the memory of one part: chunks that were taken together. One
// goroutine fills it; then it is only read, until release.
type buffer struct {
	pool   *pool
	chunks [][]byte // nil until something is filled in
	n      int64    // bytes filled
}

// free is the memory behind the filled bytes, up to the end of its chunk; empty when full.
func (b *buffer) free() []byte {
	i, offset := int(b.n)/b.pool.chunkBytes, int(b.n)%b.pool.chunkBytes
	if i == len(b.chunks) {
		return nil
	}
	if b.chunks[i] == nil {
		b.chunks[i] = b.pool.chunk()
	}
	return b.chunks[i][offset:]
}

// fill reads from r until the buffer is full or r ends. Like io.ReadFull it
// returns io.EOF only where r ended, but however much was read before.
func (b *buffer) fill(r io.Reader) error {
	for free := b.free(); len(free) > 0; free = b.free() {
		n, err := r.Read(free)
		b.n += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// split cuts the first chunks, sizeBytes of them, off an empty buffer.
func (b *buffer) split(sizeBytes int64) *buffer {
	n := min(len(b.chunks), int(sizeBytes)/b.pool.chunkBytes)
	head := &buffer{pool: b.pool, chunks: b.chunks[:n:n]}
	b.chunks = b.chunks[n:]
	return head
}

// trim gives the chunks that hold nothing back to the pool: most instances are
// much smaller than a part, and wait for S3 with only the memory they fill.
func (b *buffer) trim() {
	used := (int(b.n) + b.pool.chunkBytes - 1) / b.pool.chunkBytes
	b.pool.put(b.chunks[used:])
	b.chunks = b.chunks[:used:used]
}

// release gives all chunks back. The buffer must not be used afterwards; a second call does nothing.
func (b *buffer) release() {
	b.pool.put(b.chunks)
	b.chunks, b.n = nil, 0
}

func (p *pool) put(chunks [][]byte) {
	if len(chunks) == 0 {
		return
	}
	p.keep(chunks)
	p.inUse.Add(-int64(len(chunks) * p.chunkBytes))
	p.permits.Release(int64(len(chunks)))
}

func (p *pool) keep(chunks [][]byte) {
	if p.parent != nil {
		p.parent.keep(chunks)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range chunks {
		if c != nil {
			p.idle = append(p.idle, c)
		}
	}
}

// private makes a pool of the permits of an empty buffer: its owner takes buffers
// from it as from the pool, and waits for nobody but itself. Release b when all are back.
func (b *buffer) private() *pool {
	n := int64(len(b.chunks))
	return &pool{chunkBytes: b.pool.chunkBytes, chunks: n, permits: semaphore.NewWeighted(n), parent: b.pool}
}

// write overwrites filled bytes from offset on.
func (b *buffer) write(offset int64, p []byte) {
	for size := int64(b.pool.chunkBytes); len(p) > 0; {
		n := copy(b.chunks[offset/size][offset%size:], p)
		offset, p = offset+int64(n), p[n:]
	}
}

// crc64nvme of the filled bytes, carried on from crc.
func (b *buffer) update(crc uint64, update func(uint64, []byte) uint64) uint64 {
	rest := b.n
	for _, chunk := range b.chunks {
		if rest == 0 {
			break
		}
		filled := min(rest, int64(len(chunk)))
		crc = update(crc, chunk[:filled])
		rest -= filled
	}
	return crc
}

// reader reads the filled bytes. It seeks, so that the SDK can send them again on a retry.
func (b *buffer) reader() *bufferReader { return &bufferReader{buffer: b} }

type bufferReader struct {
	buffer *buffer
	offset int64
}

func (r *bufferReader) Read(p []byte) (int, error) {
	b := r.buffer
	if r.offset >= b.n {
		return 0, io.EOF
	}
	size := int64(b.pool.chunkBytes)
	chunk := b.chunks[r.offset/size]
	start := r.offset % size
	end := min(size, start+b.n-r.offset)
	n := copy(p, chunk[start:end])
	r.offset += int64(n)
	return n, nil
}

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
