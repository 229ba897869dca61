package metadata

import (
	"fmt"
	"slices"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// maxDepth is how deep sequences may be nested. The deepest IODs have about ten.
const maxDepth = 64

// builder encodes one instance at a time, in the order in which its metadata are read. Data
// of datasets and attributes that are not complete yet are on stacks,
// so that memory grows with the text and not with its depth.
type builder struct {
	account *account // of this instance
	encoded []byte
	holes   []Hole
	depth   int     // of the dataset that is read: 0 is the top level
	entries []entry // of the datasets that are read
	private []private
	values  values // of the attributes that are read

	sorted      []byte // buffers of reorder
	sortedHoles []Hole

	nonASCII     bool // some text is not ASCII
	innerCharset bool // an item has a SpecificCharacterSet

	failures int
	err      error // the first
}

// entry is a piece of the encoded dataset that can be moved: an element, or an
// item of a sequence. It ends where the next one begins.
type entry struct {
	key   uint32 // the element's tag, or the item's number
	start int    // in encoded
	hole  int    // in holes
}

func tagOf(key uint32) tag.Tag {
	return tag.Tag{Group: uint16(key >> 16), Element: uint16(key & 0xFFFF)}
}

// fail notes that the instance is wrong. Reading continues, because UIDs may follow
// with which the instance can be reported.
func (b *builder) fail(err error) {
	b.failures++
	if b.err == nil {
		b.err = err
	}
}

// wrong notes an error of an attribute, with its tag; never with its value.
func (b *builder) wrong(t tag.Tag, problem string) {
	b.fail(fmt.Errorf("(%04X,%04X) %s", t.Group, t.Element, problem))
}

// admitsGroup says whether attributes of a group become elements. File Meta are
// left out silently (PS3.18 §10.5.1.4), and so are group lengths (PS3.18
// §F.2.2, PS3.19 §A.1.1): neither belongs in metadata, and File Meta are made
// again.
func (b *builder) admitsGroup(t tag.Tag) bool {
	switch t.Group {
	case 0x0000, 0x0001, 0x0003, 0x0005, 0x0007, tag.GroupSeqItem, 0xFFFF:
		// PS3.5 §7.1: commands; §7.8.1: never private; §7.5: items
		b.wrong(t, "is of a group that a dataset cannot have")
		return false
	}
	return t.Group != tag.MetadataGroup
}

// form says where the value of an attribute comes from (PS3.18 §F.2.2).
type form byte

const (
	formNone form = iota
	formValue
	formInline
	formBulk
)

// attribute is an attribute whose metadata are being read.
type attribute struct {
	tag    tag.Tag
	vr     string // "" while, or if, it is unknown
	form   form
	text   []byte // InlineBinary or URI
	values int    // where in builder.values its values begin
	items  int    // encoded so far
	sure   int    // those that cannot be anything else; null and {} can
	other  bool   // has a member that is not in the model, and that may be a value
}

// begin starts an attribute of the current dataset.
func (b *builder) begin(t tag.Tag, vr string) attribute {
	b.entries = add(b.account, b.entries, entry{t.Uint32(), len(b.encoded), len(b.holes)})
	return attribute{tag: t, vr: vr, values: len(b.values)}
}

// take notes where the value of an attribute comes from. Only values may come
// more than once, and only if each can be distinguished, as in XML.
func (b *builder) take(a *attribute, f form) {
	if a.form != formNone && (a.form != f || f != formValue) {
		b.wrong(a.tag, "has more than one of Value, InlineBinary and bulkdata")
	}
	a.form = f
}

// takeText is take for a single text, which belongs to the builder from now on.
func (b *builder) takeText(a *attribute, f form, text []byte) {
	b.take(a, f)
	b.account.free(cap(a.text))
	a.text = text
}

// end encodes the attribute, or drops it if it has failed since failures, or describes an encapsulation.
func (b *builder) end(a *attribute, failures int) {
	if b.account.err != nil {
		return
	}
	dropped := DescribesEncapsulation(a.tag) && a.form != formBulk
	if b.failures == failures && !dropped {
		b.encode(a)
	}
	b.account.free(cap(a.text))
	b.values = b.values[:a.values]
	if b.failures != failures || dropped {
		last := b.entries[len(b.entries)-1]
		b.encoded, b.holes = b.encoded[:last.start], b.holes[:last.hole]
		b.entries = b.entries[:len(b.entries)-1]
	}
}

func (b *builder) encode(a *attribute) {
	vr := a.vr
	if vr == "" || vr == "UN" && steers(a.tag) { // PS3.5 §6.2.2: the VR of PS3.6 can be used instead
		vr = dictionaryVR(a.tag)
	}
	r, known := represent(vr)
	switch {
	case b.hasOtherVR(a, vr):
	case a.other && a.form == formNone:
		b.wrong(a.tag, "has a value in a form that the model does not have")
	case !known:
		b.wrong(a.tag, "has an unknown vr")
	case a.form == formBulk:
		b.hole(a, vr)
	case a.form == formInline:
		b.inline(a, vr, r)
	case r.class == classSequence:
		b.sequence(a)
	case a.sure > 0:
		b.wrong(a.tag, "has items, but its vr is not SQ")
	default:
		// Empty objects and nulls may have been read as items before the VR came.
		b.encoded = b.encoded[:b.entries[len(b.entries)-1].start]
		b.simple(a, vr, r)
	}
}

// hole leaves room for an element whose value comes as bulkdata. Sequences
// cannot be bulkdata (PS3.18 §F.2.2), nor can attributes that are needed before bulkdata come.
func (b *builder) hole(a *attribute, vr string) {
	switch {
	case vr == "SQ":
		b.wrong(a.tag, "is a sequence, which cannot be bulkdata")
		return
	case len(a.text) == 0:
		b.wrong(a.tag, "has no URI of its bulkdata")
		return
	case steers(a.tag):
		b.wrong(a.tag, "cannot be bulkdata")
		return
	}
	if b.account.hold(textBytes(len(a.text))) {
		b.holes = add(b.account, b.holes, Hole{Offset: len(b.encoded), Tag: a.tag, VR: vr, URI: string(a.text), TopLevel: b.depth == 0})
	}
}

// level is an item that is being read.
type level struct {
	start, holes, entries, private int
}

// beginItem starts an item of the sequence a, and with the first item also the sequence.
// It returns false if that would be nested too deep. number is 0 if items come
// in their order; otherwise an entry is added by which to sort them.
func (b *builder) beginItem(a *attribute, number uint32) (level, bool) {
	if b.depth == maxDepth {
		b.wrong(a.tag, fmt.Sprintf("is nested deeper than %d sequences", maxDepth))
		return level{}, false
	}
	b.addItem(a, number, undefinedLength)
	b.depth++
	return level{len(b.encoded), len(b.holes), len(b.entries), len(b.private)}, true
}

// addItem encodes the header of an item.
func (b *builder) addItem(a *attribute, number, length uint32) {
	if !b.room(longHeaderSize + headerSize) {
		return
	}
	if a.items == 0 {
		b.encoded = appendHeader(b.encoded, a.tag, "SQ", undefinedLength)
	}
	if number > 0 {
		b.entries = add(b.account, b.entries, entry{number, len(b.encoded), len(b.holes)})
	}
	a.items++
	b.encoded = appendHeader(b.encoded, item, "", length)
}

// endItem ends an item; an empty one becomes one of length 0, which is shorter.
func (b *builder) endItem(a *attribute, l level) {
	if b.endDataset(l); !b.room(headerSize) {
		return
	}
	b.depth--
	a.sure++
	if len(b.encoded) == l.start && len(b.holes) == l.holes {
		b.encoded = appendHeader(b.encoded[:l.start-headerSize], item, "", 0)
		return
	}
	b.encoded = appendHeader(b.encoded, itemEnd, "", 0)
}

// sequence ends a sequence; one without items has the length 0 (PS3.5 §7.5).
func (b *builder) sequence(a *attribute) {
	for rest := b.values[a.values:]; len(rest) > 0; {
		var k kind
		if k, _, rest = rest.next(); k != kindNull && k != kindObject {
			b.wrong(a.tag, problemType)
			return
		}
	}
	if !b.room(longHeaderSize) {
		return
	}
	if a.items == 0 {
		b.encoded = appendHeader(b.encoded, a.tag, "SQ", 0)
		return
	}
	b.encoded = appendHeader(b.encoded, sequenceEnd, "", 0)
}

// endDataset puts the elements of a dataset into their order.
func (b *builder) endDataset(l level) {
	if b.account.err != nil {
		return
	}
	b.placePrivate(l)
	if key, twice := b.sort(l.entries); twice {
		b.wrong(tagOf(key), "is there twice")
	}
	b.entries, b.private = b.entries[:l.entries], b.private[:l.private]
}

// room makes room for n more bytes of the encoded dataset.
func (b *builder) room(n int) (ok bool) {
	b.encoded, ok = grow(b.account, b.encoded, n)
	return ok
}

// setBytes is room for the elements that are set after the dataset is complete: those
// that are derived from a bit stream, and a character set.
const setBytes = 768

// dataset returns the instance, and its error. Its memory belongs to the
// caller from now on. Without enough memory there is no instance.
func (b *builder) dataset() (*Dataset, error) {
	b.endDataset(level{})
	d := &Dataset{Holes: b.holes, ownCharsets: b.innerCharset}
	derives := slices.ContainsFunc(b.holes, func(h Hole) bool { return h.TopLevel && h.Tag == tag.PixelData })
	if derives || b.nonASCII {
		b.room(setBytes)
	}
	if d.Encoded = b.encoded; b.nonASCII && b.innerCharset {
		d.declareUTF8InItems(b.account)
	}
	if d.indexElements(b.account); b.account.err != nil {
		return nil, b.account.err
	}
	for i := range d.Holes {
		d.Holes[i].Number = i
		d.HeldBytes += int64(textBytes(len(d.Holes[i].URI)))
	}
	if b.nonASCII {
		d.declareUTF8()
	}
	d.HeldBytes += int64(cap(d.Encoded) + sizeOf[Hole](cap(d.Holes)) + sizeOf[position](cap(d.index)))
	b.account.heldBytes -= d.HeldBytes
	err := b.err
	*b = builder{account: b.account, entries: b.entries, values: b.values, sorted: b.sorted, sortedHoles: b.sortedHoles[:0]}
	return d, err
}
