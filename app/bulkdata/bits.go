package bulkdata

// bitReader reads the syntax elements of video headers: most significant bit
// first. Past the end it reads zeros and sets short.
type bitReader struct {
	data  []byte
	at    int // bits
	short bool
}

// u reads n bits, at most 32: u(n) of ISO/IEC 14496-10 §7.2.
func (b *bitReader) u(n int) uint32 {
	var v uint32
	for range n {
		v <<= 1
		if b.at>>3 >= len(b.data) {
			b.short = true
			continue
		}
		v |= uint32(b.data[b.at>>3]>>(7-b.at&7)) & 1
		b.at++
	}
	return v
}

func (b *bitReader) flag() bool { return b.u(1) == 1 }

// ue reads an Exp-Golomb code, ISO/IEC 14496-10 §9.1. What exceeds 32 bits, which
// no header has, becomes 1<<32 - 1.
func (b *bitReader) ue() uint32 {
	zeros := 0
	for !b.flag() {
		if zeros++; b.short || zeros >= 32 {
			return 1<<32 - 1
		}
	}
	return 1<<zeros - 1 + b.u(zeros)
}

// se reads a signed Exp-Golomb code, ISO/IEC 14496-10 §9.1.1.
func (b *bitReader) se() int {
	code := int(b.ue())
	if code&1 == 0 {
		return -code / 2
	}
	return code/2 + 1
}

// lsbReader reads those of JPEG XL: least significant bit first (ISO/IEC 18181-1
// §9.1). Past the end it reads zeros and sets short.
type lsbReader struct {
	data  []byte
	at    int // bits
	short bool
}

// u reads n bits, at most 32.
func (b *lsbReader) u(n int) uint32 {
	var v uint32
	for i := range n {
		if b.at>>3 >= len(b.data) {
			b.short = true
			break
		}
		v |= uint32(b.data[b.at>>3]>>(b.at&7)) & 1 << i
		b.at++
	}
	return v
}

func (b *lsbReader) flag() bool { return b.u(1) == 1 }

// distribution is one of the four ways of a U32 field: a constant and a number of
// bits to add to it.
type distribution struct {
	base uint32
	bits int
}

// u32 reads a U32 field, ISO/IEC 18181-1 §9.2.2.
func (b *lsbReader) u32(d [4]distribution) uint32 {
	chosen := d[b.u(2)]
	return chosen.base + b.u(chosen.bits)
}

// u64 reads a U64 field, ISO/IEC 18181-1 §9.2.5.
func (b *lsbReader) u64() uint64 {
	switch b.u(2) {
	case 0:
		return 0
	case 1:
		return 1 + uint64(b.u(4))
	case 2:
		return 17 + uint64(b.u(8))
	}
	value := uint64(b.u(12))
	for shift := 12; b.flag(); shift += 8 {
		if shift == 60 {
			return value | uint64(b.u(4))<<shift
		}
		value |= uint64(b.u(8)) << shift
	}
	return value
}

// enum reads an Enum field, ISO/IEC 18181-1 §9.2.6.
func (b *lsbReader) enum() uint32 {
	return b.u32([4]distribution{{0, 0}, {1, 0}, {2, 4}, {18, 6}})
}
