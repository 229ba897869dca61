package bulkdata

const hevcSPS = 33 // NAL unit type, ISO/IEC 23008-2 Table 7-1

// readHEVC reads a sequence parameter set, ISO/IEC 23008-2 §7.3.2.2.1, up to the
// depth of its samples. The frame time is far behind that and left to the container.
//
// Main and Main 10 differ in that depth only, so it decides between the syntaxes
// of PS3.5 §8.2.10 and §8.2.11. They are for level 5.1; what is above has no
// syntax and gets these as well.
func readHEVC(n nal) (video, error) {
	b := &bitReader{data: n.payload, at: 16 + 4}
	layers := b.u(3)
	b.flag()
	b.at += 88 + 8 // profile, tier and level
	b.hevcLayers(int(layers))
	b.ue()
	chroma := b.ue()
	if chroma == 3 {
		b.flag()
	}
	columns, rows := int64(b.ue()), int64(b.ue())
	if b.flag() { // conformance window, in units of chroma samples
		unit := int64(min(chroma, 1) + 1)
		columns -= unit * (int64(b.ue()) + int64(b.ue()))
		rows -= unit * (int64(b.ue()) + int64(b.ue()))
	}
	bits := 8 + max(b.ue(), b.ue())
	if b.short {
		return video{}, n.failed()
	}
	v := video{method: "ISO_23008_2", rows: rows, columns: columns, bits: int(bits)}
	switch {
	case chroma <= 1 && bits == 8:
		v.syntaxes = []string{hevcMain}
	case chroma <= 1 && bits == 10:
		v.syntaxes = []string{hevcMain10}
	default:
		return v, errChroma
	}
	return v, nil
}

// hevcLayers skips the profiles and levels of sub-layers, §7.3.3.
func (b *bitReader) hevcLayers(layers int) {
	bits := 0
	for range layers {
		if b.flag() {
			bits += 88
		}
		if b.flag() {
			bits += 8
		}
	}
	if layers > 0 {
		b.u(2 * (8 - layers))
	}
	b.at += bits
}
