package metadata

import (
	"encoding/binary"
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// A private creator (gggg,00bb) reserves the block (gggg,bb00) to (gggg,bbFF);
// bb is from 10 to FF (PS3.5 §7.8.1).
const (
	firstBlock = 0x10
	lastBlock  = 0xFF
)

// private is an element of the dataset that is read whose block is not known
// yet, because the metadata name its creator instead (PS3.19 Table A.1.5-2).
type private struct {
	entry   int // in builder.entries
	creator string
}

// block is what an element names: the block of a creator, and which one where it
// names that too, against the standard. 0 is any.
type block struct {
	group   uint16
	number  uint16
	creator string
}

// blocks are those of one dataset.
type blocks struct {
	owner map[tag.Tag]string // by the creator's tag; "" if elements lie there without one
	known map[block]uint16   // their numbers
}

// placePrivate gives the private elements of a dataset their tags, in the block
// that their creator has there or else in a free one, whose creator it adds.
func (b *builder) placePrivate(l level) {
	refs := b.private[l.private:]
	if len(refs) == 0 {
		return
	}
	const blockBytes = 512 // in the maps, of a block that is there and of one that is added
	memory := blockBytes*(len(b.entries)-l.entries) + len(b.encoded) - b.entries[l.entries].start
	if !b.account.hold(memory) {
		return
	}
	defer b.account.free(memory)
	found := b.findBlocks(l, refs)
	for _, ref := range refs {
		t := tagOf(b.entries[ref.entry].key)
		wanted := block{t.Group, t.Element >> 8, ref.creator}
		number, known := found.known[wanted]
		if !known {
			var reserved bool
			number, reserved = found.reserve(wanted)
			if number == 0 {
				b.wrong(t, "is of a group whose blocks are all taken")
				return
			}
			if reserved {
				b.addCreator(tag.Tag{Group: t.Group, Element: number}, ref.creator)
				if b.account.err != nil {
					return
				}
			}
		}
		t.Element = number<<8 | t.Element&0xFF
		b.retag(ref.entry, t)
	}
}

// findBlocks lists the blocks that the metadata name by their numbers.
func (b *builder) findBlocks(l level, refs []private) blocks {
	found := blocks{make(map[tag.Tag]string), make(map[block]uint16)}
	for i := l.entries; i < len(b.entries); i++ {
		if len(refs) > 0 && refs[0].entry == i {
			refs = refs[1:]
			continue
		}
		t := tagOf(b.entries[i].key)
		switch {
		case !tag.IsPrivate(t.Group):
		case t.Element >= firstBlock && t.Element <= lastBlock:
			creator := b.creatorAt(i)
			found.owner[t] = creator
			if _, known := found.known[block{t.Group, 0, creator}]; !known {
				found.known[block{t.Group, 0, creator}] = t.Element
			}
		case t.Element>>8 >= firstBlock:
			if creator := (tag.Tag{Group: t.Group, Element: t.Element >> 8}); found.owner[creator] == "" {
				found.owner[creator] = ""
			}
		}
	}
	return found
}

// creatorAt returns the value of the private creator that is the i-th entry; "" if
// that is not text, or a hole.
func (b *builder) creatorAt(i int) string {
	if b.isHole(i) {
		return ""
	}
	e := elementAt(b.encoded, b.entries[i].start)
	return strings.Trim(string(b.encoded[e.value:e.end]), " \x00")
}

// reserve finds a block: the wanted one, if it is free or its creator's already;
// else one of the creator's; else the first free one. 0 means that there is none.
// reserved is true if the block has no creator yet.
func (bs blocks) reserve(wanted block) (number uint16, reserved bool) {
	if wanted.number >= firstBlock {
		owner, taken := bs.owner[tag.Tag{Group: wanted.group, Element: wanted.number}]
		if !taken || owner == wanted.creator {
			return bs.assign(wanted, wanted.number), !taken
		}
	}
	if number, known := bs.known[block{wanted.group, 0, wanted.creator}]; known {
		return bs.assign(wanted, number), false
	}
	for number := uint16(firstBlock); number <= lastBlock; number++ {
		if _, taken := bs.owner[tag.Tag{Group: wanted.group, Element: number}]; !taken {
			return bs.assign(wanted, number), true
		}
	}
	return 0, false
}

func (bs blocks) assign(wanted block, number uint16) uint16 {
	bs.owner[tag.Tag{Group: wanted.group, Element: number}] = wanted.creator
	bs.known[wanted] = number
	if anyOf := (block{wanted.group, 0, wanted.creator}); bs.known[anyOf] == 0 {
		bs.known[anyOf] = number
	}
	return number
}

// addCreator adds a private creator to the dataset that is read.
func (b *builder) addCreator(t tag.Tag, creator string) {
	failures := b.failures
	a := b.begin(t, "LO")
	b.take(&a, formValue)
	b.addValue(kindText, []byte(creator))
	b.end(&a, failures)
}

// isHole tells whether the i-th entry is one element, and that a hole.
func (b *builder) isHole(i int) bool {
	end, _ := b.entryEnd(b.entries, i)
	return end == b.entries[i].start
}

// retag changes the tag of the i-th entry where it is encoded, or of its hole.
func (b *builder) retag(i int, t tag.Tag) {
	e := &b.entries[i]
	e.key = t.Uint32()
	if b.isHole(i) {
		b.holes[e.hole].Tag = t
		return
	}
	binary.LittleEndian.PutUint16(b.encoded[e.start+2:], t.Element)
}
