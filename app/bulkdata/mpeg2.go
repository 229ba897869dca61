package bulkdata

const (
	mpeg2Sequence  = 0xB3
	mpeg2Extension = 0xB5
)

// mpeg2FrameTimes are the milliseconds of frame_rate_code, ISO/IEC 13818-2 Table 6-4.
var mpeg2FrameTimes = [...]float64{
	1: 1001.0 / 24, 2: 1000.0 / 24, 3: 1000.0 / 25, 4: 1001.0 / 30, 5: 1000.0 / 30, 6: 1000.0 / 50, 7: 1001.0 / 60, 8: 1000.0 / 60,
}

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
	columns, rows := int64(b.u(12)), int64(b.u(12))
	aspect, rate := b.u(4), b.u(4)
	b.u(18) // bit rate
	marker := b.flag()
	b.u(11)
	for range 2 { // quantiser matrices
		if b.flag() {
			b.at += 64 * 8
		}
	}
	start := b.u(24)
	code := b.u(8)
	if b.short {
		return video{}, ErrShort
	}
	if !marker || aspect == 0 || rate == 0 || int(rate) >= len(mpeg2FrameTimes) || start != 1 {
		return video{}, errUnreadable
	}
	v := video{method: methodMPEG2, bits: 8, frameTime: mpeg2FrameTimes[rate]}
	const main, mainLevel = 4, 8
	level := uint32(mainLevel)
	extension := code == mpeg2Extension && b.u(4) == 1
	if b.short {
		return video{}, ErrShort
	}
	if extension {
		indication := b.u(8)
		b.flag() // progressive
		chroma := b.u(2)
		columns |= int64(b.u(2)) << 12
		rows |= int64(b.u(2)) << 12
		b.u(12 + 1 + 8 + 1)
		n, d := b.u(2), b.u(5)
		if b.short {
			return video{}, ErrShort
		}
		v.frameTime *= float64(d+1) / float64(n+1)
		if chroma != 1 || indication>>4&7 < main || indication&0x80 != 0 {
			return v, errChroma // profiles above Main are for other chroma or for layers
		}
		level = indication & 15
	}
	v.rows, v.columns = rows, columns
	v.syntaxes = []string{mpeg2HighLevel, mpeg2HighLevelFragments}
	if level >= mainLevel && rows <= 576 && columns <= 720 {
		v.syntaxes = []string{mpeg2MainLevel, mpeg2MainLevelFragments, mpeg2HighLevel, mpeg2HighLevelFragments}
	}
	return v, nil
}
