package compose

import "stowrs-to-s3/app/compose/metadata"

// hole is an attribute whose value is bulkdata.
type hole struct {
	metadata.Hole
	instance     *Instance
	reference    *reference
	place        int  // among the holes of the reference
	parts        int  // parts that came for it
	numbered     bool // its parts name their frames
	encapsulated bool // each part is a compressed frame
	full         bool // all parts came

	due   *part         // the next part of the instance, if it was received
	frame int           // its number, from 1
	ahead map[int]*part // frames that came too early
}

// holeBytes is the memory of a hole, including the overhead when their slice grows.
const holeBytes = 192

// accept makes b a part of the value. frame is the number in its Content-Location, 0:
// none. The error concerns only the instance.
func (h *hole) accept(b *part, frame int) error {
	if b.encoded != nil {
		return b.encoded
	}
	count := 1
	if h.encapsulated || h.instance.pixels == h && b.compressed() && !b.video() { // PS3.18 §10.5.1.4: each frame is a part
		count, h.encapsulated = h.instance.frames, true
	} else if frame != 0 && (frame != 1 || h.instance.frames != 1) {
		return invalid("bulkdata part %q is a frame, but %s: uncompressed Pixel Data, videos and other bulkdata come in one part", b.name(), b.kind())
	}
	if h.parts > 0 && h.numbered != (frame != 0) {
		return invalid("bulkdata part %q: some parts of %s name their frame, others do not", b.name(), tagName(h.Tag))
	}
	h.numbered = frame != 0
	if frame == 0 {
		frame = h.parts + 1
	}
	switch early := h.ahead[frame] != nil; {
	case frame < 1 || frame > count:
		return invalid("bulkdata part %q is frame %d, Number of Frames (0028,0008) is %d", b.name(), frame, h.instance.frames)
	case frame < h.frame, frame == h.frame && h.due != nil, early:
		return invalid("bulkdata part %q is frame %d, which came before", b.name(), frame)
	}
	if h.parts++; h.parts == count {
		h.full = true
		h.reference.wanting--
	}
	if frame == h.frame {
		h.due = b
		return nil
	}
	if h.ahead == nil {
		h.ahead = map[int]*part{}
	}
	h.ahead[frame] = b
	return nil
}

// advance consumes the due part; then the next frame is due.
func (h *hole) advance() *part {
	b := h.due
	h.frame++
	h.due = h.ahead[h.frame]
	delete(h.ahead, h.frame)
	return b
}

// drop frees the parts that are kept for it.
func (h *hole) drop() {
	if h.due != nil {
		h.due.drop()
	}
	for _, b := range h.ahead {
		b.drop()
	}
	h.due, h.ahead = nil, nil
}
