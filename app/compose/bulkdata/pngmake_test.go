package bulkdata_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"sync"
	"testing"

	"stowrs-to-s3/app/compose/bulkdata"
)

// picture describes a PNG to make. Any bytes are valid pixels, as long as each line begins with a
// filter type.
type picture struct {
	columns, rows uint32
	depth, colour byte
	interlaced    bool
	before        [][]byte // chunks before the pixels
	lines         []byte   // filtered, not compressed
	after         [][]byte // chunks after them; nil: IEND
}

// pngKind is a colour type and a depth, ISO/IEC 15948 Table 11.1.
type pngKind struct{ colour, depth byte }

var pngKinds = []pngKind{
	{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1}, {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16},
}

// samples returns the number of samples per pixel in the stream.
func (k pngKind) samples() int { return map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[k.colour] }

// pngChunk is one chunk, with its check.
func pngChunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngOf is the beginning of a PNG of any size.
func pngOf(columns, rows uint32, depth, colour, interlace byte, chunks ...[]byte) []byte {
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, columns), rows)
	b := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", append(header, depth, colour, 0, 0, interlace))...)
	return append(b, bytes.Join(chunks, nil)...)
}

// deflaters need a megabyte each, and are reused for all inputs of the fuzz tests.
var deflaters = sync.Pool{New: func() any { return zlib.NewWriter(nil) }}

func deflated(data []byte) []byte {
	var b bytes.Buffer
	w := deflaters.Get().(*zlib.Writer)
	defer deflaters.Put(w)
	w.Reset(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// encode writes the picture, its pixels in IDAT chunks of so many bytes.
func (p picture) encode(chunkBytes int) []byte {
	interlace := byte(0)
	if p.interlaced {
		interlace = 1
	}
	b := pngOf(p.columns, p.rows, p.depth, p.colour, interlace, p.before...)
	for data := deflated(p.lines); len(data) > 0; {
		n := min(len(data), chunkBytes)
		b = append(b, pngChunk("IDAT", data[:n])...)
		data = data[n:]
	}
	if p.after == nil {
		return append(b, pngChunk("IEND", nil)...)
	}
	return append(b, bytes.Join(p.after, nil)...)
}

// lineBytes returns the lengths of the lines, without filter type, in their order (§8.2:
// Adam7 first takes every eighth pixel, then those between, and so on).
func (p picture) lineBytes() []int {
	passes := [][4]uint32{{0, 0, 1, 1}}
	if p.interlaced {
		passes = [][4]uint32{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}
	}
	var lengths []int
	bits := int(p.depth) * pngKind{p.colour, p.depth}.samples()
	for _, pass := range passes {
		columns := 0
		for x := pass[0]; x < p.columns; x += pass[2] {
			columns++
		}
		for y := pass[1]; y < p.rows && columns > 0; y += pass[3] {
			lengths = append(lengths, (columns*bits+7)/8)
		}
	}
	return lengths
}

// randomPicture has lines with all filters. Some pictures have few different bytes, so that
// some of their pixels have the transparent colour.
func randomPicture(r *rand.Rand, kind pngKind, interlaced bool) picture {
	p := picture{columns: 1 + r.Uint32N(40), rows: 1 + r.Uint32N(20), depth: kind.depth, colour: kind.colour, interlaced: interlaced}
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	few := r.IntN(2) == 0
	for _, n := range p.lineBytes() {
		filter, line := byte(r.IntN(5)), random(n)
		if few {
			filter = 0
			for i := range line {
				line[i] = line[i] & 1 * 0xFF
			}
		}
		p.lines = append(append(p.lines, filter), line...)
	}
	p.before = append(p.before, pngChunk("gAMA", random(4)))
	if kind.colour == 3 {
		p.before = append(p.before, pngChunk("PLTE", random(3<<kind.depth)))
	}
	switch {
	case r.IntN(2) == 0 || kind.colour > 3:
	case kind.colour == 3:
		p.before = append(p.before, pngChunk("tRNS", random(1+r.IntN(1<<kind.depth))))
	case kind.depth == 16:
		p.before = append(p.before, pngChunk("tRNS", bytes.Repeat([]byte{0xFF}, 2*kind.samples())))
	default: // §11.3.2.1: only the low bits are significant
		p.before = append(p.before, pngChunk("tRNS", bytes.Repeat([]byte{byte(r.Uint32()), byte(r.Uint32()) | 1<<kind.depth - 1}, kind.samples())))
	}
	return p
}

// maskedTransparency clears the bits of a grey tRNS that are not significant (ISO/IEC 15948
// §11.3.2.1), which image/png compares.
func maskedTransparency(data []byte) []byte {
	data = bytes.Clone(data)
	depth, colour := data[24], data[25]
	if at := bytes.Index(data, []byte("\x00\x00\x00\x02tRNS")); at >= 0 && colour == 0 && depth < 8 {
		data[at+9] &= 1<<depth - 1
		binary.BigEndian.PutUint32(data[at+10:], crc32.ChecksumIEEE(data[at+4:at+10]))
	}
	return data
}

// byImagePNG is the picture as decoded by image/png, on black and in little endian.
func byImagePNG(t *testing.T, data []byte, want bulkdata.Image) []byte {
	t.Helper()
	decoded, err := png.Decode(bytes.NewReader(maskedTransparency(data)))
	if err != nil {
		t.Fatalf("image/png: %v", err)
	}
	var pixels []byte
	for y := range want.Rows {
		for x := range want.Columns {
			samples, full := samplesAt(decoded, x, y)
			for _, sample := range samples[:want.SamplesPerPixel] {
				value := (2*sample*samples[3] + full) / (2 * full) // rounded
				pixels = append(pixels, byte(value))
				if want.BitsAllocated == 16 {
					pixels = append(pixels, byte(value>>8))
				}
			}
		}
	}
	return pixels
}

// samplesAt returns red, green, blue and opacity without the rounding of color.Color.RGBA.
func samplesAt(decoded image.Image, x, y int) (samples [4]uint64, full uint64) {
	switch c := decoded.At(x, y).(type) {
	case color.Gray:
		return [4]uint64{uint64(c.Y), 0, 0, 0xFF}, 0xFF
	case color.Gray16:
		return [4]uint64{uint64(c.Y), 0, 0, 0xFFFF}, 0xFFFF
	case color.RGBA: // without transparency
		return [4]uint64{uint64(c.R), uint64(c.G), uint64(c.B), uint64(c.A)}, 0xFF
	case color.RGBA64:
		return [4]uint64{uint64(c.R), uint64(c.G), uint64(c.B), uint64(c.A)}, 0xFFFF
	case color.NRGBA:
		return [4]uint64{uint64(c.R), uint64(c.G), uint64(c.B), uint64(c.A)}, 0xFF
	case color.NRGBA64:
		return [4]uint64{uint64(c.R), uint64(c.G), uint64(c.B), uint64(c.A)}, 0xFFFF
	default:
		panic(fmt.Sprintf("a colour %T", c))
	}
}
