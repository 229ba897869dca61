package metadata

import (
	"cmp"
	"slices"
)

// sort puts the entries from mark on, and what is encoded of them, into ascending
// order of their keys (PS3.5 §7.1). Of those with the same key it keeps the
// first, and returns that key.
func (b *builder) sort(mark int) (key uint32, twice bool) {
	entries := b.entries[mark:]
	for i := 1; i < len(entries); i++ {
		if entries[i-1].key >= entries[i].key {
			return b.reorder(entries)
		}
	}
	return 0, false
}

func (b *builder) reorder(entries []entry) (key uint32, twice bool) {
	if !b.account.hold(sizeOf[int](len(entries))) {
		return 0, false
	}
	defer b.account.free(sizeOf[int](len(entries)))
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(entries[i].key, entries[j].key), cmp.Compare(i, j))
	})
	base, baseHole := entries[0].start, entries[0].hole
	var sorted, sortedHoles bool // there is memory for them
	b.sorted, sorted = grow(b.account, b.sorted[:0], len(b.encoded)-base)
	b.sortedHoles, sortedHoles = grow(b.account, b.sortedHoles[:0], len(b.holes)-baseHole)
	if !sorted || !sortedHoles {
		return 0, false
	}
	for n, i := range order {
		if n > 0 && entries[order[n-1]].key == entries[i].key {
			key, twice = entries[i].key, true
			continue
		}
		end, endHole := b.entryEnd(entries, i)
		moved := base + len(b.sorted) - entries[i].start
		b.sorted = append(b.sorted, b.encoded[entries[i].start:end]...)
		for _, h := range b.holes[entries[i].hole:endHole] {
			h.Offset += moved
			b.sortedHoles = append(b.sortedHoles, h)
		}
	}
	b.encoded = append(b.encoded[:base], b.sorted...)
	b.holes = append(b.holes[:baseHole], b.sortedHoles...)
	return key, twice
}

// entryEnd returns where the i-th of a dataset's entries, or a sequence's, ends.
func (b *builder) entryEnd(entries []entry, i int) (encoded, hole int) {
	if i+1 < len(entries) {
		return entries[i+1].start, entries[i+1].hole
	}
	return len(b.encoded), len(b.holes)
}
