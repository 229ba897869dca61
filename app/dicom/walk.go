package dicom

import (
	"errors"
	"fmt"
	"io"

	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/vrraw"
)

// maxDepth is how deep sequences of undefined length may nest. Instances in use
// stay below ten; the limit bounds the stack of skipSequence.
const maxDepth = 64

// sequence is one of undefined length whose end is not reached yet.
type sequence struct {
	encoding  encoding // of what it holds
	fragments bool     // its items are bytes, not datasets
	inItem    bool     // inside an item of undefined length
}

// opens returns the sequence that h, of undefined length and met in a dataset
// of encoding e, begins. Such a length is allowed for SQ, UN and encapsulated
// pixel data, which may be those of an icon in a sequence (PS3.5 §7.1.2, §A.4).
func (h header) opens(e encoding) (sequence, error) {
	switch vr := string(h.vr[:]); {
	case vr == vrraw.Unknown:
		// PS3.5 §6.2.2: implicit VR little endian, whatever the transfer syntax.
		return sequence{encoding: implicitLittle}, nil
	case vr == vrraw.OtherByte, vr == vrraw.OtherWord:
		return sequence{encoding: e, fragments: true}, nil
	case h.vr.isKnown() && vr != vrraw.Sequence:
		return sequence{}, fmt.Errorf("%w: undefined length, %s", ErrNotDICOM, h)
	default: // SQ, a VR yet unknown, or implicit VR
		return sequence{encoding: e}, nil
	}
}

// skipElement moves past the value of h, an element in a dataset of encoding e.
func (s *stream) skipElement(h header, e encoding) error {
	if h.length != undefinedLength {
		return s.skip(h.length)
	}
	return s.skipSequence(h, e)
}

// skipSequence moves past the sequence delimiter that ends the value of h. Items
// and elements of defined length are skipped unseen; only those of undefined
// length are entered (PS3.5 §7.5), with a stack of its own instead of recursion.
// Delimiters should have the length 0; some writers put another number there,
// and no value follows it, so it is not looked at.
func (s *stream) skipSequence(h header, e encoding) error {
	var open [maxDepth]sequence
	first, err := h.opens(e)
	if err != nil {
		return err
	}
	open[0] = first
	for depth := 1; depth > 0; {
		q := &open[depth-1]
		h, err := s.header(q.encoding)
		switch {
		case errors.Is(err, io.EOF):
			return readFailure(err, "inside a sequence")
		case err != nil:
			return err
		case h.tag == tag.ItemDelimitationItem:
			// Outside an item it is left over by writers that close an item of
			// defined length.
			q.inItem = false
		case h.tag.Group == tag.GroupSeqItem && q.inItem:
			return fmt.Errorf("%w: %s inside an item", ErrNotDICOM, h)
		case h.tag == tag.SequenceDelimitationItem:
			depth--
		case h.length != undefinedLength && (q.inItem || h.tag == tag.Item):
			if err := s.skip(h.length); err != nil {
				return err
			}
		case q.inItem:
			if depth == maxDepth {
				return fmt.Errorf("%w: sequences nest deeper than %d", ErrNotDICOM, maxDepth)
			}
			if open[depth], err = h.opens(q.encoding); err != nil {
				return err
			}
			depth++
		case h.tag == tag.Item && !q.fragments:
			q.inItem = true
		default:
			return fmt.Errorf("%w: %s instead of an item", ErrNotDICOM, h)
		}
	}
	return nil
}
