package dicom_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

// counter records how far r was read.
type counter struct {
	r io.ReaderAt
	n int64
}

func (c *counter) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.r.ReadAt(p, offset)
	if n > 0 {
		c.n = max(c.n, offset+int64(n))
	}
	return n, err
}

// endless repeats a pattern for ever.
type endless string

func (e endless) ReadAt(p []byte, offset int64) (int, error) {
	for i := range p {
		p[i] = e[(offset+int64(i))%int64(len(e))]
	}
	return len(p), nil
}

// behind is a stream of some bytes, followed by another stream or an error.
type behind struct {
	front []byte
	rest  io.ReaderAt
	err   error
}

func (b behind) ReadAt(p []byte, offset int64) (int, error) {
	n := 0
	if offset < int64(len(b.front)) {
		n = copy(p, b.front[offset:])
	}
	if n == len(p) {
		return n, nil
	}
	if b.err != nil {
		return n, b.err
	}
	more, err := b.rest.ReadAt(p[n:], offset+int64(n)-int64(len(b.front)))
	return n + more, err
}

func TestIdentifyReadsNoFurtherThanReadAhead(t *testing.T) {
	r := &counter{r: behind{front: file(explicitSyntax, explicit.dataset()), rest: endless("x")}}
	if _, err := dicom.Identify(r, wholeWindow); err != nil || r.n > 8192 {
		t.Errorf("error %v after %d bytes", err, r.n)
	}
}

func TestIdentifyKeepsToWindow(t *testing.T) {
	const window = 100_000
	large := explicit.Element(0x00091001, "OB", string(make([]byte, 2*window)))
	noise := make([]byte, 2*window)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	for name, input := range map[string][]byte{
		"large element":          file(explicitSyntax, explicit.dataset(large)),
		"large deflated":         file(deflatedSyntax, dicomtest.Deflate(explicit.dataset(explicit.Element(0x00091001, "OB", string(noise))))),
		"large File Meta":        join([]byte("DICM"), explicit.Element(0x00020102, "OB", string(make([]byte, 2*window)))),
		"many small elements":    file(explicitSyntax, explicit.dataset(bytes.Repeat(explicit.Element(0x00091001, "UL", "1234"), window))),
		"endless empty items":    file(explicitSyntax, explicit.dataset(join(explicit.Header(0x00091001, "SQ", undefined), bytes.Repeat(explicit.Header(item, "", 0), window)))),
		"declares 4 GB and does": join(explicit.Header(0x00080005, "UN", undefined-1), make([]byte, 2*window)),
	} {
		t.Run(name, func(t *testing.T) {
			r := &counter{r: bytes.NewReader(input)}
			if _, err := dicom.Identify(r, window); !errors.Is(err, dicom.ErrWindow) {
				t.Errorf("error %v, want ErrWindow", err)
			}
			if r.n > window {
				t.Errorf("read %d bytes, window %d", r.n, window)
			}
		})
	}
}

// With any window, however small, the result is the
// identity or ErrWindow, and the reader is not read beyond the window.
func TestIdentifyKeepsToEachWindow(t *testing.T) {
	for name, input := range map[string][]byte{
		"explicit": file(explicitSyntax, explicit.dataset()),
		"bare":     implicit.dataset(),
		"deflated": file(deflatedSyntax, dicomtest.Deflate(explicit.dataset())),
	} {
		t.Run(name, func(t *testing.T) {
			found := false
			for window := range int64(len(input)) {
				r := &counter{r: bytes.NewReader(input)}
				_, err := dicom.Identify(r, window)
				if r.n > window {
					t.Fatalf("read %d bytes, window %d", r.n, window)
				}
				if found = err == nil; !found && !errors.Is(err, dicom.ErrWindow) {
					t.Fatalf("window %d: error %v, want ErrWindow", window, err)
				}
			}
			if !found {
				t.Error("the largest window did not suffice")
			}
		})
	}
}

// A client that leaves must not look like one that sends invalid data.
func TestIdentifyPassesReaderErrorsOn(t *testing.T) {
	custom := errors.New("connection reset")
	for name, input := range map[string][]byte{
		"explicit": file(explicitSyntax, explicit.dataset()),
		"bare":     implicit.dataset(),
		"sequence": file(implicitSyntax, implicit.dataset(nest(implicit, 3))),
		"deflated": file(deflatedSyntax, dicomtest.Deflate(explicit.dataset())),
		"garbage":  []byte("garbage of less than 132 bytes"),
	} {
		for _, cause := range []error{custom, io.ErrUnexpectedEOF, iotest.ErrTimeout} {
			t.Run(name+"/"+cause.Error(), func(t *testing.T) {
				for cut := range len(input) {
					r := behind{front: input[:cut], err: cause}
					_, err := dicom.Identify(r, wholeWindow)
					if err != nil && (!errors.Is(err, cause) || errors.Is(err, dicom.ErrNotDICOM)) {
						t.Fatalf("cut after %d bytes: error %v", cut, err)
					}
					if err == nil && cut < 60 {
						t.Fatalf("cut after %d bytes: no error", cut)
					}
				}
			})
		}
	}
}

// A declared length is a number of bytes to skip, never to allocate.
func TestIdentifyAllocatesNothingForDeclaredLengths(t *testing.T) {
	for name, input := range map[string][]byte{
		"six bytes": []byte("\x08\x00\x05\x00\xFE\xFF"),
		"implicit":  file(implicitSyntax, join(implicit.UI(sopClass, "1.2"), implicit.Header(0x00080017, "", undefined-1))),
		"explicit":  file(explicitSyntax, explicit.Header(0x00080005, "UN", undefined-1)),
		"UID":       file(implicitSyntax, join(implicit.UI(sopClass, "1.2"), implicit.Header(sopUID, "", undefined-1))),
		"meta":      join([]byte("DICM"), explicit.Header(0x00020102, "OB", undefined-1)),
		"item":      implicit.Header(0x00081140, "", undefined),
	} {
		t.Run(name, func(t *testing.T) {
			const runs = 100
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				if _, err := dicom.Identify(bytes.NewReader(input), 8<<30); !errors.Is(err, dicom.ErrNotDICOM) {
					t.Fatalf("error %v, want ErrNotDICOM", err)
				}
			}
			runtime.ReadMemStats(&after)
			if perRun := (after.TotalAlloc - before.TotalAlloc) / runs; perRun > 16<<10 {
				t.Errorf("%d bytes allocated a call", perRun)
			}
		})
	}
}
