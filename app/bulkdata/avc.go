package bulkdata

import (
	"bytes"
	"errors"
)

// NAL unit types, ISO/IEC 14496-10 Table 7-1.
const (
	avcSlice     = 1
	avcIDRSlice  = 5
	avcSPS       = 7
	avcSubsetSPS = 15
)

// avcStereoProfile is profile_idc of Stereo High, ISO/IEC 14496-10 §H.10.1.2.
const avcStereoProfile = 128

// errChroma is for video that YBR_PARTIAL_420 and the Bits Stored of PS3.5 §8.2.5 to
// §8.2.11 do not describe.
var errChroma = errors.New("no transfer syntax for video other than 4:2:0 of 8 bits, or in HEVC of 10")

// readAVC reads a sequence parameter set, ISO/IEC 14496-10 §7.3.2.1.1.
func readAVC(n nal) (video, error) {
	b := &bitReader{data: n.payload, at: 8}
	profile := b.u(8)
	b.u(8) // constraints
	level := b.u(8)
	b.ue()
	chroma, bits := uint32(1), uint32(8)
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, avcStereoProfile, 138, 139, 134, 135:
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
	v := video{method: methodAVC, syntaxes: avcSyntaxes(profile, level), rows: rows * lines, columns: columns, bits: 8}
	if b.flag() {
		v.frameTime = b.avcFrameTime()
	}
	if b.short {
		return video{}, n.failed()
	}
	if chroma > 1 || bits != 8 {
		return v, errChroma
	}
	return v, nil
}

// avcSyntaxes returns the transfer syntaxes for a profile and a level times ten.
//
// PS3.5 has only the High and Stereo High profiles, up to level 4.2. Decoders of
// High read Main and Constrained Baseline, which cameras and phones write, as well
// (ISO/IEC 14496-10 §A.2.4), so they get the syntaxes of High. So does, rather than
// be lost, what no syntax fits: level 5 and above, and Baseline and Extended, whose
// flexible macroblock ordering hardly any encoder uses.
//
// Whether a stream keeps the rules of Blu-ray, or packs two views into a picture,
// is for its sender to say.
func avcSyntaxes(profile, level uint32) []string {
	stereo := []string{avcStereoHigh, avcStereoHighFragments}
	level42 := []string{avcHigh42For2D, avcHigh42For2DFragments, avcHigh42For3D, avcHigh42For3DFragments}
	if profile == avcStereoProfile {
		return stereo
	}
	if level > 41 {
		return append(level42, stereo...) // its second view may be described further on
	}
	level41 := []string{avcHigh41, avcHigh41Fragments, avcBluRay, avcBluRayFragments}
	return append(append(level41, level42...), stereo...)
}

// findSubset looks for the parameter set of a second view, which comes before the
// first slice. data begin with the NAL unit of the first view's.
func (v *video) findSubset(data []byte, mayGrow bool) error {
	for {
		i := bytes.Index(data, []byte{0, 0, 1})
		if i < 0 || i+4 >= len(data) {
			if mayGrow {
				return ErrShort
			}
			return nil
		}
		data = data[i+3:]
		if data[0]&0x80 != 0 {
			continue
		}
		switch data[0] & 31 {
		case avcSlice, avcIDRSlice:
			return nil
		case avcSubsetSPS:
			if data[1] == avcStereoProfile {
				v.syntaxes = avcSyntaxes(avcStereoProfile, 0)
				return nil
			}
		}
	}
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

// avcFrameTime reads the front of the video usability information, §E.1.1, and
// returns the milliseconds of a frame, which are two ticks; 0: it does not say.
func (b *bitReader) avcFrameTime() float64 {
	if b.flag() && b.u(8) == 255 { // aspect ratio
		b.u(32)
	}
	if b.flag() { // overscan
		b.flag()
	}
	if b.flag() { // colours
		b.u(4)
		if b.flag() {
			b.u(24)
		}
	}
	if b.flag() { // place of chroma samples
		b.ue()
		b.ue()
	}
	if !b.flag() {
		return 0
	}
	units, scale := b.u(32), b.u(32)
	if scale == 0 {
		return 0
	}
	return 2000 * float64(units) / float64(scale)
}
