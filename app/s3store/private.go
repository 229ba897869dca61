package s3store

import (
	"context"
	"errors"
	"fmt"

	"github.com/minio/crc64nvme"
)

// privateParts is the number of buffers that a private upload rotates: one that
// is kept, one that fills, one that is being sent.
const privateParts = 3

// ErrPatch reports bytes that cannot be changed any more: they are not in the first part.
var ErrPatch = errors.New("the bytes to change are not in the first part")

// BeginPrivate is Begin for an instance whose source learns late what belongs
// into its head, or needs memory itself. The first part (8 MiB) is kept back
// until the source has ended, so that Patch may change it. All memory is taken
// at once, and its buffers are used in turn: who keeps one never waits for
// another (see pool). extraBytes are the source's own, while the upload lasts;
// more than the budget has is ErrTooLarge. At most 10,000 parts of 8 MiB.
func (s *Store) BeginPrivate(ctx context.Context, source Source, extraBytes int64) (*Upload, error) {
	available := s.pool.chunks*int64(s.pool.chunkBytes) - extraBytes
	if available < 2*s.parts.part {
		return nil, fmt.Errorf("%w: %d bytes of memory are needed to decode it", ErrTooLarge, extraBytes)
	}
	buffers := min(privateParts, available/s.parts.part) * s.parts.part
	reserve, err := s.pool.acquire(ctx, extraBytes+buffers)
	if err != nil {
		return nil, fmt.Errorf("wait for memory: %w", err)
	}
	private := reserve.private()
	first, err := private.acquire(ctx, s.parts.part)
	if err != nil {
		reserve.release()
		return nil, fmt.Errorf("wait for a buffer: %w", err)
	}
	u := s.newUpload(ctx, source, -1, private, first)
	u.reserve = reserve
	return u, nil
}

// Patch overwrites bytes that were read from the source before, from offset on.
// The source of a private upload calls it within Read.
func (u *Upload) Patch(offset int64, p []byte) error {
	first := u.first
	if first == nil {
		first = u.current
		if len(u.filled) > 0 {
			first = u.filled[0]
		}
	}
	if u.reserve == nil || offset+int64(len(p)) > first.n {
		return ErrPatch
	}
	first.write(offset, p)
	return nil
}

// sendFirst sends the part that was kept back, when nothing can change it any more.
func (u *Upload) sendFirst() {
	if u.first == nil {
		return
	}
	u.crc = combineCRC(u.first.update(0, crc64nvme.Update), u.crc, u.received-u.first.n)
	u.send(u.first, 1)
	u.first = nil
}

func (u *Upload) releaseReserve() {
	if u.reserve != nil {
		u.reserve.release()
	}
}

// Patchable says whether Patch may change bytes up to offset: the upload is
// private, and they are in its first part.
func (u *Upload) Patchable(offset int64) bool {
	return u.reserve != nil && offset <= u.store.parts.part
}
