package storeresponse

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxItems is the maximum number of items of a sequence in JSON. It limits the memory
// of millions of empty items; 16 MiB have no room for more real ones. maxMarks is the same for XML.
const maxItems = 500_000

// ParseResponse decodes the output of Encode, and the answers of other STOW-RS
// servers: hexadecimal tags in either case, reasons as numbers or as strings, and an
// array of modules, which counts as one module with the items of all.
// A body that begins as XML or as JSON is read as such, whatever mediaType says; any other
// body is read as Native DICOM Model if mediaType names XML, and otherwise as JSON. Its charset is
// that of its byte order mark, or of its XML declaration.
// The caller must limit the length of body; ParseResponse needs about ten times as much memory.
func ParseResponse(mediaType string, body []byte) (Response, error) {
	body, err := toUTF8(body)
	if err != nil {
		return Response{}, fmt.Errorf("decode response module: %w", err)
	}
	parse := parseJSON
	if bytes.HasPrefix(body, []byte("<")) || !startsJSON(body) && strings.Contains(strings.ToLower(mediaType), "xml") {
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

// reason returns zero for anything that is not a 16-bit number.
func (v value) reason() Reason {
	n, err := strconv.ParseUint(string(v), 10, 16)
	if err != nil {
		return 0
	}
	return Reason(n)
}

// UnmarshalJSON accepts a string, or a number as its text, and nothing else.
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

// parseJSON reads one module, or an array of modules.
func parseJSON(body []byte) (parsed, error) {
	var m parsed
	if !bytes.HasPrefix(body, []byte("[")) {
		err := json.Unmarshal(body, &m)
		return m, err
	}
	var modules []json.RawMessage
	if bytes.Count(body, []byte("{")) > 8*maxItems {
		return m, fmt.Errorf("the array has more than %d objects", 8*maxItems)
	}
	if err := json.Unmarshal(body, &modules); err != nil {
		return m, err
	}
	if len(modules) == 0 || len(modules) > maxItems {
		return m, fmt.Errorf("an array of %d modules", len(modules))
	}
	for _, module := range modules {
		var one parsed
		if err := json.Unmarshal(module, &one); err != nil {
			return parsed{}, err
		}
		m.RetrieveURL = cmp.Or(m.RetrieveURL, one.RetrieveURL)
		m.Failed.Value = append(m.Failed.Value, one.Failed.Value...)
		m.Referenced.Value = append(m.Referenced.Value, one.Referenced.Value...)
		m.OtherFailures.Value = append(m.OtherFailures.Value, one.OtherFailures.Value...)
	}
	return m, nil
}

// maxMarks is the maximum number of elements, or attributes, of an XML document. An item has at least six elements, and as many end tags.
const maxMarks = 3 * maxItems / 2

// parseXML reads a Native DICOM Model (PS3.19 §A.1.5) of any namespace: the Python service misspelled it.
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
	decoder := xml.NewDecoder(bytes.NewReader(body))
	decoder.CharsetReader = charsetReader
	if err := decoder.Decode(&document); err != nil {
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
		case attrRetrieveURL.Tag:
			m.RetrieveURL = value(strings.TrimSpace(a.Value))
		case attrFailed.Tag:
			m.Failed.Value = list
		case attrReferenced.Tag:
			m.Referenced.Value = list
		case attrOtherFailures.Tag:
			m.OtherFailures.Value = list
		}
	}
	return m, nil
}

func (i *item) set(tag string, v value) {
	switch strings.ToUpper(tag) {
	case attrSOPClassUID.Tag:
		i.SOPClassUID = v
	case attrSOPInstanceUID.Tag:
		i.SOPInstanceUID = v
	case attrRetrieveURL.Tag:
		i.RetrieveURL = v
	case attrWarningReason.Tag:
		i.WarningReason = v
	case attrFailureReason.Tag:
		i.FailureReason = v
	}
}
