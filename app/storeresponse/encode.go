package storeresponse

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
)

// Encode writes the module to w as one Native DICOM Model document (PS3.19 Annex A)
// for MediaTypeXML, else as one DICOM JSON object (PS3.18 Annex F), in ascending order
// of tags. Sequences without items are left out: dcm4chee's exporter fails on an empty
// FailedSOPSequence. It holds a buffer of 4 KiB and nothing per item, and writes the
// same bytes each time, so that the length of an answer can be counted by a first call.
func (m Module) Encode(w io.Writer, mediaType string) error {
	b := output{Writer: bufio.NewWriter(w)}
	var s Syntax = &jsonSyntax{output: b}
	if mediaType == MediaTypeXML {
		s = &xmlSyntax{b}
	}
	s.Begin()
	s.Value(attrRetrieveURL, m.RetrieveURL)
	encodeItems(s, attrFailed, m.Failed, func(f Failed) {
		s.Value(attrSOPClassUID, f.SOPClassUID)
		s.Value(attrSOPInstanceUID, f.SOPInstanceUID)
		s.Number(attrFailureReason, f.FailureReason)
	})
	encodeItems(s, attrReferenced, m.Referenced, func(r Referenced) {
		s.Value(attrSOPClassUID, r.SOPClassUID)
		s.Value(attrSOPInstanceUID, r.SOPInstanceUID)
		s.Value(attrRetrieveURL, r.RetrieveURL)
		if r.WarningReason != 0 {
			s.Number(attrWarningReason, r.WarningReason)
		}
	})
	encodeItems(s, attrOtherFailures, m.OtherFailures, func(r Reason) { s.Number(attrFailureReason, r) })
	s.End()
	if err := s.Flush(); err != nil {
		return fmt.Errorf("write response module: %w", err)
	}
	return nil
}

func encodeItems[T any](s Syntax, a Attribute, items iter.Seq[T], encode func(T)) {
	if items == nil {
		return
	}
	n := 0
	for item := range items {
		if n++; n == 1 {
			s.BeginSequence(a)
		}
		s.BeginItem(n)
		encode(item)
		s.EndItem()
	}
	if n > 0 {
		s.EndSequence()
	}
}

// Syntax writes the pieces of a module. Items are counted from 1. Flush ends it, and returns the first error.
type Syntax interface {
	Begin()
	End()
	Value(a Attribute, value string) // an empty value: the attribute has no value
	Number(a Attribute, value Reason)
	BeginSequence(a Attribute)
	EndSequence()
	BeginItem(n int)
	EndItem()
	Flush() error
}

// NewSyntax writes one Native DICOM Model document (PS3.19 Annex A) for MediaTypeXML, else one DICOM JSON object
// (PS3.18 Annex F). It holds a buffer of 4 KiB.
func NewSyntax(w io.Writer, mediaType string) Syntax {
	b := output{Writer: bufio.NewWriter(w)}
	if mediaType == MediaTypeXML {
		return &xmlSyntax{b}
	}
	return &jsonSyntax{output: b}
}

// plain says whether s needs no escaping in JSON and XML.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || strings.IndexByte(`"'\<>&`, s[i]) >= 0 {
			return false
		}
	}
	return true
}

// output remembers its first error, which Flush returns.
type output struct {
	*bufio.Writer
	digits []byte
}

func (o *output) write(pieces ...string) {
	for _, piece := range pieces {
		_, _ = o.WriteString(piece) // Flush tells
	}
}

func (o *output) writeNumber(n int) {
	o.digits = strconv.AppendInt(o.digits[:0], int64(n), 10)
	_, _ = o.Write(o.digits)
}

// jsonSyntax is the DICOM JSON Model (PS3.18 §F.2.2).
type jsonSyntax struct {
	output
	comma bool // before the next attribute
}

func (s *jsonSyntax) Begin() { s.write("{") }
func (s *jsonSyntax) End()   { s.write("}") }

func (s *jsonSyntax) attribute(a Attribute) {
	if s.comma {
		s.write(",")
	}
	s.comma = true
	s.write(`"`, a.Tag, `":{"vr":"`, a.VR, `"`)
}

func (s *jsonSyntax) Value(a Attribute, value string) {
	s.attribute(a)
	switch {
	case value == "":
	case plain(value):
		s.write(`,"Value":["`, value, `"]`)
	default:
		quoted, _ := json.Marshal(value) // a string can always be encoded
		s.write(`,"Value":[`, string(quoted), `]`)
	}
	s.write("}")
}

// number writes a number, not a string (PS3.18 Table F.2.3-1).
func (s *jsonSyntax) Number(a Attribute, value Reason) {
	s.attribute(a)
	s.write(`,"Value":[`)
	s.writeNumber(int(value))
	s.write("]}")
}

func (s *jsonSyntax) BeginSequence(a Attribute) {
	s.attribute(a)
	s.write(`,"Value":[`)
}

func (s *jsonSyntax) EndSequence() { s.write("]}") }

func (s *jsonSyntax) BeginItem(n int) {
	if n > 1 {
		s.write(",")
	}
	s.write("{")
	s.comma = false
}

func (s *jsonSyntax) EndItem() {
	s.write("}")
	s.comma = true
}

// xmlSyntax is the Native DICOM Model (PS3.19 §A.1.5).
type xmlSyntax struct{ output }

const nativeNamespace = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

func (s *xmlSyntax) Begin() {
	s.write(xml.Header, `<NativeDicomModel xmlns="`, nativeNamespace, `">`)
}
func (s *xmlSyntax) End() { s.write("</NativeDicomModel>") }

func (s *xmlSyntax) Value(a Attribute, value string) {
	s.BeginSequence(a)
	if value != "" {
		s.write(`<Value number="1">`)
		if plain(value) {
			s.write(value)
		} else {
			_ = xml.EscapeText(s.Writer, []byte(value))
		}
		s.write("</Value>")
	}
	s.EndSequence()
}

func (s *xmlSyntax) Number(a Attribute, value Reason) {
	s.BeginSequence(a)
	s.write(`<Value number="1">`)
	s.writeNumber(int(value))
	s.write("</Value>")
	s.EndSequence()
}

func (s *xmlSyntax) BeginSequence(a Attribute) {
	s.write(`<DicomAttribute tag="`, a.Tag, `" vr="`, a.VR, `" keyword="`, a.Keyword, `">`)
}
func (s *xmlSyntax) EndSequence() { s.write("</DicomAttribute>") }

func (s *xmlSyntax) BeginItem(n int) {
	s.write(`<Item number="`)
	s.writeNumber(n)
	s.write(`">`)
}
func (s *xmlSyntax) EndItem() { s.write("</Item>") }
