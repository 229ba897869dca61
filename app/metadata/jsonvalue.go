package metadata

import (
	"encoding/json"
	"strings"
)

// value reads the array Value that was begun.
func (j *jsonReader) value(a *attribute) error {
	if a.form == formValue {
		j.b.wrong(a.tag, "has Value twice")
	}
	j.b.take(a, formValue)
	return j.elements(func(t json.Token) error {
		switch t := t.(type) {
		case nil:
			j.empty(a, kindNull)
		case string:
			j.b.values = j.b.values.add(kindString, t)
		case json.Number:
			j.b.values = j.b.values.add(kindNumber, t.String())
		case json.Delim:
			if t == '{' {
				return j.object(a)
			}
			j.b.values = j.b.values.add(kindOther, "")
			return j.skip(t)
		default:
			j.b.values = j.b.values.add(kindOther, "")
		}
		return nil
	})
}

// empty adds a null or an empty object: an empty value, or an empty item. Which
// of them is not known before the VR is.
func (j *jsonReader) empty(a *attribute, k kind) {
	j.b.values = j.b.values.add(k, "")
	if a.vr == "" || a.vr == "SQ" {
		j.b.addItem(a, 0, 0)
	}
}

// object reads an object in Value that was begun: an item, or a person name. If
// the VR is not known yet, the names in it tell.
func (j *jsonReader) object(a *attribute) error {
	if !j.decoder.More() {
		j.empty(a, kindObject)
		_, err := j.token()
		return err
	}
	first, err := j.token()
	if err != nil {
		return err
	}
	name, _ := first.(string) // the decoder lets nothing else pass
	if nameGroup(name) >= 0 || a.vr == "PN" {
		return j.personName(a, name)
	}
	item, ok := j.b.beginItem(a, 0)
	if !ok {
		if err := j.skipNext(); err != nil {
			return err
		}
		return j.members(func(string) error { return j.skipNext() })
	}
	if err := j.member(name); err != nil {
		return err
	}
	if err := j.members(j.member); err != nil {
		return err
	}
	j.b.endItem(a, item)
	return nil
}

// nameGroup returns the place of a component group in a person name (PS3.5
// §6.2.1), -1 if it is none.
func nameGroup(name string) int {
	switch name {
	case "Alphabetic":
		return 0
	case "Ideographic":
		return 1
	case "Phonetic":
		return 2
	}
	return -1
}

// personName reads an object with component groups, of which the first's name was
// read.
func (j *jsonReader) personName(a *attribute, first string) error {
	var groups [3]string
	member := func(name string) error {
		t, err := j.token()
		if err != nil {
			return err
		}
		text, isText := t.(string)
		if place := nameGroup(name); place >= 0 && (isText || t == nil) {
			groups[place] = text
			return nil
		}
		j.b.wrong(a.tag, "has a person name with something else than its groups")
		return j.skip(t)
	}
	if err := member(first); err != nil {
		return err
	}
	if err := j.members(member); err != nil {
		return err
	}
	j.b.values = j.b.values.add(kindName, j.b.joinGroups(a, groups))
	return nil
}

// joinGroups makes a person name of component groups, delimited by = (PS3.5
// §6.2.1). A group that is several already, as some writers have it, must be the
// only one.
func (b *builder) joinGroups(a *attribute, groups [3]string) string {
	if groups[1]+groups[2] != "" && strings.Contains(groups[0]+groups[1]+groups[2], "=") {
		b.wrong(a.tag, "has a person name with the delimiter of groups in one of them")
	}
	return strings.TrimRight(strings.Join(groups[:], "="), "=")
}
