package s3store_test

import (
	"errors"
	"io"
	"testing"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
)

// onceFailing fails once, and then returns io.EOF, like the body of net/http when a client leaves.
type onceFailing struct {
	data   []byte
	failed bool
}

func (f *onceFailing) Read(p []byte) (int, error) {
	n := copy(p, f.data)
	f.data = f.data[n:]
	switch {
	case len(f.data) > 0:
		return n, nil
	case !f.failed:
		f.failed = true
		return n, io.ErrUnexpectedEOF
	}
	return n, io.EOF
}

// Promises 1 and 2: a body that was cut is not stored, whether it was cut within the head or later.
func TestCutInstanceIsNotStored(t *testing.T) {
	for _, size := range []int{700, 3 * partBytes} {
		for _, head := range []int{1, 700, 4096, size, size + 1} {
			server := s3test.Start(t, "dicom")
			store := newStore(t, server, small())
			line := store.ledger.Line()
			upload := store.Begin(t.Context(), line, s3store.Source{Reader: &onceFailing{data: pseudoRandom(size)}})
			_, _ = upload.Head().ReadAt(make([]byte, min(head, headBytes)), 0)
			err := errors.Join(upload.Store("1/2/3", s3store.Metadata{RequestID: "r1"}), upload.Wait())
			line.End()
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes, head of %d: error %v", size, head, err)
			}
			if _, _, found := server.Object("1/2/3"); found {
				t.Errorf("%d bytes, head of %d: it is stored", size, head)
			}
			wantClean(t, server, store)
		}
	}
}
