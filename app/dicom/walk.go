package dicom

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/vrraw"
)

// maxDepth is how deep sequences of undefined length may nest. Real instances
// have less than ten levels.
const maxDepth = 64

// maxSteps is how many elements and items are read in a dataset that can be read in
// more than one way. Real instances have some thousands.
const maxSteps = 1 << 20

// walk is one way of reading a dataset. A copy of it continues from the same place.
type walk struct {
	*identifier

	head   *head
	at     int64
	frames [maxDepth + 1]frame // the first is the top level
	depth  int

	id        Identity
	seen      [len(required)]bool
	count     int
	last      tag.Tag // at the top level
	value     tag.Tag // that was skipped last, to know where the stream ended
	unordered bool    // a tag went backwards, or the dataset is damaged
	damage    string  // the first error, in words
	pixels    bool    // Pixel Data were skipped

	careful bool // look for other readings if only the following elements show that they are possible
	current header
	next    header // the header to be used at this place instead of the result of head.header, if its value is set
}

// frame is an open sequence of undefined length, or the top level.
type frame struct {
	tag       tag.Tag
	encoding  encoding // of its content
	unknown   bool     // VR UN: the encoding is found out for each item
	fragments bool     // its items are bytes, not datasets
	stray     bool     // an item at the top level
	inItem    bool     // inside an item of undefined length
	last      tag.Tag  // in the item
	sequence  bool     // the previous element in the item was a sequence
}

// run walks the dataset until its UIDs are known, or cannot be found any more.
func (w *walk) run() error {
	for steps := 0; ; steps++ {
		h := &w.current
		err := w.header(h)
		if w.count == len(required) && (err != nil || w.named(h)) {
			return w.checkRequired()
		}
		if err != nil {
			return w.ended(err)
		}
		if isPixelData(h.tag) && w.depth == 0 && w.count < len(required) && !w.unordered && w.last != (tag.Tag{}) {
			return w.checkRequired()
		}
		if w.readings > 1 && steps > maxSteps {
			return w.lost("there are too many elements to read them in another way")
		}
		if err := w.step(h); err != nil {
			return err
		}
	}
}

// named says whether the four UIDs, which are found, are certain without reading h and the following elements:
// all tags up to h ascend, or Pixel Data are reached.
func (w *walk) named(h *header) bool {
	return w.depth == 0 && h.tag.Group != tag.GroupSeqItem && (!w.unordered && w.last.Compare(h.tag) < 0 || isPixelData(h.tag) && !w.pixels)
}

// isPixelData: Float, Double Float and Pixel Data, after which no element names an instance.
func isPixelData(t tag.Tag) bool { return t.Group == tag.PixelData.Group }

// ended is the error of a walk if there is no element at its place.
func (w *walk) ended(err error) error {
	switch {
	case errors.Is(err, io.EOF) && !w.head.ended(w.at) && w.value == (tag.Tag{}): // nothing was skipped since its group length was read
		return w.lost("the stream ends inside the File Meta Information")
	case errors.Is(err, io.EOF) && !w.head.ended(w.at):
		return w.lost("the stream ends inside the value of " + (&header{tag: w.value}).String())
	case errors.Is(err, io.EOF) && w.depth > 0:
		return w.lost("sequence " + (&header{tag: w.frames[w.depth].tag}).String() + " has no end")
	case errors.Is(err, io.EOF):
		return w.checkRequired()
	case errors.Is(err, ErrWindow) && !w.unordered && w.last.Group > tag.SeriesInstanceUID.Group:
		return w.checkRequired()
	case errors.Is(err, ErrWindow) && w.damage != "":
		return fmt.Errorf("%w: %s", ErrWindow, w.damage)
	default:
		return failure(err, "inside an element")
	}
}

// lost is the error of a walk that cannot find the next element.
func (w *walk) lost(how string) error {
	if w.damage != "" {
		how += ", and " + w.damage
	}
	return damaged("%s", how)
}

// wrong notes that the dataset does not obey the standard.
func (w *walk) wrong(format string, h *header) {
	if w.damage == "" {
		w.damage = strings.ReplaceAll(format, "%s", h.String())
	}
	w.unordered = true
}

// also adds a changed copy of w to the walks.
func (w *walk) also(change func(*walk)) {
	if w.readings < maxReadings {
		w.readings++
		w.others = append(w.others, *w)
		change(&w.others[len(w.others)-1])
	}
}

// step reads one element, item or delimiter.
func (w *walk) step(h *header) error {
	f := &w.frames[w.depth]
	switch {
	case h.tag.Group == tag.GroupSeqItem:
		return w.delimiter(f, h)
	case w.depth == 0:
		return w.element(h)
	case !f.inItem:
		w.wrong("%s instead of an item", h)
		w.leave()
		return nil
	}
	if w.careful && f.last.Compare(h.tag) >= 0 {
		w.also(func(other *walk) { other.leave() })
	}
	f.last = h.tag
	return w.pass(h)
}

// delimiter handles elements of group FFFE (PS3.5 §7.5).
func (w *walk) delimiter(f *frame, h *header) error {
	w.at = h.value // delimiters should have the length 0; some writers put another number there, but no value follows it
	switch h.tag {
	case tag.ItemDelimitationItem:
		if w.depth == 0 {
			w.wrong("%s at the top level", h)
		}
		f.inItem = false
		if f.stray {
			w.leave()
		}
	case tag.SequenceDelimitationItem:
		switch {
		case w.depth == 0:
			w.wrong("%s at the top level", h)
			return nil
		case f.inItem:
			w.wrong("%s inside an item", h)
			if f.sequence {
				w.also(func(*walk) {}) // it belongs to the previous sequence, a second time
			}
		}
		w.leave()
	case tag.Item:
		switch {
		case w.depth == 0:
			w.wrong("%s at the top level", h)
			if h.length == undefinedLength {
				return w.enter(h, frame{encoding: f.encoding, stray: true, inItem: true})
			}
		case f.inItem:
			w.wrong("%s inside an item", h)
		}
		f.inItem, f.last, f.sequence = h.length == undefinedLength, tag.Tag{}, false
		switch {
		case !f.inItem:
			w.at, w.value = h.end(), h.tag
		case f.fragments:
			return damaged("a fragment of undefined length in %s", &header{tag: f.tag})
		case f.unknown && !f.encoding.bigEndian:
			f.encoding.explicit = w.head.hasVR(w.at)
		}
	default:
		return damaged("unknown delimiter %s", h)
	}
	return nil
}

// enter begins a sequence of undefined length.
func (w *walk) enter(h *header, f frame) error {
	if w.depth == maxDepth {
		return damaged("sequences nest deeper than %d", maxDepth)
	}
	w.depth++
	f.tag = h.tag
	w.frames[w.depth] = f
	return nil
}

// leave ends it.
func (w *walk) leave() {
	w.depth--
	w.frames[w.depth].sequence = true
}

// element reads an element of the top level.
func (w *walk) element(h *header) error {
	if w.last.Compare(h.tag) >= 0 {
		w.wrong("%s is not in order", h)
	}
	if h.tag.Group > tag.SeriesInstanceUID.Group && w.last == (tag.Tag{}) {
		w.wrong("the dataset begins with %s", h)
	}
	w.last = h.tag
	w.pixels = w.pixels || isPixelData(h.tag)
	if h.tag.Group == tag.MetadataGroup {
		if err := w.addMeta(w.head, h); err != nil {
			return err
		}
	}
	i := indexOfRequired(h.tag)
	if i < 0 {
		return w.pass(h)
	}
	value, err := w.head.uid(h)
	if err != nil {
		return err
	}
	w.at = h.end()
	field := required[i].field(&w.id)
	if w.seen[i] && value != *field {
		return fmt.Errorf("%w: %s", ErrNamedTwice, required[i].keyword)
	}
	if !w.seen[i] {
		w.seen[i] = true
		w.count++
	}
	*field = value
	return nil
}

// pass skips the value of an element, or moves into it if its length is undefined. Items and
// elements of defined length are skipped without being read.
func (w *walk) pass(h *header) error {
	f := &w.frames[w.depth]
	f.sequence = false
	if h.length == undefinedLength {
		w.at = h.value
		opened, err := w.opens(h, f.encoding)
		if err != nil {
			return err
		}
		return w.enter(h, opened)
	}
	if h.vr.is(vrraw.Sequence) || h.vr == (vr{}) && w.head.isItem(h.value, f.encoding) {
		f.sequence = true
		if !w.head.itemsFill(h, f.encoding) {
			w.wrong("the length of %s is not that of its items", h)
		}
	}
	w.at, w.value = h.end(), h.tag
	return nil
}

// opens returns the sequence that h begins; h has undefined length, and was found in a dataset
// of encoding e. Such a length is allowed for SQ, UN and encapsulated
// pixel data, which may be those of an icon in a sequence (PS3.5 §7.1.2, §A.4).
func (w *walk) opens(h *header, e encoding) (frame, error) {
	switch {
	case h.vr.is(vrraw.Unknown):
		// PS3.5 §6.2.2: implicit VR little endian, whatever the transfer syntax. Some writers write
		// what they would have written in a sequence.
		if w.head.isItem(h.value, explicitBig) {
			return frame{encoding: explicitBig, unknown: true}, nil
		}
		return frame{encoding: implicitLittle, unknown: true}, nil
	case h.vr.is(vrraw.OtherByte), h.vr.is(vrraw.OtherWord):
		return frame{encoding: e, fragments: true}, nil
	case h.vr.isKnown() && !h.vr.is(vrraw.Sequence):
		return frame{}, damaged("undefined length, %s", h)
	default: // SQ, an unknown VR, or implicit VR
		return frame{encoding: e}, nil
	}
}
