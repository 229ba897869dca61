package bulkdata

import "errors"

const avcSPS = 7 // NAL unit type, ISO/IEC 14496-10 Table 7-1

// errChroma reports video that YBR_PARTIAL_420 and the Bits Stored of PS3.5 §8.2.5 to
// §8.2.11 do not describe.
var errChroma = errors.New("DICOM has no transfer syntax for video other than 4:2:0 of 8 bits, or in HEVC of 10: encode it so")

// readAVC reads a sequence parameter set, ISO/IEC 14496-10 §7.3.2.1.1.
func readAVC(n nal) (video, error) {
	b := &bitReader{data: n.payload, at: 8}
	profile := b.u(8)
	b.u(8) // constraints
	level := b.u(8)
	b.ue()
	chroma, bits := uint32(1), uint32(8)
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		chroma, bits = b.avcSamples()
	}
	b.ue() // frame numbers
	b.avcOrder()
	b.ue() // reference frames
	b.flag()
	columns, rows := 16*(int64(b.ue())+1), 16*(int64(b.ue())+1)
	lines := int64(1)
	if !b.flag() { // pictures may be fields, and rows are theirs
		lines = 2
		b.flag()
	}
	b.flag()
	if b.flag() { // cropping, in units of chroma samples, Table 6-1
		unit := int64(min(chroma, 1) + 1)
		columns -= unit * (int64(b.ue()) + int64(b.ue()))
		rows -= unit * (int64(b.ue()) + int64(b.ue()))
	}
	if b.short {
		return video{}, n.failed()
	}
	if chroma > 1 || bits != 8 {
		return video{}, errChroma
	}
	return video{method: "ISO_14496_10", syntaxes: avcLevel(level), rows: rows * lines, columns: columns, bits: 8}, nil
}

// avcLevel returns the transfer syntaxes for a level times ten.
//
// PS3.5 has only the High and Stereo High profiles, up to level 4.2. Decoders of
// High can also read Main and Constrained Baseline, which cameras and phones write
// (ISO/IEC 14496-10 §A.2.4), so these get the syntaxes of High. Streams for which there is no
// syntax also get them, because otherwise they would be lost: level 5 and above, and Baseline and Extended, whose
// flexible macroblock ordering hardly any encoder uses.
//
// Only the sender can say whether a stream obeys the rules of Blu-ray, packs two views into a
// picture, or has the second view of Stereo High further on.
func avcLevel(level uint32) []string {
	if level > 41 {
		return avc42Syntaxes
	}
	return avcSyntaxes
}

// avcSamples reads the fields that only the High profiles have.
func (b *bitReader) avcSamples() (chroma, bits uint32) {
	chroma = b.ue()
	lists := 8
	if chroma == 3 {
		b.flag()
		lists = 12
	}
	luma, other := b.ue(), b.ue()
	b.flag()
	if b.flag() {
		for i := range lists {
			if b.flag() {
				b.avcScaling(i)
			}
		}
	}
	return chroma, 8 + max(luma, other)
}

// avcScaling skips a scaling list, §7.3.2.1.1.1.
func (b *bitReader) avcScaling(list int) {
	size := 16
	if list >= 6 {
		size = 64
	}
	last, next := 8, 8
	for range size {
		if next != 0 {
			next = (last + b.se() + 256) & 255
		}
		if next != 0 {
			last = next
		}
	}
}

// avcOrder skips how the order of pictures is coded.
func (b *bitReader) avcOrder() {
	switch b.ue() {
	case 0:
		b.ue()
	case 1:
		b.flag()
		b.ue()
		b.ue()
		for range min(b.ue(), 255) {
			b.ue()
		}
	}
}
