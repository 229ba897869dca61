package metadata

import (
	"cmp"
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
)

// numbered is a value with its place among those of the attribute.
type numbered struct {
	number uint32
	kind   kind
	text   string
}

// attribute reads the content of a DicomAttribute (PS3.19 Table A.1.5-2).
func (x *xmlReader) attribute(a *attribute) error {
	values, items := len(x.values), len(x.b.entries)
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
			x.b.take(a, formBulk)
			if a.text = attr(start, "uri"); a.text == "" {
				a.text = attr(start, "uuid")
			}
			return x.children(func(xml.StartElement) error { return x.refuse("element in BulkData") })
		case "InlineBinary":
			x.b.take(a, formInline)
			text, err := x.content()
			a.text = text
			return err
		}
		x.b.wrong(a.tag, "has an element that the model does not have")
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
	clear(x.values[values:]) // of their texts
	x.values = x.values[:values]
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
	v := numbered{number: x.place(a, start, last), kind: kindText}
	if nameOf(start) == "Value" {
		text, err := x.content()
		if v.text = text; text == "" {
			v.kind = kindNull
		}
		x.values = append(x.values, v)
		return err
	}
	var groups [3]string
	err := x.children(func(start xml.StartElement) error {
		group := nameGroup(nameOf(start))
		if group < 0 || groups[group] != "" {
			return x.refuse("element other than the groups of a person name")
		}
		var err error
		groups[group], err = x.components()
		return err
	})
	v.kind, v.text = kindName, x.b.joinGroups(a, groups)
	x.values = append(x.values, v)
	return err
}

// components reads a group of a person name, delimited by ^ (PS3.5 §6.2.1).
func (x *xmlReader) components() (string, error) {
	names := [...]string{"FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"}
	var components [len(names)]string
	err := x.children(func(start xml.StartElement) error {
		i := slices.Index(names[:], nameOf(start))
		if i < 0 || components[i] != "" {
			return x.refuse("element other than the components of a person name")
		}
		var err error
		components[i], err = x.content()
		return err
	})
	return strings.TrimRight(strings.Join(components[:], "^"), "^"), err
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
			x.b.values = x.b.values.add(kindNull, "")
		}
		x.b.values = x.b.values.add(v.kind, v.text)
	}
}
