package bulkdata

const (
	mpeg2Sequence  = 0xB3
	mpeg2Extension = 0xB5
)

// readMPEG2 reads what follows the start code of a sequence header (ISO/IEC 13818-2
// §6.2.2.1) and its extension (§6.2.2.3). A header without extension is one of
// MPEG-1, which decoders of the Main Profile read too (§8.2); no transfer syntax is
// closer.
//
// PS3.5 §8.2.5 has pictures of up to 720 by 576, §8.2.6 larger ones. A stream of
// either may be called Main Level or High Level by its sender as long as decoders
// of the latter read it (§8.2.6 note 6).
func readMPEG2(data []byte) (video, error) {
	b := &bitReader{data: data}
	v := video{method: "ISO_13818_2", bits: 8, syntaxes: mpeg2Syntaxes}
	v.columns, v.rows = int64(b.u(12)), int64(b.u(12))
	aspect, rate := b.u(4), b.u(4)
	b.u(18) // bit rate
	marker := b.flag()
	b.u(11)
	for range 2 { // quantiser matrices
		if b.flag() {
			b.at += 64 * 8
		}
	}
	const main, mainLevel = 4, 8
	level := uint32(mainLevel)
	start, code := b.u(24), b.u(8)
	if extension := code == mpeg2Extension && b.u(4) == 1; extension {
		indication := b.u(8)
		b.flag() // progressive
		chroma := b.u(2)
		v.columns |= int64(b.u(2)) << 12
		v.rows |= int64(b.u(2)) << 12
		if !b.short && (chroma != 1 || indication>>4&7 < main || indication&0x80 != 0) {
			return video{}, errChroma // profiles above Main are for other chroma or for layers
		}
		level = indication & 15
	}
	if b.short {
		return video{}, ErrShort
	}
	if !marker || aspect == 0 || rate == 0 || rate > 8 || start != 1 {
		return video{}, errUnreadable
	}
	if level < mainLevel || v.rows > 576 || v.columns > 720 {
		v.syntaxes = fragmentable(mpeg2HighLevel)
	}
	return v, nil
}
