package storeresponse

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxItems is the most items that a sequence in JSON may have. It bounds the memory
// that millions of empty items would take; in 16 MiB there is no room for more real ones. maxMarks is the like for XML.
const maxItems = 500_000

// ParseResponse decodes what Encode writes, and what other STOW-RS servers
// answer: hexadecimal tags in either case, reasons as numbers or as strings,
// and the one-element array that some servers wrap around the object.
// A mediaType that names XML is read as Native DICOM Model, all others as JSON.
// The caller bounds the length of body; memory is some ten times as much.
func ParseResponse(mediaType string, body []byte) (Response, error) {
	parse := parseJSON
	if strings.Contains(strings.ToLower(mediaType), "xml") {
		parse = parseXML
	}
	m, err := parse(body)
	if err != nil {
		return Response{}, fmt.Errorf("decode response module: %w", err)
	}
	r := Response{RetrieveURL: string(m.RetrieveURL)}
	for _, i := range m.Failed.Value {
		r.Failed = append(r.Failed, Failed{string(i.SOPClassUID), string(i.SOPInstanceUID), i.FailureReason.reason()})
	}
	for _, i := range m.Referenced.Value {
		r.Referenced = append(r.Referenced, Referenced{string(i.SOPClassUID), string(i.SOPInstanceUID), string(i.RetrieveURL), i.WarningReason.reason()})
	}
	for _, i := range m.OtherFailures.Value {
		r.OtherFailures = append(r.OtherFailures, i.FailureReason.reason())
	}
	return r, nil
}

// parsed is the module as text. It is laid out as DICOM JSON Model (PS3.18 §F.2.2);
// encoding/json finds the tags in either case.
type parsed struct {
	RetrieveURL   value `json:"00081190"`
	Failed        items `json:"00081198"`
	Referenced    items `json:"00081199"`
	OtherFailures items `json:"0008119A"`
}

type items struct{ Value itemList }

type itemList []item

// item has the attributes of all three sequences.
type item struct {
	SOPClassUID    value `json:"00081150"`
	SOPInstanceUID value `json:"00081155"`
	RetrieveURL    value `json:"00081190"`
	WarningReason  value `json:"00081196"`
	FailureReason  value `json:"00081197"`
}

// value is the first value of an attribute; empty: it has none.
type value string

// reason takes zero for what is no 16-bit number.
func (v value) reason() Reason {
	n, err := strconv.ParseUint(string(v), 10, 16)
	if err != nil {
		return 0
	}
	return Reason(n)
}

// UnmarshalJSON takes a string, or a number as its text, and nothing else.
func (v *value) UnmarshalJSON(data []byte) error {
	var attribute struct{ Value [1]json.RawMessage }
	if err := json.Unmarshal(data, &attribute); err != nil {
		return err
	}
	var text string
	var number json.Number
	if first := attribute.Value[0]; json.Unmarshal(first, &text) != nil && json.Unmarshal(first, &number) == nil {
		text = number.String()
	}
	*v = value(text)
	return nil
}

// UnmarshalJSON decodes one item after the other.
func (l *itemList) UnmarshalJSON(data []byte) error {
	*l = nil
	if string(data) == "null" {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return errors.New("the value of a sequence is no array")
	}
	for decoder.More() {
		if len(*l) == maxItems {
			return fmt.Errorf("a sequence has more than %d items", maxItems)
		}
		var i item
		if err := decoder.Decode(&i); err != nil {
			return err
		}
		*l = append(*l, i)
	}
	return nil
}

func parseJSON(body []byte) (parsed, error) {
	if body = bytes.TrimSpace(body); bytes.HasPrefix(body, []byte("[")) {
		var array [2]*parsed
		if err := json.Unmarshal(body, &array); err != nil {
			return parsed{}, err
		}
		if array[0] == nil || array[1] != nil {
			return parsed{}, errors.New("an array of other than one object")
		}
		return *array[0], nil
	}
	var m parsed
	err := json.Unmarshal(body, &m)
	return m, err
}

// maxMarks is how many elements, or attributes, a document in XML may have. An item has six elements at least, and as many end tags.
const maxMarks = 3 * maxItems / 2

// parseXML reads a Native DICOM Model (PS3.19 §A.1.5) of any namespace: the Python original misspells it.
func parseXML(body []byte) (parsed, error) {
	if bytes.Count(body, []byte("<")) > maxMarks || bytes.Count(body, []byte("=")) > maxMarks {
		return parsed{}, fmt.Errorf("the document has more than %d elements or attributes", maxMarks)
	}
	type attribute struct {
		Tag   string `xml:"tag,attr"`
		Value string
	}
	var document struct {
		XMLName    xml.Name `xml:"NativeDicomModel"`
		Attributes []struct {
			attribute
			Items []struct {
				Attributes []attribute `xml:"DicomAttribute"`
			} `xml:"Item"`
		} `xml:"DicomAttribute"`
	}
	if err := xml.Unmarshal(body, &document); err != nil {
		return parsed{}, err
	}
	var m parsed
	for _, a := range document.Attributes {
		var list itemList
		for _, in := range a.Items {
			var i item
			for _, a := range in.Attributes {
				i.set(a.Tag, value(strings.TrimSpace(a.Value)))
			}
			list = append(list, i)
		}
		switch strings.ToUpper(a.Tag) {
		case attrRetrieveURL.tag:
			m.RetrieveURL = value(strings.TrimSpace(a.Value))
		case attrFailed.tag:
			m.Failed.Value = list
		case attrReferenced.tag:
			m.Referenced.Value = list
		case attrOtherFailures.tag:
			m.OtherFailures.Value = list
		}
	}
	return m, nil
}

func (i *item) set(tag string, v value) {
	switch strings.ToUpper(tag) {
	case attrSOPClassUID.tag:
		i.SOPClassUID = v
	case attrSOPInstanceUID.tag:
		i.SOPInstanceUID = v
	case attrRetrieveURL.tag:
		i.RetrieveURL = v
	case attrWarningReason.tag:
		i.WarningReason = v
	case attrFailureReason.tag:
		i.FailureReason = v
	}
}
