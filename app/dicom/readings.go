package dicom

import "github.com/suyashkumar/dicom/pkg/tag"

// header reads the header at the walk's place, after zeros. If it can be read in two ways,
// the way counts after which the rest fits; if both fit, both are followed.
func (w *walk) header(h *header) error {
	if w.next.value > 0 {
		*h, w.next = w.next, header{}
		return nil
	}
	e := w.frames[w.depth].encoding
	err := w.head.header(h, w.at, e)
	if err == nil && h.tag.Group == 0 {
		zeros, zerosErr := w.head.zeros(w.at)
		if zerosErr != nil {
			return zerosErr
		}
		if zeros > 0 {
			w.wrong("zeros in front of an element", h)
			w.at += zeros
			err = w.head.header(h, w.at, e)
		}
	}
	if err == nil && (h.odd || w.careful) {
		w.choose(h)
	}
	return err
}

// choose checks whether the header h at the walk's place can be read in another way.
func (w *walk) choose(h *header) {
	e := w.frames[w.depth].encoding
	other, ok := w.head.otherHeader(w.at, e)
	if !ok || !w.head.fits(&other, e) {
		return
	}
	w.wrong("%s has a length or a VR in a form that is not its own", h)
	if w.head.fits(h, e) {
		w.also(func(w *walk) { w.next = other })
	} else {
		*h = other
	}
}

// isItem says whether an item, or the end of a sequence, is at the offset.
func (h *head) isItem(at int64, e encoding) bool {
	b, err := h.glance(at)
	return err == nil && (e.tag(b) == tag.Item || e.tag(b) == tag.SequenceDelimitationItem)
}

// hasVR says whether the element at the offset has a VR.
func (h *head) hasVR(at int64) bool {
	b, err := h.peek(at, 6)
	return err == nil && vr{b[4], b[5]}.isKnown()
}

// itemsFill says whether the items of a sequence of defined length end where the sequence ends.
// A sequence of undefined length is accepted.
func (h *head) itemsFill(sequence *header, e encoding) bool {
	at, end := sequence.value, sequence.end()
	for at < end {
		b, err := h.glance(at)
		switch {
		case err != nil:
			return true // true as far as can be seen
		case e.tag(b) != tag.Item:
			return false
		case e.uint32(b[4:]) == undefinedLength:
			return true
		}
		at += int64(len(b)) + int64(e.uint32(b[4:]))
	}
	return at == end
}
