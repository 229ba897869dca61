package bulkdata_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose/bulkdata"
)

// zeros reads the same block repeatedly.
type zeros struct{ block, left []byte }

// Read implements io.Reader.
func (z *zeros) Read(p []byte) (int, error) {
	if len(z.left) == 0 {
		z.left = z.block
	}
	n := copy(p, z.left)
	z.left = z.left[n:]
	return n, nil
}

// decodeBytes is the largest size of the heap, for the widest rows and for interlaced
// pictures, also if the sender repeatedly writes the worst Huffman tables.
func TestDecodeBytesOfAPNG(t *testing.T) {
	for name, tt := range map[string]struct {
		data       []byte
		interlaced bool
	}{
		"widest":            {wide(65535, 5, 16, 6, 0), false},
		"widest of a pixel": {wide(65535, 20, 1, 0, 0), false},
		"tall":              {wide(1, 20000, 8, 2, 0), false},
		"interlaced":        {wide(500, 500, 16, 6, 1), true},
		"interlaced grey":   {wide(1500, 1500, 1, 0, 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			img, decodeBytes, err := bulkdata.Configure("image/png", tt.data, false)
			if err != nil {
				t.Fatal(err)
			}
			all := int64(img.Rows * img.Columns * img.SamplesPerPixel * img.BitsAllocated / 8)
			if !tt.interlaced && decodeBytes > 2<<20 || tt.interlaced && (decodeBytes < all || decodeBytes > all+1<<19) {
				t.Errorf("%d bytes are announced", decodeBytes)
			}
			before := heapBytes()
			pixels, err := bulkdata.Decode("image/png", bytes.NewReader(tt.data), img)
			if err != nil {
				t.Fatal(err)
			}
			var got, most int64
			for part := int64(64 << 10); ; {
				n, err := io.CopyN(io.Discard, pixels, max(part, all/10))
				got += n
				most = max(most, heapBytes()-before)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if got != all || most > decodeBytes || decodeBytes > most+pngSlack {
				t.Errorf("%d of %d bytes of pixels; %d bytes of memory, %d were announced", got, all, most, decodeBytes)
			}
			runtime.KeepAlive(tt.data)
		})
	}
}

// pngSlack is the memory that may be announced and not used.
const pngSlack = 256 << 10

// heapBytes is the reachable memory. A sync.Pool is emptied only by the second collection.
func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// wide is a picture with noise as pixels, which needs many Huffman tables.
func wide(columns, rows uint32, depth, colour, interlace byte) []byte {
	p := picture{columns: columns, rows: rows, depth: depth, colour: colour, interlaced: interlace == 1}
	if colour == 3 {
		p.before = [][]byte{pngChunk("PLTE", make([]byte, 3<<depth))}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range p.lineBytes() {
		line := make([]byte, 1+n)
		for i := 1; i < len(line); i += 1 + r.IntN(100) {
			line[i] = byte(r.ExpFloat64() * 20)
		}
		p.lines = append(p.lines, line...)
	}
	return p.encode(1 << 20)
}

// A bomb is inflated only to the size in its header.
func TestBombOfAPNG(t *testing.T) {
	data := deflated(make([]byte, 8<<20))
	for _, interlace := range []byte{0, 1} {
		bomb := pngOf(100, 100, 8, 0, interlace, pngChunk("IDAT", data), pngChunk("IEND", nil))
		before := heapBytes()
		got, err := pixelsOf(bomb)
		if err == nil || !strings.Contains(err.Error(), "more than its pixels") || len(got) > 99*100 {
			t.Errorf("interlaced %d: %d bytes of pixels, %v", interlace, len(got), err)
		}
		if used := heapBytes() - before; used > 1<<20 {
			t.Errorf("interlaced %d: %d bytes are held", interlace, used)
		}
	}
	// An endless chunk before the pixels is skipped without being kept.
	endless := append(pngOf(1, 1, 8, 0, 0), "\x7F\xFF\xFF\xFFtEXt"...)
	before := heapBytes()
	r := io.MultiReader(bytes.NewReader(endless), io.LimitReader(&zeros{block: make([]byte, 4096)}, 8<<20))
	if _, err := bulkdata.Decode("image/png", r, native(1, 1, 1, "MONOCHROME2", 8)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if used := heapBytes() - before; used > 1<<20 {
		t.Errorf("%d bytes are held", used)
	}
}
