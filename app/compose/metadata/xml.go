package metadata

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// nativeNamespace is that of the Native DICOM Model (PS3.19 §A.1.6). Some writers
// leave it out.
const nativeNamespace = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

// ReadXML reads the metadata of one instance in the Native DICOM Model (PS3.19
// §A.1): a document in UTF-8 or US-ASCII, without a document type.
//
// If the instance is wrong, the Dataset has what could be read, so that its UIDs
// may be reported, and is not to be stored. The Dataset is nil if r fails, whose
// error is wrapped, and if the text is not XML or not of the model, when the error
// wraps ErrSyntax.
//
// Private elements get their block from their private creator, which is added if
// it is not there (PS3.19 Table A.1.5-2); without one they stay where they are. Attributes without a number follow the
// one before; numbers left out are empty values.
//
// take counts memory before it is made, and, below zero, what is given back. What
// stays counted is HeldBytes of the Dataset.
func ReadXML(r io.Reader, take func(bytes int64) error) (*Dataset, error) {
	account := &account{take: take}
	defer account.close()
	text := &xmlText{r: bufio.NewReader(r), account: account}
	bom, err := text.r.Peek(3)
	if string(bom) == "\uFEFF" { // to the decoder it is text (XML 1.0 §4.3.3)
		_, _ = text.r.Discard(len(bom))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	x := &xmlReader{text: text, decoder: xml.NewDecoder(text), b: &builder{account: account}}
	x.decoder.CharsetReader = text.refuseCharset

	if err := x.root(); err != nil {
		return nil, err
	}
	return x.b.dataset()
}

// xmlReader reads elements into a builder. Its methods consume all of the element
// that was begun, whether it is wrong for the instance or not. They return only
// errors after which nothing can be read.
type xmlReader struct {
	text    *xmlText
	decoder *xml.Decoder
	b       *builder
	open    []int      // memory that the decoder and its caller have for each open element
	content []byte     // of the last element that has text
	values  []numbered // of the attributes that are read
	texts   []byte     // theirs
	missing int64      // values that stand for numbers left out
}

// root reads the document.
func (x *xmlReader) root() error {
	read := false
	for {
		token, err := x.token()
		if errors.Is(err, errEnd) && read {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if read || nameOf(t) != "NativeDicomModel" {
				return fmt.Errorf("%w: not one NativeDicomModel", ErrSyntax)
			}
			if err := x.children(x.datasetChild); err != nil {
				return err
			}
			read = true
		case xml.CharData:
			if !isSpace(t) {
				return fmt.Errorf("%w: text outside of NativeDicomModel", ErrSyntax)
			}
		}
	}
}

// nameOf returns the name of an element of the model, "" for any other.
func nameOf(start xml.StartElement) string {
	if start.Name.Space != "" && start.Name.Space != nativeNamespace {
		return ""
	}
	return start.Name.Local
}

func isSpace(text []byte) bool { return len(trim(text)) == 0 }

// token returns the decoder's next token or error.
func (x *xmlReader) token() (xml.Token, error) {
	token, err := x.decoder.Token()
	x.text.consumed = x.decoder.InputOffset()
	if x.b.account.err != nil {
		return nil, x.b.account.err
	}
	if err != nil {
		return nil, x.explain(err)
	}
	switch t := token.(type) {
	case xml.Directive:
		// The decoder expands no entities, but what it leaves out would be missing.
		return nil, fmt.Errorf("%w: document types are not supported", ErrSyntax)
	case xml.StartElement:
		if len(t.Attr) > maxAttributes {
			return nil, fmt.Errorf("%w: a tag has too many attributes", ErrSyntax)
		}
		size := len(t.Name.Local)
		for i, a := range t.Attr {
			if slices.ContainsFunc(t.Attr[:i], func(b xml.Attr) bool { return a.Name == b.Name }) { // XML 1.0 §3.1, which the decoder does not check
				return nil, fmt.Errorf("%w: a tag has an attribute twice", ErrSyntax)
			}
			size += len(a.Name.Local) + len(a.Value)
		}
		x.b.account.hold(size)
		x.open = append(x.open, size)
	case xml.EndElement:
		last := len(x.open) - 1
		x.b.account.free(x.open[last])
		x.open = x.open[:last]
	}
	return token, nil
}

// explain tells where the text is wrong. The decoder would tell what is there,
// which may be a part of a value.
func (x *xmlReader) explain(err error) error {
	var syntax *xml.SyntaxError
	switch {
	case x.text.err != nil:
		return x.text.err
	case errors.Is(err, ErrSyntax):
		return err
	case errors.Is(err, io.EOF), errors.As(err, &syntax) && syntax.Msg == "unexpected EOF":
		return errEnd
	case syntax != nil && syntax.Msg == "invalid UTF-8":
		return fmt.Errorf("%w: text is not UTF-8", ErrSyntax)
	}
	line, _ := x.decoder.InputPos()
	return fmt.Errorf("%w: not XML in line %d", ErrSyntax, line)
}

// children calls child for every element in the one that was begun, up to its end.
func (x *xmlReader) children(child func(xml.StartElement) error) error {
	for {
		token, err := x.token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := child(t); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		case xml.CharData:
			if !isSpace(t) {
				x.b.fail(errors.New("text where the model has elements"))
			}
		}
	}
}

// readContent returns the text of the element that was begun, which is valid until
// the next one's. It is significant, with its spaces (PS3.19 Table A.1.5-1).
func (x *xmlReader) readContent() ([]byte, error) {
	x.content = x.content[:0]
	for {
		token, err := x.token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.CharData:
			x.content = add(x.b.account, x.content, t...)
		case xml.EndElement:
			return x.content, nil
		case xml.StartElement:
			x.b.fail(errors.New("element where the model has text"))
			if err := x.skip(); err != nil {
				return nil, err
			}
		}
	}
}

// skip consumes the rest of the element that was begun.
func (x *xmlReader) skip() error {
	for outer := len(x.open) - 1; len(x.open) > outer; {
		if _, err := x.token(); err != nil {
			return err
		}
		if len(x.open) > maxNesting {
			return fmt.Errorf("%w: nested too deep", ErrSyntax)
		}
	}
	return nil
}

// refuse skips an element that the model does not have there. Ignoring it might
// lose a value.
func (x *xmlReader) refuse(problem string) error {
	x.b.fail(errors.New(problem))
	return x.skip()
}

// attr returns the value of an XML attribute, "" if there is none.
func attr(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// datasetChild reads one attribute of a dataset.
func (x *xmlReader) datasetChild(start xml.StartElement) error {
	if nameOf(start) != "DicomAttribute" {
		return x.refuse("element other than DicomAttribute in a dataset")
	}
	t, ok := parseTag(attr(start, "tag"))
	if !ok {
		return x.refuse("DicomAttribute without a tag of 8 hexadecimal digits")
	}
	creator := strings.Trim(attr(start, "privateCreator"), " ")
	if !tag.IsPrivate(t.Group) {
		creator = ""
	}
	// Within a block, element 00 is no group length.
	if !x.b.admitsGroup(t) || creator == "" && t.Element == 0 {
		return x.skip()
	}
	failures := x.b.failures
	vr := attr(start, "vr")
	a := x.b.begin(t, strings.Clone(vr[:min(len(vr), 3)])) // a VR has two letters
	if creator != "" && a.vr == "" {
		a.vr = "UN"
	}
	if err := x.attribute(&a); err != nil {
		return err
	}
	x.b.end(&a, failures)
	if creator != "" && x.b.failures == failures {
		x.b.account.hold(len(creator) + headerSize) // what is smaller is rounded up
		x.b.private = add(x.b.account, x.b.private, private{len(x.b.entries) - 1, creator})
	}
	return nil
}
