package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/trace"
)

// Source is where the bytes of one instance come from. Read ends with io.EOF
// itself, not wrapped, only after the instance's last byte.
type Source struct {
	io.Reader
	// DeclaredBytes is the length that the sender declares, -1: none. It is a hint for the size of parts.
	DeclaredBytes int64
	// Correct is called after the last byte, and returns which of the first 8 MiB must
	// be overwritten: the first part waits for it. nil: nothing is corrected.
	Correct func() (offset int64, b []byte)
}

// Metadata is kept with the object, as x-amz-meta-…, except what is empty. The
// values travel in HTTP headers: they must be checked to be printable ASCII.
type Metadata struct {
	RequestID         string
	SOPClassUID       string
	TransferSyntaxUID string
}

// Upload is one instance that is being stored. First its head is read (Head), which gives
// its key; then Store reads the rest and sends everything, or Discard drops it.
// One goroutine calls these, in this order; any goroutine may call Wait.
type Upload struct {
	store  *Store
	ctx    context.Context //nolint:containedctx // the upload outlives the call that begins it
	line   *memory.Line
	source Source

	current   *buffer // being filled
	first     *buffer // the first part, while it waits for its correction
	received  int64   // bytes
	parts     []*part // those that were sent, in order
	readErr   error   // of the source, also io.EOF: it is final, whatever the source returns later
	sourceErr error   // the same without io.EOF
	named     bool    // the key is known: parts can be sent
	hurried   bool    // it finishes without a place in Store.ending

	key      string
	metadata Metadata
	group    *errgroup.Group // of parts; nil: none was sent yet
	groupCtx context.Context //nolint:containedctx // ends when a part failed
	created  func() (uploadID string, err error)
	crc      uint64 // of the object
	span     trace.Span

	done chan struct{}
	err  error
}

// Begin returns an Upload that reads from source, with memory for which it waits in
// line. When ctx ends, every wait ends with an error, and nothing remains in S3.
func (s *Store) Begin(ctx context.Context, line *memory.Line, source Source) *Upload {
	return &Upload{store: s, ctx: ctx, groupCtx: ctx, line: line, source: source, current: &buffer{}, done: make(chan struct{})}
}

// Head reads the instance from its first byte, as far as the caller reads it, and keeps the
// bytes for Store.
func (u *Upload) Head() io.ReaderAt { return (*head)(u) }

type head Upload

// ReadAt implements io.ReaderAt, for one reader.
func (h *head) ReadAt(p []byte, offset int64) (int, error) {
	for end := offset + int64(len(p)); h.current.n < end && h.readErr == nil; {
		room, err := (*Upload)(h).room()
		if err != nil {
			return 0, err
		}
		_ = (*Upload)(h).read(room[:min(int64(len(room)), end-h.current.n)]) // the error is in readErr
	}
	n := h.current.read(p, offset)
	if n < len(p) {
		return n, h.readErr
	}
	return n, nil
}

// HeldBytes is the memory of bytes that have arrived and are not being sent to S3 yet.
func (u *Upload) HeldBytes() int64 {
	held := u.current.n
	if u.first != nil {
		held += u.first.n
	}
	return held
}

// Discard drops an instance that was not stored, and frees its memory. It does not
// read the rest of the source. After Store it does nothing.
func (u *Upload) Discard() {
	if !u.named {
		u.release()
	}
}

// Store reads the rest of the source and sends the instance to key. It returns
// after the last byte was read, with the source's error if there was one; Wait returns the
// result. If the upload has already failed, Store returns without
// reading to the end.
func (u *Upload) Store(key string, metadata Metadata) error {
	u.key, u.metadata, u.named = key, metadata, true
	u.ctx, u.span = trace.Start(u.ctx, "Store")
	err := errAbandoned
	defer func() {
		if errors.Is(err, errAbandoned) { // a panic of the source: clean up before the panic continues
			u.hurried = true
			u.finish(err)
			return
		}
		u.wait()
		u.store.start(func() { u.finish(err) })
	}()
	err = u.receive()
	return u.sourceErr
}

// wait waits until few enough uploads are finishing, or the service is cut off. Uploads
// always finish, so this wait always ends.
func (u *Upload) wait() {
	select {
	case u.store.ending <- struct{}{}:
	case <-u.ctx.Done():
		u.hurried = true
	}
}

var errAbandoned = errors.New("the instance was not read to its end")

// receive fills buffers and sends them, except for the last one, which finish sends.
func (u *Upload) receive() error {
	if limit := u.limit(); u.source.DeclaredBytes > limit {
		return fmt.Errorf("%w: %d bytes declared, the limit is %d", ErrTooLarge, u.source.DeclaredBytes, limit)
	}
	for {
		room, err := u.room()
		if err != nil {
			return err
		}
		err = u.read(room)
		if limit := u.limit(); u.received+u.current.n > limit {
			return fmt.Errorf("%w: the limit is %d bytes", ErrTooLarge, limit)
		}
		if err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a truncated body
			u.correct()
			return nil
		}
		if err != nil {
			u.sourceErr = err
			return fmt.Errorf("read instance: %w", err)
		}
	}
}

// read reads the next bytes into room.
func (u *Upload) read(room []byte) error {
	if u.readErr == nil {
		var n int
		n, u.readErr = u.source.Read(room)
		u.current.fill(n)
	}
	return u.readErr
}

// room is memory for the next bytes. A full part is sent first. An upload that has to wait
// for memory first sends what is enough for a part, so that no waiting upload holds more than that.
func (u *Upload) room() ([]byte, error) {
	if room := u.current.room(); len(room) > 0 {
		return room, nil
	}
	if u.named && u.current.n >= u.store.parts.size(len(u.parts)+1, u.source.DeclaredBytes) {
		if err := u.cut(); err != nil {
			return nil, err
		}
	}
	chunk, ok := u.line.TryChunk()
	if !ok {
		if u.named && u.current.n >= u.store.parts.part {
			if err := u.cut(); err != nil {
				return nil, err
			}
		}
		var err error
		if chunk, err = u.line.Chunk(u.groupCtx); err != nil {
			return nil, fmt.Errorf("wait for memory: %w", err)
		}
	}
	u.current.chunks = append(u.current.chunks, chunk)
	return u.current.room(), nil
}

// cut sends the received bytes as a part, and ends the turn in the line.
func (u *Upload) cut() error {
	if u.groupCtx.Err() != nil { // a part has failed
		return context.Cause(u.groupCtx)
	}
	err := u.sendCurrent()
	kept := 0
	if u.first != nil {
		kept = len(u.first.chunks) + len(u.current.chunks)
	}
	u.line.Next(kept)
	return err
}

// sendCurrent sends the current buffer as the next part. The first part is kept back
// if something may have to be corrected.
func (u *Upload) sendCurrent() error {
	if len(u.parts) >= maxParts {
		return fmt.Errorf("%w: more than %d parts", ErrTooLarge, maxParts)
	}
	if u.source.Correct != nil && len(u.parts) == 0 {
		u.first = u.current.split(u.store.parts.part)
		u.addPart(u.first)
		if u.current.n < u.store.parts.part {
			return nil // more bytes go into it
		}
	}
	u.send(u.current, u.addPart(u.current))
	u.current = &buffer{}
	return nil
}

func (u *Upload) addPart(b *buffer) *part {
	if u.group == nil {
		u.group, u.groupCtx = errgroup.WithContext(u.ctx)
		u.created = sync.OnceValues(u.create)
	}
	p := &part{number: int32(len(u.parts)) + 1, bytes: b.n} //nolint:gosec // at most 10,000
	u.parts, u.received = append(u.parts, p), u.received+b.n
	return p
}

// correct overwrites the bytes that the source could only know at its end.
func (u *Upload) correct() {
	if u.source.Correct == nil {
		return
	}
	front := u.first
	if front == nil {
		front = u.current
	}
	front.write(u.source.Correct())
}

func (u *Upload) limit() int64 {
	limit := u.store.parts.maxBytes(u.source.DeclaredBytes >= 0)
	if configured := u.store.config.MaxInstanceBytes; configured > 0 {
		limit = min(limit, configured)
	}
	return limit
}
