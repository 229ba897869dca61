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
