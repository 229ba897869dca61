package references

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// jsonReader reads the DICOM JSON Model (PS3.18 §F.2), one token after the other.
type jsonReader struct {
	*builder
	source  *tokenLimiter
	decoder *json.Decoder
	depth   int
}

func readJSON(source *tokenLimiter, b *builder) error {
	r := jsonReader{builder: b, source: source, decoder: json.NewDecoder(withoutMark(source))}
	r.decoder.UseNumber()
	token, err := r.next()
	if err != nil {
		return err
	}
	array := token == json.Delim('[')
	if array {
		if token, err = r.next(); err != nil {
			return err
		}
	}
	if token != json.Delim('{') {
		return errors.New("a DICOM JSON object is expected")
	}
	if err := r.dataset(); err != nil {
		return err
	}
	if array {
		if token, err = r.next(); err != nil || token != json.Delim(']') {
			return cmp.Or(err, errors.New("one DICOM JSON object is expected, and not several"))
		}
	}
	if _, err := r.next(); !errors.Is(err, io.EOF) {
		return cmp.Or(err, errors.New("something follows the DICOM JSON object"))
	}
	return nil
}

// next is the next token; its error ends the text.
func (r *jsonReader) next() (json.Token, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.source.read = 0
	token, err := r.decoder.Token()
	if err != nil {
		return nil, err //nolint:wrapcheck // Read does
	}
	switch token {
	case json.Delim('{'), json.Delim('['):
		if r.depth++; r.depth > deepest {
			return nil, errDeep
		}
	case json.Delim('}'), json.Delim(']'):
		r.depth--
	}
	return token, nil
}

// dataset reads the attributes of an object that is open, to its end.
func (r *jsonReader) dataset() error {
	for {
		token, err := r.next()
		if err != nil || token == json.Delim('}') {
			return err
		}
		tag, _ := token.(string) // the name of a member is one
		if token, err = r.next(); err != nil {
			return err
		}
		if token != json.Delim('{') {
			err = r.skip(token)
		} else {
			err = r.attribute(tag)
		}
		if err != nil {
			return err
		}
	}
}

// attribute reads the members of an attribute: its values are what counts.
func (r *jsonReader) attribute(tag string) error {
	for {
		name, err := r.next()
		if err != nil || name == json.Delim('}') {
			return err
		}
		token, err := r.next()
		if err != nil {
			return err
		}
		if name == "Value" && token == json.Delim('[') {
			err = r.values(tag)
		} else {
			err = r.skip(token)
		}
		if err != nil {
			return err
		}
	}
}

func (r *jsonReader) values(tag string) error {
	for n := 0; ; n++ {
		token, err := r.next()
		switch {
		case err != nil || token == json.Delim(']'):
			return err
		case token == json.Delim('{'):
			r.begin(tag)
			if err := r.dataset(); err != nil {
				return err
			}
			r.end()
		case token == json.Delim('['):
			if err := r.skip(token); err != nil {
				return err
			}
		case n == 0 && token != nil:
			r.value(tag, fmt.Sprint(token))
		}
	}
}

// skip passes over the value that begins with token.
func (r *jsonReader) skip(token json.Token) error {
	if token != json.Delim('{') && token != json.Delim('[') {
		return nil
	}
	for until := r.depth - 1; r.depth > until; {
		if _, err := r.next(); err != nil {
			return err
		}
	}
	return nil
}
