package references

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// xmlReader reads the Native DICOM Model (PS3.19 §A.1.5), of any namespace, one token after the other. Entities are not expanded:
// Go's decoder knows only those of XML itself, and refuses a document that uses others.
type xmlReader struct {
	*builder
	open  []element
	text  []byte // of the Value that is open
	first bool   // it is the first of its attribute
	root  bool   // it was read
}

type element struct{ name, tag string } // the tag is that of a DicomAttribute, or of what a Value belongs to

func readXML(source *tokenLimiter, b *builder) error {
	r := xmlReader{builder: b}
	decoder := xml.NewDecoder(withoutMark(source))
	decoder.CharsetReader = func(charset string, text io.Reader) (io.Reader, error) {
		if strings.EqualFold(charset, "us-ascii") {
			return text, nil
		}
		return nil, errCharset
	}
	for {
		source.read = 0
		token, err := decoder.Token()
		switch {
		case r.err != nil:
			return r.err
		case errors.Is(err, io.EOF) && r.root:
			return nil
		case errors.Is(err, io.EOF):
			return errNoModel
		case err != nil:
			return err //nolint:wrapcheck // Read does
		}
		switch token := token.(type) {
		case xml.StartElement:
			if err := r.start(token); err != nil {
				return err
			}
		case xml.CharData:
			if len(r.open) > 0 && r.open[len(r.open)-1].name == "Value" && len(r.text) <= longestToken {
				r.text = append(r.text, token...)
			}
		case xml.EndElement:
			r.finish()
		}
	}
}

var (
	errNoModel = errors.New("one NativeDicomModel is expected")
	errCharset = errors.New("only UTF-8 is read")
	errTwice   = errors.New("an element has an attribute twice") // XML 1.0 §3.1; the decoder does not check this
	errItem    = errors.New("an Item is not in a DicomAttribute")
)

// start handles the start of an element.
func (r *xmlReader) start(token xml.StartElement) error {
	e, parent := element{name: token.Name.Local}, element{}
	if len(r.open) > 0 {
		parent = r.open[len(r.open)-1]
	} else if r.root || e.name != "NativeDicomModel" {
		return errNoModel
	}
	r.root = true
	inAttribute := parent.name == "DicomAttribute"
	tag, number, err := attributesOf(token)
	if err != nil {
		return err
	}
	switch {
	case e.name == "DicomAttribute":
		e.tag = tag
	case e.name == "Item" && !inAttribute:
		return errItem
	case e.name == "Item":
		r.begin(parent.tag)
	case e.name == "Value" && inAttribute:
		e.tag, r.text = parent.tag, r.text[:0]
		r.first = number == "" || number == "1"
	}
	if r.open = append(r.open, e); len(r.open) > deepest {
		return errDeep
	}
	return nil
}

// finish handles the end of the innermost element.
func (r *xmlReader) finish() {
	last := r.open[len(r.open)-1]
	r.open = r.open[:len(r.open)-1]
	switch {
	case last.name == "Item":
		r.end()
	case last.name == "Value" && last.tag != "" && r.first:
		r.value(last.tag, string(r.text))
	}
}

// attributesOf returns the two attributes that matter, each once.
func attributesOf(e xml.StartElement) (tag, number string, err error) {
	tags, numbers := 0, 0
	for _, a := range e.Attr {
		switch {
		case a.Name.Space != "":
		case a.Name.Local == "tag":
			tag, tags = a.Value, tags+1
		case a.Name.Local == "number":
			number, numbers = a.Value, numbers+1
		}
	}
	if tags > 1 || numbers > 1 {
		return "", "", errTwice
	}
	return tag, number, nil
}
