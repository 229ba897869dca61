package metadata

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"slices"
	"strconv"
)

// numbered is a value with its place among those of the attribute.
type numbered struct {
	number uint32
	kind   kind
	start  int // of its text in xmlReader.texts, up to end
	end    int
}

// attribute reads the content of a DicomAttribute (PS3.19 Table A.1.5-2).
func (x *xmlReader) attribute(a *attribute) error {
	values, texts, items := len(x.values), len(x.texts), len(x.b.entries)
	var last uint32 // number
	err := x.children(func(start xml.StartElement) error {
		switch nameOf(start) {
		case "Value", "PersonName":
			x.b.take(a, formValue)
			return x.value(a, start, &last)
		case "Item":
			x.b.take(a, formValue)
			return x.item(a, start, &last)
		case "BulkData":
			x.b.takeText(a, formBulk, add(x.b.account, nil, []byte(cmp.Or(attr(start, "uri"), attr(start, "uuid")))...))
			return x.children(func(xml.StartElement) error { return x.refuse("element in BulkData") })
		case "InlineBinary":
			text, err := x.readContent()
			if x.content = nil; err == nil {
				x.b.takeText(a, formInline, text)
			}
			return err
		}
		a.other = true
		return x.skip()
	})
	if err != nil {
		return err
	}
	if _, twice := x.b.sort(items); twice {
		x.b.wrong(a.tag, "has two items of the same number")
	}
	x.b.entries = x.b.entries[:items]
	x.number(a, x.values[values:])
	x.values, x.texts = x.values[:values], x.texts[:texts]
	return nil
}

// place returns the number of a value or item: its own, or the last and one.
func (x *xmlReader) place(a *attribute, start xml.StartElement, last *uint32) uint32 {
	text := attr(start, "number")
	if text == "" && *last < 1<<31 {
		*last++
		return *last
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		x.b.wrong(a.tag, "has a value whose number is not 1 or more")
	}
	*last = uint32(n)
	return *last
}

// value reads a Value or a PersonName.
func (x *xmlReader) value(a *attribute, start xml.StartElement, last *uint32) error {
	number := x.place(a, start, last)
	if nameOf(start) == "Value" {
		text, err := x.readContent()
		if len(text) == 0 {
			x.addNumbered(number, kindNull, nil)
		} else {
			x.addNumbered(number, kindText, text)
		}
		return err
	}
	var groups [3][]byte
	err := x.children(func(start xml.StartElement) error {
		group := nameGroup(nameOf(start))
		if group < 0 || groups[group] != nil {
			return x.refuse("element other than the groups of a person name")
		}
		var err error
		groups[group], err = x.components()
		return err
	})
	before := len(x.b.values)
	x.b.addName(a, groups)
	for _, g := range groups {
		x.b.account.free(cap(g))
	}
	if len(x.b.values) > before {
		_, joined, _ := x.b.values[before:].next()
		x.addNumbered(number, kindName, joined)
		x.b.values = x.b.values[:before]
	}
	return err
}

func (x *xmlReader) addNumbered(number uint32, k kind, text []byte) {
	start := len(x.texts)
	x.texts = add(x.b.account, x.texts, text...)
	x.values = add(x.b.account, x.values, numbered{number, k, start, len(x.texts)})
}

// components reads a group of a person name, delimited by ^ (PS3.5 §6.2.1).
func (x *xmlReader) components() ([]byte, error) {
	names := [...]string{"FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"}
	var components [len(names)][]byte
	err := x.children(func(start xml.StartElement) error {
		i := slices.Index(names[:], nameOf(start))
		if i < 0 || len(components[i]) > 0 {
			return x.refuse("element other than the components of a person name")
		}
		text, err := x.readContent()
		components[i] = add(x.b.account, components[i], text...)
		return err
	})
	group := []byte{}
	for i, c := range components {
		if i > 0 {
			group = add(x.b.account, group, '^')
		}
		group = add(x.b.account, group, c...)
		x.b.account.free(cap(c))
	}
	return bytes.TrimRight(group, "^"), err
}

// item reads an Item of a sequence.
func (x *xmlReader) item(a *attribute, start xml.StartElement, last *uint32) error {
	number := x.place(a, start, last)
	b := x.b
	l, ok := b.beginItem(a, number)
	if !ok {
		return x.skip()
	}
	if err := x.children(x.datasetChild); err != nil {
		return err
	}
	b.endItem(a, l)
	return nil
}

// bytesPerMissing is how many bytes must have been read for each empty value that
// stands for a number left out: a few bytes of text must not become many bytes of
// a dataset, where a value has 8 at most.
const bytesPerMissing = 8

// number hands values over in the order of their numbers, empty ones where numbers
// are left out.
func (x *xmlReader) number(a *attribute, vs []numbered) {
	byNumber := func(v, w numbered) int { return cmp.Compare(v.number, w.number) }
	if !slices.IsSortedFunc(vs, byNumber) {
		slices.SortStableFunc(vs, byNumber)
	}
	last := uint32(0)
	for _, v := range vs {
		if v.number == last {
			x.b.wrong(a.tag, "has two values of the same number")
			return
		}
		missing := int64(v.number - last - 1)
		if x.missing+missing > x.decoder.InputOffset()/bytesPerMissing {
			x.b.wrong(a.tag, "has values whose numbers are too far apart")
			return
		}
		x.missing += missing
		for last++; last < v.number; last++ {
			x.b.addValue(kindNull, nil)
		}
		x.b.addValue(v.kind, x.texts[v.start:v.end])
	}
}
