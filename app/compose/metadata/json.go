package metadata

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// maxNesting bounds how deep arrays and objects may be nested, also in what is
// skipped. What is read has three for each sequence.
const maxNesting = 1000

// ReadJSON reads metadata in the DICOM JSON Model (PS3.18 §F.2): an array of
// objects, or a single object, which some clients send for one instance. It calls
// each for every instance, in order, as soon as it is read.
//
// each gets the instance's own error if only that one is wrong; the Dataset then
// has what could be read, so that its UIDs may be reported, and is not to be
// stored. ReadJSON ends with the first error of each or take; with that of r,
// wrapped; or with one that wraps ErrSyntax if the text is not JSON in UTF-8, is
// not of the model, or is followed by something else.
//
// take counts memory before it is made, and, below zero, what is given back. What
// stays counted after ReadJSON is HeldBytes of the datasets that each got.
//
// Attributes may come in any order, as may vr and Value. Keys are tags in either
// case.
func ReadJSON(r io.Reader, take func(bytes int64) error, each func(*Dataset, error) error) error {
	account := &account{take: take}
	defer account.close()
	j := &jsonReader{newLexer(r, account), &builder{account: account}}
	first, err := j.token()
	switch {
	case err != nil:
	case first == '{':
		err = j.instance(first, each)
	case first == '[':
		err = j.elements(func(token byte) error { return j.instance(token, each) })
	default:
		err = fmt.Errorf("%w: neither array nor object", ErrSyntax)
	}
	if err != nil {
		return err
	}
	return j.end()
}

// jsonReader reads tokens into a builder. Its methods consume all of what they
// read, whether that is wrong for the instance or not. They return only errors
// after which nothing can be read.
type jsonReader struct {
	*lexer
	b *builder
}

// elements calls each with the first token of every element of the array or name
// of the object that was begun, and consumes its end.
func (j *jsonReader) elements(each func(token byte) error) error {
	for {
		token, err := j.token()
		if err != nil || token == ']' || token == '}' {
			return err
		}
		if err := each(token); err != nil {
			return err
		}
	}
}

// skip consumes the value that token began.
func (j *jsonReader) skip(token byte) error {
	if token != '{' && token != '[' {
		return nil
	}
	for outer := len(j.open) - 1; len(j.open) > outer; {
		if _, err := j.token(); err != nil {
			return err
		}
	}
	return nil
}

func (j *jsonReader) skipNext() error {
	token, err := j.token()
	if err != nil {
		return err
	}
	return j.skip(token)
}

// instance reads the element of the outer array that token began.
func (j *jsonReader) instance(token byte, each func(*Dataset, error) error) error {
	if token != '{' {
		if err := j.skip(token); err != nil {
			return err
		}
		return each(&Dataset{}, errors.New("instance is not an object"))
	}
	if err := j.elements(j.member); err != nil {
		return err
	}
	d, err := j.b.dataset()
	if d == nil {
		return err
	}
	return each(d, err)
}

// member reads one attribute of a dataset, whose name was read.
func (j *jsonReader) member(byte) error {
	t, ok := parseTag(string(j.text[:min(len(j.text), 64)]))
	if !ok {
		j.b.fail(fmt.Errorf("the name of an attribute, before byte %d, is not a tag of 8 hexadecimal digits", j.offset))
		return j.skipNext()
	}
	if !j.b.admitsGroup(t) || t.Element == 0 {
		return j.skipNext()
	}
	failures := j.b.failures
	a := j.b.begin(t, "")
	if err := j.attribute(&a); err != nil {
		return err
	}
	j.b.end(&a, failures)
	return nil
}

// parseTag reads a tag of 8 hexadecimal digits.
func parseTag(s string) (tag.Tag, bool) {
	if len(s) != 8 {
		return tag.Tag{}, false
	}
	n, err := strconv.ParseUint(s, 16, 32)
	return tagOf(uint32(n)), err == nil
}

// attribute reads an attribute object (PS3.18 §F.2.2). A null is the same as a
// name that is not there.
func (j *jsonReader) attribute(a *attribute) error {
	token, err := j.token()
	if err != nil {
		return err
	}
	if token != '{' {
		j.b.wrong(a.tag, "is not an object")
		return j.skip(token)
	}
	return j.elements(func(byte) error {
		name := string(j.text[:min(len(j.text), len("BulkDataURI")+1)])
		token, err := j.token()
		if err != nil || token == 'n' {
			return err
		}
		switch {
		case name == "Value":
			return j.value(a, token)
		case name == "vr" && token == '"' && a.vr == "":
			a.vr = string(j.text[:min(len(j.text), 3)]) // a VR has two letters
			return nil
		case name == "InlineBinary" && token == '"':
			j.b.takeText(a, formInline, j.moveText())
			return nil
		case name == "InlineBinary" && token == '[': // as some writers have it, with one string
			return j.elements(func(token byte) error {
				if token != '"' {
					j.b.wrong(a.tag, "has InlineBinary that is not a string")
					return j.skip(token)
				}
				j.b.takeText(a, formInline, j.moveText())
				return nil
			})
		case name == "BulkDataURI" && token == '"':
			j.b.takeText(a, formBulk, j.moveText())
			return nil
		}
		for _, known := range []string{"vr", "Value", "InlineBinary", "BulkDataURI"} {
			if strings.EqualFold(name, known) {
				j.b.wrong(a.tag, "has "+known+" of another type or in other letters, or twice")
			}
		}
		a.other = a.other || token == '[' || token == '{'
		return j.skip(token)
	})
}
