package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// maxNesting bounds how deep arrays and objects may be nested in what is skipped.
// What is read has three for each sequence.
const maxNesting = 1000

// ReadJSON reads metadata in the DICOM JSON Model (PS3.18 §F.2): an array of
// objects, or a single object, which some clients send for one instance. It calls
// each for every instance, in order, as soon as it is read.
//
// each gets the instance's own error if only that one is wrong; the Dataset then
// has what could be read, so that its UIDs may be reported, and is not to be
// stored. ReadJSON ends with the first error of each; with that of r, wrapped;
// or with one that wraps ErrSyntax if the text is not JSON in UTF-8, is not of
// the model, or is followed by something else.
//
// Attributes may come in any order, as may vr and Value. Keys are tags in either
// case.
func ReadJSON(r io.Reader, each func(*Dataset, error) error) error {
	text := &jsonText{r: withoutBOM(r)}
	j := &jsonReader{text: text, decoder: json.NewDecoder(text)}
	j.decoder.UseNumber()

	first, err := j.token()
	if err != nil {
		return err
	}
	switch first {
	case json.Delim('{'):
		err = j.instance(first, each)
	case json.Delim('['):
		err = j.elements(func(t json.Token) error { return j.instance(t, each) })
	default:
		return fmt.Errorf("%w: neither array nor object", ErrSyntax)
	}
	if err != nil {
		return err
	}
	if _, err := j.decoder.Token(); !errors.Is(err, io.EOF) || text.err != nil {
		if err == nil {
			return fmt.Errorf("%w: something follows", ErrSyntax)
		}
		return j.explain(err)
	}
	return nil
}

// jsonReader reads tokens into a builder. Its methods consume all of what they
// read, whether that is wrong for the instance or not. They return only errors
// after which nothing can be read.
type jsonReader struct {
	text    *jsonText
	decoder *json.Decoder
	b       *builder
}

func (j *jsonReader) token() (json.Token, error) {
	t, err := j.decoder.Token()
	if err != nil {
		return nil, j.explain(err)
	}
	return t, nil
}

// explain tells where the text is wrong. The decoder would tell what is there.
func (j *jsonReader) explain(err error) error {
	switch {
	case j.text.err != nil:
		return j.text.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: cut off", ErrSyntax)
	}
	return fmt.Errorf("%w: not JSON at byte %d", ErrSyntax, j.decoder.InputOffset())
}

// elements calls each with the first token of every element of the array or value
// of the object that was begun, and consumes its end.
func (j *jsonReader) elements(each func(json.Token) error) error {
	for j.decoder.More() {
		t, err := j.token()
		if err != nil {
			return err
		}
		if err := each(t); err != nil {
			return err
		}
	}
	_, err := j.token()
	return err
}

// members is elements for an object, by name.
func (j *jsonReader) members(each func(name string) error) error {
	return j.elements(func(t json.Token) error {
		name, _ := t.(string) // the decoder lets nothing else pass
		return each(name)
	})
}

// skip consumes the value that t began.
func (j *jsonReader) skip(t json.Token) error {
	for depth := 0; ; {
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxNesting {
				return fmt.Errorf("%w: nested too deep", ErrSyntax)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		var err error
		if t, err = j.token(); err != nil {
			return err
		}
	}
}

func (j *jsonReader) skipNext() error {
	t, err := j.token()
	if err != nil {
		return err
	}
	return j.skip(t)
}

// instance reads the element of the outer array that t began.
func (j *jsonReader) instance(t json.Token, each func(*Dataset, error) error) error {
	if t != json.Delim('{') {
		if err := j.skip(t); err != nil {
			return err
		}
		return each(&Dataset{}, errors.New("instance is not an object"))
	}
	j.b = &builder{}
	if err := j.members(j.member); err != nil {
		return err
	}
	d, err := j.b.dataset()
	j.b = nil
	return each(d, err)
}

// member reads one attribute of a dataset.
func (j *jsonReader) member(name string) error {
	t, ok := parseTag(name)
	if !ok {
		j.b.fail(fmt.Errorf("attribute name %.64q is not a tag", name))
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
	t, err := j.token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		j.b.wrong(a.tag, "is not an object")
		return j.skip(t)
	}
	return j.members(func(name string) error {
		t, err := j.token()
		if err != nil || t == nil {
			return err
		}
		text, isText := t.(string)
		switch {
		case name == "Value" && t == json.Delim('['):
			return j.value(a)
		case name == "vr" && isText && a.vr == "":
			a.vr = text
			return nil
		case name == "InlineBinary" && isText:
			j.b.take(a, formInline)
			a.text = text
			return nil
		case name == "BulkDataURI" && isText:
			j.b.take(a, formBulk)
			a.text = text
			return nil
		case name == "vr", name == "Value", name == "InlineBinary", name == "BulkDataURI":
			j.b.wrong(a.tag, "has "+name+" of another type, or twice")
		default:
			// Ignoring it might lose a value.
			j.b.wrong(a.tag, "has something other than vr, Value, InlineBinary and BulkDataURI")
		}
		return j.skip(t)
	})
}
