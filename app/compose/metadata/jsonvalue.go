package metadata

import "bytes"

// value reads Value, which token began: an array, or, as some writers have it, its only
// element alone. An empty one is the same as none, beside bulkdata, too.
func (j *jsonReader) value(a *attribute, token byte) error {
	if a.form == formValue {
		j.b.wrong(a.tag, "has Value twice")
	}
	if token != '[' {
		return j.element(a, token)
	}
	return j.elements(func(token byte) error { return j.element(a, token) })
}

// element reads an element of Value, which token began.
func (j *jsonReader) element(a *attribute, token byte) error {
	j.b.take(a, formValue)
	switch token {
	case 'n':
		j.empty(a, kindNull)
	case '"':
		j.b.addValue(kindString, j.text)
	case '0':
		j.b.addValue(kindNumber, j.text)
	case '{':
		return j.object(a)
	default:
		j.b.addValue(kindOther, nil)
		return j.skip(token)
	}
	return nil
}

// empty adds a null or an empty object: an empty value, or an empty item. Which
// of them is not known before the VR is.
func (j *jsonReader) empty(a *attribute, k kind) {
	j.b.addValue(k, nil)
	if a.vr == "" || a.vr == "SQ" {
		j.b.addItem(a, 0, 0)
	}
}

// object reads an object in Value that was begun: an item, or a person name. If
// the VR is not known yet, the names in it tell.
func (j *jsonReader) object(a *attribute) error {
	token, err := j.token()
	switch {
	case err != nil:
		return err
	case token == '}':
		j.empty(a, kindObject)
		return nil
	case nameGroup(string(j.text)) >= 0 || a.vr == "PN":
		return j.personName(a)
	}
	read := j.member
	item, ok := j.b.beginItem(a, 0)
	if !ok {
		read = func(byte) error { return j.skipNext() }
	}
	if err := read(token); err != nil {
		return err
	}
	if err := j.elements(read); err != nil {
		return err
	}
	if ok {
		j.b.endItem(a, item)
	}
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
func (j *jsonReader) personName(a *attribute) error {
	var groups [3][]byte
	defer func() {
		for _, g := range groups {
			j.b.account.free(cap(g))
		}
	}()
	member := func(byte) error {
		place := nameGroup(string(j.text))
		token, err := j.token()
		switch {
		case err != nil || place >= 0 && token == 'n':
			return err
		case place >= 0 && token == '"' && groups[place] == nil:
			groups[place] = add(j.b.account, groups[place], j.text...)
			return nil
		}
		j.b.wrong(a.tag, "has a person name with something else than its groups")
		return j.skip(token)
	}
	if err := member('"'); err != nil {
		return err
	}
	if err := j.elements(member); err != nil {
		return err
	}
	j.b.addName(a, groups)
	return nil
}

// addName adds a person name of component groups, delimited by = (PS3.5 §6.2.1). A
// group that is several already, as some writers have it, must be the only one.
func (b *builder) addName(a *attribute, groups [3][]byte) {
	if len(groups[1])+len(groups[2]) > 0 {
		for _, g := range groups {
			if bytes.IndexByte(g, '=') >= 0 {
				b.wrong(a.tag, "has a person name with the delimiter of groups in one of them")
			}
		}
	}
	joined := add(b.account, nil, groups[0]...)
	joined = add(b.account, joined, '=')
	joined = add(b.account, joined, groups[1]...)
	joined = add(b.account, joined, '=')
	joined = add(b.account, joined, groups[2]...)
	b.addValue(kindName, bytes.TrimRight(joined, "="))
	b.account.free(cap(joined))
}
