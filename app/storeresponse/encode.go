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
	var s syntax = &jsonSyntax{output: b}
	if mediaType == MediaTypeXML {
		s = &xmlSyntax{b}
	}
	s.begin()
	s.value(attrRetrieveURL, m.RetrieveURL)
	encodeItems(s, attrFailed, m.Failed, func(f Failed) {
		s.value(attrSOPClassUID, f.SOPClassUID)
		s.value(attrSOPInstanceUID, f.SOPInstanceUID)
		s.number(attrFailureReason, f.FailureReason)
	})
	encodeItems(s, attrReferenced, m.Referenced, func(r Referenced) {
		s.value(attrSOPClassUID, r.SOPClassUID)
		s.value(attrSOPInstanceUID, r.SOPInstanceUID)
		s.value(attrRetrieveURL, r.RetrieveURL)
		if r.WarningReason != 0 {
			s.number(attrWarningReason, r.WarningReason)
		}
	})
	encodeItems(s, attrOtherFailures, m.OtherFailures, func(r Reason) { s.number(attrFailureReason, r) })
	s.end()
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write response module: %w", err)
	}
	return nil
}

func encodeItems[T any](s syntax, a attribute, items iter.Seq[T], encode func(T)) {
	if items == nil {
		return
	}
	n := 0
	for item := range items {
		if n++; n == 1 {
			s.beginSequence(a)
		}
		s.beginItem(n)
		encode(item)
		s.endItem()
	}
	if n > 0 {
		s.endSequence()
	}
}

// syntax writes the pieces of a module. Items are counted from 1.
type syntax interface {
	begin()
	end()
	value(a attribute, value string) // an empty one: the attribute has no value
	number(a attribute, value Reason)
	beginSequence(a attribute)
	endSequence()
	beginItem(n int)
	endItem()
}

// plain says that s is the same within JSON and XML as without.
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

func (s *jsonSyntax) begin() { s.write("{") }
func (s *jsonSyntax) end()   { s.write("}") }

func (s *jsonSyntax) attribute(a attribute) {
	if s.comma {
		s.write(",")
	}
	s.comma = true
	s.write(`"`, a.tag, `":{"vr":"`, a.vr, `"`)
}

func (s *jsonSyntax) value(a attribute, value string) {
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
func (s *jsonSyntax) number(a attribute, value Reason) {
	s.attribute(a)
	s.write(`,"Value":[`)
	s.writeNumber(int(value))
	s.write("]}")
}

func (s *jsonSyntax) beginSequence(a attribute) {
	s.attribute(a)
	s.write(`,"Value":[`)
}

func (s *jsonSyntax) endSequence() { s.write("]}") }

func (s *jsonSyntax) beginItem(n int) {
	if n > 1 {
		s.write(",")
	}
	s.write("{")
	s.comma = false
}

func (s *jsonSyntax) endItem() {
	s.write("}")
	s.comma = true
}

// xmlSyntax is the Native DICOM Model (PS3.19 §A.1.5).
type xmlSyntax struct{ output }

const nativeNamespace = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

func (s *xmlSyntax) begin() {
	s.write(xml.Header, `<NativeDicomModel xmlns="`, nativeNamespace, `">`)
}
func (s *xmlSyntax) end() { s.write("</NativeDicomModel>") }

func (s *xmlSyntax) value(a attribute, value string) {
	s.beginSequence(a)
	if value != "" {
		s.write(`<Value number="1">`)
		if plain(value) {
			s.write(value)
		} else {
			_ = xml.EscapeText(s.Writer, []byte(value))
		}
		s.write("</Value>")
	}
	s.endSequence()
}

func (s *xmlSyntax) number(a attribute, value Reason) {
	s.beginSequence(a)
	s.write(`<Value number="1">`)
	s.writeNumber(int(value))
	s.write("</Value>")
	s.endSequence()
}

func (s *xmlSyntax) beginSequence(a attribute) {
	s.write(`<DicomAttribute tag="`, a.tag, `" vr="`, a.vr, `" keyword="`, a.keyword, `">`)
}
func (s *xmlSyntax) endSequence() { s.write("</DicomAttribute>") }

func (s *xmlSyntax) beginItem(n int) {
	s.write(`<Item number="`)
	s.writeNumber(n)
	s.write(`">`)
}
func (s *xmlSyntax) endItem() { s.write("</Item>") }
