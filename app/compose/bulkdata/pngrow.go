package bulkdata

import (
	"encoding/binary"
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

// pngSamples are those of a pixel: grey, or red, green and blue, and then opacity.
type pngSamples [4]uint32

// convert writes a line's pixels to out, so many pixels apart.
func (p *pngPixels) convert(out, line []byte, columns, distance int) error {
	size, channels, depth := int(p.pixelBytes()), int(pngChannels[p.colour]), int(p.depth)
	samples := p.image().SamplesPerPixel
	if depth == 8 && distance == 1 && channels == samples && p.colour != pngPalette && !p.keyed { // what most pictures are
		copy(out, line)
		return nil
	}
	most := uint32(1)<<depth - 1
	scale := max(255/most, 1) // depths below 8 become 8
	for x := range columns {
		var pixel pngSamples
		for c := range channels {
			pixel[c] = sampleAt(line, x*channels+c, depth)
		}
		opacity := most
		switch {
		case p.colour == pngPalette:
			if int(pixel[0]) >= len(p.palette) {
				return errPalette
			}
			pixel = p.palette[pixel[0]]
			most, scale, opacity = 255, 1, pixel[3]
		case channels != samples:
			opacity = pixel[samples]
		case p.keyed && pixel == p.key:
			opacity = 0
		}
		to := out[x*distance*size:][:size]
		for c := range samples {
			sample := pixel[c]
			if opacity != most { // on black
				sample = (sample*opacity + most/2) / most
			}
			if depth == 16 {
				binary.LittleEndian.PutUint16(to[2*c:], uint16(sample)) //nolint:gosec // at most 65535
			} else {
				to[c] = byte(sample * scale) //nolint:gosec // at most 255
			}
		}
	}
	return nil
}

// sampleAt returns a sample of a line: big endian, the leftmost in the high bits (§7.2).
func sampleAt(line []byte, i, depth int) uint32 {
	switch depth {
	case 8:
		return uint32(line[i])
	case 16:
		return uint32(binary.BigEndian.Uint16(line[2*i:]))
	}
	return uint32(line[i*depth/8]) >> (8 - depth - i*depth%8) & (1<<depth - 1)
}
