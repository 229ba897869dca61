package bulkdata

import (
	"bytes"
	"fmt"
)

// unfilter undoes the filter of a line, ISO/IEC 15948 §9.2. size is that of a pixel, or 1.
func unfilter(filter byte, line, above []byte, size int) error {
	if filter > 4 {
		return fmt.Errorf("filter %d", filter)
	}
	if filter == 0 {
		return nil
	}
	for i := range line {
		left, corner := byte(0), byte(0)
		if i >= size {
			left, corner = line[i-size], above[i-size]
		}
		switch filter {
		case 1:
			line[i] += left
		case 2:
			line[i] += above[i]
		case 3:
			line[i] += left&above[i] + (left^above[i])/2 // half of their sum, without overflow
		case 4:
			line[i] += paeth(left, above[i], corner)
		}
	}
	return nil
}

// paeth is the neighbour that is nearest to their gradient, §9.4.
func paeth(left, above, corner byte) byte {
	l, a, c := int(left), int(above), int(corner)
	distance := func(n int) int { return max(n, -n) }
	toLeft, toAbove, toCorner := distance(a-c), distance(l-c), distance(l+a-2*c)
	switch {
	case toLeft <= toAbove && toLeft <= toCorner:
		return left
	case toAbove <= toCorner:
		return above
	}
	return corner
}

// scaled is a grey sample of 8 bits or less in 8 bits.
func (h pngHeader) scaled(sample byte) byte { return sample * (255 / (1<<min(h.depth, 8) - 1)) }

// makeTable prepares for pixels of one sample of 8 bits or less.
func (p *pngPixels) makeTable() {
	if pngChannels[p.colour] > 1 || p.depth > 8 {
		return
	}
	size, entries := int(p.pixelBytes()), 1<<p.depth
	if p.colour == pngPalette {
		entries = min(entries, len(p.palette))
	}
	p.table = make([]byte, entries*size)
	for i := range entries {
		pixel := []byte{p.scaled(byte(i))}
		if p.colour == pngPalette {
			pixel = p.palette[i][:]
		}
		p.put(p.table[i*size:][:size], pixel, 1)
	}
}

// convert writes a line's pixels to out, so many pixels apart.
func (p *pngPixels) convert(out, line []byte, columns, distance int) error {
	size, stored, width := int(p.pixelBytes()), int(p.lineBits(1)/8), int(p.depth/8)
	switch {
	case p.table != nil:
		return p.lookUp(out, line, columns, distance)
	case width == 1 && distance == 1 && stored == size && !p.keyed: // what most pictures are
		copy(out, line)
	default:
		for x := range columns {
			p.put(out[x*distance*size:][:size], line[x*stored:][:stored], width)
		}
	}
	return nil
}

// lookUp is convert of samples that are in the table: the leftmost is in the high bits (ISO/IEC 15948 §7.2).
func (p *pngPixels) lookUp(out, line []byte, columns, distance int) error {
	size, depth := int(p.pixelBytes()), int(p.depth)
	mask := 1<<depth - 1
	for x := range columns {
		bit := x * depth
		sample := int(line[bit/8]) >> (8 - depth - bit%8) & mask * size
		if sample >= len(p.table) {
			return errPalette
		}
		to := x * distance * size
		if out[to] = p.table[sample]; size == 3 {
			out[to+1], out[to+2] = p.table[sample+1], p.table[sample+2]
		}
	}
	return nil
}

// put makes a pixel, whose samples have width bytes, big endian, and behind which its opacity may stand, one of DICOM:
// little endian, and what shines through is black.
func (p *pngPixels) put(to, pixel []byte, width int) {
	most := uint32(1)<<(8*width) - 1
	opacity := most
	if len(pixel) > len(to) {
		opacity = sampleAt(pixel[len(to):], width)
	} else if p.key != nil && bytes.Equal(pixel, p.key) {
		opacity = 0
	}
	for i := 0; i < len(to); i += width {
		sample := sampleAt(pixel[i:], width)
		if opacity != most {
			sample = (sample*opacity + most/2) / most
		}
		if to[i] = byte(sample); width == 2 { //nolint:gosec // the low byte
			to[i+1] = byte(sample >> 8) //nolint:gosec // at most 65535
		}
	}
}

func sampleAt(pixel []byte, width int) uint32 {
	if width == 1 {
		return uint32(pixel[0])
	}
	return uint32(pixel[0])<<8 | uint32(pixel[1])
}
