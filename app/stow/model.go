package stow

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
)

// dataset is the little of a DICOM dataset that the response module needs:
// attributes with at most one value, and sequences. It is written as DICOM JSON
// Model (PS3.18 Annex F) and Native DICOM Model (PS3.19 Annex A).
type dataset []attribute

type attribute struct {
	Tag     string // eight upper-case hexadecimal digits
	VR      string
	Keyword string
	Value   string // empty: the attribute has no value
	Items   []dataset
}

func (a attribute) with(value string) attribute {
	a.Value = value
	return a
}

// sequence appends a sequence, unless it has no items.
func (d dataset) sequence(a attribute, items []dataset) dataset {
	if len(items) == 0 {
		return d
	}
	a.Items = items
	return append(d, a)
}

func (d dataset) find(a attribute) attribute {
	for _, candidate := range d {
		if candidate.Tag == a.Tag {
			return candidate
		}
	}
	return attribute{}
}

func (d dataset) value(a attribute) string    { return d.find(a).Value }
func (d dataset) items(a attribute) []dataset { return d.find(a).Items }

// jsonAttribute is an attribute of the DICOM JSON Model (PS3.18 §F.2.2).
type jsonAttribute struct {
	VR    string `json:"vr"`
	Value []any  `json:"Value,omitempty"`
}

func (d dataset) json() map[string]jsonAttribute {
	object := make(map[string]jsonAttribute, len(d))
	for _, a := range d {
		out := jsonAttribute{VR: a.VR}
		switch {
		case a.VR == "SQ":
			for _, item := range a.Items {
				out.Value = append(out.Value, item.json())
			}
		case a.Value == "":
		case a.VR == "US": // a number, not a string (PS3.18 Table F.2.3-1)
			out.Value = []any{json.Number(a.Value)}
		default:
			out.Value = []any{a.Value}
		}
		object[a.Tag] = out
	}
	return object
}

func parseJSON(body []byte) (dataset, error) {
	if body = bytes.TrimSpace(body); bytes.HasPrefix(body, []byte("[")) {
		var array []json.RawMessage
		if err := json.Unmarshal(body, &array); err != nil {
			return nil, err
		}
		if len(array) != 1 {
			return nil, fmt.Errorf("array of %d objects, want one object", len(array))
		}
		body = array[0]
	}
	var object map[string]struct {
		VR    string            `json:"vr"`
		Value []json.RawMessage `json:"Value"`
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, err
	}
	var data dataset
	for tag, in := range object {
		a := attribute{Tag: strings.ToUpper(tag), VR: in.VR}
		for _, value := range in.Value {
			if in.VR == "SQ" {
				item, err := parseJSON(value)
				if err != nil {
					return nil, fmt.Errorf("item of %s: %w", a.Tag, err)
				}
				a.Items = append(a.Items, item)
				continue
			}
			var text string
			if json.Unmarshal(value, &text) != nil { // a number
				text = string(value)
			}
			a.Value = text
			break
		}
		data = append(data, a)
	}
	return data, nil
}

// The Native DICOM Model (PS3.19 §A.1.5).
type nativeModel struct {
	XMLName    xml.Name       `xml:"http://dicom.nema.org/PS3.19/models/NativeDICOM NativeDicomModel"`
	Attributes []xmlAttribute `xml:"DicomAttribute"`
}

type xmlAttribute struct {
	Tag     string     `xml:"tag,attr"`
	VR      string     `xml:"vr,attr"`
	Keyword string     `xml:"keyword,attr"`
	Values  []xmlValue `xml:"Value"`
	Items   []xmlItem  `xml:"Item"`
}

type xmlValue struct {
	Number int    `xml:"number,attr"`
	Text   string `xml:",chardata"`
}

type xmlItem struct {
	Number     int            `xml:"number,attr"`
	Attributes []xmlAttribute `xml:"DicomAttribute"`
}

func (d dataset) xml() []xmlAttribute {
	var attributes []xmlAttribute
	for _, a := range d {
		out := xmlAttribute{Tag: a.Tag, VR: a.VR, Keyword: a.Keyword}
		if a.Value != "" {
			out.Values = []xmlValue{{Number: 1, Text: a.Value}}
		}
		for i, item := range a.Items {
			out.Items = append(out.Items, xmlItem{Number: i + 1, Attributes: item.xml()})
		}
		attributes = append(attributes, out)
	}
	return attributes
}

func parseXML(body []byte) (dataset, error) {
	var model struct { // any namespace: the Python original misspells it
		XMLName    xml.Name       `xml:"NativeDicomModel"`
		Attributes []xmlAttribute `xml:"DicomAttribute"`
	}
	if err := xml.Unmarshal(body, &model); err != nil {
		return nil, err
	}
	return fromXML(model.Attributes), nil
}

func fromXML(attributes []xmlAttribute) dataset {
	var data dataset
	for _, in := range attributes {
		a := attribute{Tag: strings.ToUpper(in.Tag), VR: in.VR, Keyword: in.Keyword}
		if len(in.Values) > 0 {
			a.Value = strings.TrimSpace(in.Values[0].Text)
		}
		for _, item := range in.Items {
			a.Items = append(a.Items, fromXML(item.Attributes))
		}
		data = append(data, a)
	}
	return data
}
