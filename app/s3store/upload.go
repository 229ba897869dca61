package s3store

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// Source is where the bytes of one instance come from. Read ends with io.EOF
// itself, not wrapped, only after the instance's last byte.
type Source interface {
	io.Reader
	// AtMost is an upper bound of the bytes still to come, -1 when there is none.
	// It must hold: the size of buffers is chosen by it.
	AtMost() int64
}

// Metadata is kept with the object, as x-amz-meta-…, except what is empty. The
// values travel in HTTP headers: they must be checked to be printable ASCII.
type Metadata struct {
	RequestID         string
	SOPClassUID       string
	TransferSyntaxUID string
}

// Upload is one instance on its way: first its head is read (Head), which tells
// its key; then Store reads the rest and sends all of it, or Discard drops it.
// One goroutine calls these, in this order; Wait may be called by any.
type Upload struct {
	store    *Store
	ctx      context.Context //nolint:containedctx // the upload outlives the call that begins it
	source   Source
	declared int64
	pool     *pool // of the buffers: the store's, or a private one

	filled   []*buffer // full buffers of the head, before the key is known
	current  *buffer   // being filled
	lane     *buffer   // what is left of the reserve lane, nil: not taken
	received int64
	number   int  // of the last part sent
	sent     bool // a part is on its way, so there is a multipart upload
	crc      uint64

	reserve *buffer // what a private pool is made of, nil: not private
	first   *buffer // the first part of a private upload, sent last

	key       string
	metadata  Metadata
	group     *errgroup.Group
	groupCtx  context.Context //nolint:containedctx // ends when a part failed
	created   func() (string, error)
	mu        sync.Mutex
	completed []types.CompletedPart

	done chan struct{}
	err  error
}

// Begin waits for a buffer and returns an Upload that reads from source; no byte is read before.
// Of an instance whose length is declared (not -1) the part size is known at once.
// When ctx ends, whatever the upload waits for ends with an error, and nothing is left in S3.
func (s *Store) Begin(ctx context.Context, source Source, declared int64) (*Upload, error) {
	sizeBytes := s.parts.size(1, declared)
	if atMost := source.AtMost(); atMost >= 0 {
		sizeBytes = min(sizeBytes, atMost)
	}
	first, err := s.pool.acquire(ctx, sizeBytes)
	if err != nil {
		return nil, fmt.Errorf("wait for a buffer: %w", err)
	}
	return s.newUpload(ctx, source, declared, s.pool, first), nil
}

func (s *Store) newUpload(ctx context.Context, source Source, declared int64, buffers *pool, first *buffer) *Upload {
	u := &Upload{store: s, ctx: ctx, source: source, declared: declared, pool: buffers, current: first, done: make(chan struct{})}
	u.created = sync.OnceValues(u.create)
	return u
}

// Head reads the instance from its first byte, and keeps what is read for Store.
// No more than HeadWindowBytes may be read from it. Beyond the first buffer it
// waits for the reserve lane, which one upload holds at a time.
func (u *Upload) Head() io.Reader { return (*head)(u) }

type head Upload

func (h *head) Read(p []byte) (int, error) {
	free := h.current.free()
	if len(free) == 0 {
		if err := (*Upload)(h).extendHead(); err != nil {
			return 0, err
		}
		free = h.current.free()
	}
	n, err := h.source.Read(free[:min(len(free), len(p))])
	copy(p, free[:n])
	h.current.n += int64(n)
	return n, err
}

// extendHead goes on in the reserve lane. It never waits for the pool, which
// others may hold while they wait for the lane.
func (u *Upload) extendHead() error {
	lane := u.store.lane
	if u.lane == nil {
		reserve, err := lane.acquire(u.ctx, lane.chunks*int64(lane.chunkBytes))
		if err != nil {
			return fmt.Errorf("wait for the reserve lane: %w", err)
		}
		u.lane = reserve
	}
	next := u.lane.split(u.store.parts.part)
	if len(next.chunks) == 0 {
		return errors.New("head is larger than the head window")
	}
	u.filled, u.current = append(u.filled, u.current), next
	return nil
}

// Discard gives up an instance whose head was read, and frees its memory.
// The rest of the source is left unread.
func (u *Upload) Discard() {
	u.releaseHead()
	u.current.release()
	u.releaseReserve()
}

func (u *Upload) releaseHead() {
	for _, b := range u.filled {
		b.release()
	}
	u.filled = nil
	if u.lane != nil {
		u.lane.release()
		u.lane = nil
	}
}

// Store reads the rest of the source and sends the instance to key. It returns
// when the last byte was read, with the source's error if there was one; the
// outcome is that of Wait. When the upload has failed already, it returns without
// reading to the end.
func (u *Upload) Store(key string, metadata Metadata) error {
	u.key, u.metadata = key, metadata
	u.group, u.groupCtx = errgroup.WithContext(u.ctx)
	if u.lane != nil { // what the head did not need
		u.lane.release()
		u.lane = nil
	}
	err := u.receive()
	go u.finish(err)
	var sourceErr *SourceError
	if errors.As(err, &sourceErr) {
		return sourceErr.Err
	}
	return nil
}

// SourceError is an error of the source: the client broke off, or was cut.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return "read instance: " + e.Err.Error() }

// Unwrap returns the source's own error.
func (e *SourceError) Unwrap() error { return e.Err }

// receive fills buffers and sends all but the last, which finish sends.
func (u *Upload) receive() error {
	if limit := u.limit(); u.declared > limit {
		return fmt.Errorf("%w: %d bytes declared, the limit is %d", ErrTooLarge, u.declared, limit)
	}
	for len(u.filled) > 0 {
		b := u.filled[0]
		u.filled = u.filled[1:]
		u.sendPart(b)
	}
	for {
		err := u.current.fill(u.source)
		if err == nil { // full: the last buffer?
			var next [1]byte
			if _, err = io.ReadFull(u.source, next[:]); err == nil {
				if err = u.advance(next[0]); err != nil {
					return err
				}
				continue
			}
		}
		if err != io.EOF { //nolint:errorlint // a wrapped io.EOF is a truncated body
			return &SourceError{err}
		}
		return u.checkSize(u.received + u.current.n)
	}
}

// advance sends the full current buffer and takes the next, holding none while it waits.
func (u *Upload) advance(first byte) error {
	if u.number+1 >= maxParts {
		return fmt.Errorf("%w: more than %d parts", ErrTooLarge, maxParts)
	}
	if err := u.checkSize(u.received + u.current.n + 1); err != nil {
		return err
	}
	u.sendPart(u.current)
	u.current = nil
	next, err := u.pool.acquire(u.groupCtx, u.nextBytes())
	if err != nil {
		return fmt.Errorf("wait for a buffer: %w", err)
	}
	next.free()[0], next.n = first, 1
	u.current = next
	return nil
}

// nextBytes is the size of the buffer for the next part.
func (u *Upload) nextBytes() int64 {
	if u.reserve != nil {
		return u.store.parts.part
	}
	sizeBytes := u.store.parts.size(u.number+1, u.declared)
	if atMost := u.source.AtMost(); atMost >= 0 {
		sizeBytes = min(sizeBytes, atMost+1)
	}
	return sizeBytes
}

func (u *Upload) limit() int64 {
	limit := u.store.parts.maxBytes(u.declared >= 0)
	if u.reserve != nil {
		limit = u.store.parts.part * maxParts
	}
	if configured := u.store.config.MaxInstanceBytes; configured > 0 {
		limit = min(limit, configured)
	}
	return limit
}

func (u *Upload) checkSize(receivedBytes int64) error {
	if limit := u.limit(); receivedBytes > limit {
		return fmt.Errorf("%w: the limit is %d bytes", ErrTooLarge, limit)
	}
	return nil
}

// finish sends the last buffer and completes the object, or takes back what was sent.
func (u *Upload) finish(err error) {
	defer close(u.done)
	defer func() { u.source, u.completed = nil, nil }() // a request keeps its uploads until it is answered
	defer u.releaseReserve()
	defer u.group.Wait() //nolint:errcheck // only frees its context; nothing is left to wait for
	if err == nil && u.number == 0 {
		u.err = u.put(u.current)
		return
	}
	if err == nil {
		u.sendPart(u.current)
		u.current = nil
		u.sendFirst()
	}
	u.releaseHead()
	if u.first != nil {
		u.first.release()
	}
	if u.current != nil {
		u.current.release()
	}
	if partErr := u.group.Wait(); partErr != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = partErr
	}
	if u.sent {
		err = u.complete(err)
	}
	if ended := u.ctx.Err(); ended != nil && err != nil { // whatever else came of it
		err = fmt.Errorf("%w: %w", ended, err)
	}
	u.err = err
}

// Wait returns when the object is in S3, acknowledged with its checksum (nil),
// or when the instance has failed and nothing of it is left there.
// It must not be called before Store.
func (u *Upload) Wait() error {
	<-u.done
	return u.err
}

// checksum is a CRC64NVME as S3's headers have it.
func checksum(crc uint64) *string {
	s := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
	return &s
}
