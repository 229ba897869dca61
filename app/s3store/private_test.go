package s3store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
)

// patching is a source whose first bytes are known when it ends: its length.
type patching struct {
	*source
	upload *s3store.Upload
	offset int64
	sent   uint64
	err    error
}

func (p *patching) Read(b []byte) (int, error) {
	n, err := p.source.Read(b)
	p.sent += uint64(n)
	if err == io.EOF {
		if p.err = p.upload.Patch(p.offset, binary.LittleEndian.AppendUint64(nil, p.sent)); p.err != nil {
			return n, p.err
		}
	}
	return n, err
}

func putPatched(ctx context.Context, store *s3store.Store, key string, data []byte, offset, extraBytes int64) error {
	src := &patching{source: reader(data), offset: offset}
	upload, err := store.BeginPrivate(ctx, src, extraBytes)
	if err != nil {
		return err
	}
	src.upload = upload
	if _, err := io.CopyN(io.Discard, upload.Head(), 1); err != nil {
		upload.Discard()
		return err
	}
	if err := upload.Store(key, s3store.Metadata{RequestID: "r1"}); err != nil {
		return errors.Join(err, upload.Wait())
	}
	return upload.Wait()
}

// What is known at the end is written into the first part, wherever in it; S3
// verifies the checksum of the whole object, which is put together from two.
func TestPatchChangesTheFirstPart(t *testing.T) {
	for _, size := range []int{8, partBytes - 1, partBytes, partBytes + 1, 2*partBytes + 7, 9 * partBytes} {
		for _, offset := range []int64{0, 5, partBytes - 8} {
			if offset+8 > int64(size) {
				continue
			}
			server := s3test.Start(t, "dicom")
			store := newStore(t, server, small())
			data := pseudoRandom(size)
			if err := putPatched(t.Context(), store, "1/2/3", data, offset, 0); err != nil {
				t.Fatalf("%d bytes, patched at %d: %v", size, offset, err)
			}
			want := bytes.Clone(data)
			binary.LittleEndian.PutUint64(want[offset:], uint64(size))
			if got, _, _ := server.Object("1/2/3"); !bytes.Equal(got, want) {
				t.Errorf("%d bytes, patched at %d: other bytes are stored", size, offset)
			}
			wantClean(t, server, store)
		}
	}
}

func TestPatchBehindTheFirstPartIsRefused(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStore(t, server, small())
	if err := putPatched(t.Context(), store, "1/2/3", pseudoRandom(3*partBytes), partBytes-7, 0); !errors.Is(err, s3store.ErrPatch) {
		t.Errorf("got error %v, want ErrPatch", err)
	}
	wantNothing(t, server, store)
}

func TestPrivateUploadThatFailsLeavesNothing(t *testing.T) {
	for _, size := range []int{10, partBytes + 1, 4 * partBytes} {
		server := s3test.Start(t, "dicom")
		store := newStore(t, server, small())
		broken := errors.New("the client left")
		src := reader(nil)
		src.Reader = io.MultiReader(bytes.NewReader(pseudoRandom(size)), failing{broken})
		upload, err := store.BeginPrivate(t.Context(), src, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := upload.Store("1/2/3", s3store.Metadata{}); !errors.Is(err, broken) {
			t.Errorf("%d bytes: got error %v, want %v", size, err, broken)
		}
		if err := upload.Wait(); !errors.Is(err, broken) {
			t.Errorf("%d bytes: got outcome %v, want %v", size, err, broken)
		}
		wantNothing(t, server, store)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestMorePrivateMemoryThanTheBudgetIsRefused(t *testing.T) {
	server := s3test.Start(t, "dicom")
	config := small()
	store := newStore(t, server, config)
	if _, err := store.BeginPrivate(t.Context(), reader(nil), config.MemoryBudgetBytes); !errors.Is(err, s3store.ErrTooLarge) {
		t.Errorf("got error %v, want ErrTooLarge", err)
	}
	wantNothing(t, server, store)
}

// Each keeps a buffer while it wants others: more of them than the pool could serve.
func TestPrivateUploadsTakeTurns(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStore(t, server, small())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			if err := putPatched(ctx, store, "1/2/"+strings.Repeat("1", i+1), pseudoRandom(6*partBytes+i), 8, int64(i)); err != nil {
				t.Error(err)
			}
			if err := put(ctx, store, "1/3/"+strings.Repeat("1", i+1), reader(pseudoRandom(6*partBytes+i)), -1, 1); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := len(server.Keys()); got != 64 {
		t.Errorf("got %d objects, want 64", got)
	}
	wantClean(t, server, store)
}

// What requests keep aside is bounded, all together, and never waited for.
func TestAsideIsBounded(t *testing.T) {
	config := small()
	config.AsideBytes = 100
	config.MemoryBudgetBytes += 100
	store := newStore(t, s3test.Start(t, "dicom"), config)
	one, other := store.NewAside(), store.NewAside()
	for _, step := range []struct {
		aside *s3store.Aside
		bytes int64
		want  bool
	}{{one, 60, true}, {other, 41, false}, {other, 40, true}, {one, 1, false}} {
		if got := step.aside.Take(step.bytes); got != step.want {
			t.Errorf("take %d: got %v, want %v", step.bytes, got, step.want)
		}
	}
	if got := store.BufferedBytes(); got != 100 {
		t.Errorf("got %d bytes in use, want 100", got)
	}
	one.Close()
	if !other.Take(60) || other.Held() != 100 {
		t.Errorf("got %d bytes held, want 100", other.Held())
	}
	other.Close()
	if got := store.BufferedBytes(); got != 0 {
		t.Errorf("got %d bytes in use, want 0", got)
	}
}
