package dicom_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"testing"

	"stowrs-to-s3/app/dicom"
)

// Tags as uint32, group first, so that tables read like PS3.6.
const (
	sopClass    = 0x00080016
	sopUID      = 0x00080018
	studyUID    = 0x0020000D
	seriesUID   = 0x0020000E
	item        = 0xFFFEE000
	itemEnd     = 0xFFFEE00D
	sequenceEnd = 0xFFFEE0DD
	undefined   = 0xFFFFFFFF
)

const (
	implicitSyntax = "1.2.840.10008.1.2"
	explicitSyntax = "1.2.840.10008.1.2.1"
	deflatedSyntax = "1.2.840.10008.1.2.1.99"
	bigSyntax      = "1.2.840.10008.1.2.2"
	ctStorage      = "1.2.840.10008.5.1.4.1.1.2"
)

// want is the identity that instance writes, for a transfer syntax.
func want(transferSyntax string) dicom.Identity {
	return dicom.Identity{
		SOPClassUID: ctStorage, SOPInstanceUID: "1.2.3.4.5",
		StudyInstanceUID: "1.2.3", SeriesInstanceUID: "1.2.3.4",
		TransferSyntaxUID:          transferSyntax,
		MediaStorageSOPClassUID:    ctStorage,
		MediaStorageSOPInstanceUID: "1.2.3.4.5",
	}
}

// wantBare is the same for a dataset without File Meta.
func wantBare(transferSyntax string) dicom.Identity {
	id := want(transferSyntax)
	id.MediaStorageSOPClassUID, id.MediaStorageSOPInstanceUID = "", ""
	return id
}

// syntax writes elements in one encoding of PS3.5 §7.1.
type syntax struct {
	explicit bool
	order    binary.AppendByteOrder
}

var (
	implicit = syntax{false, binary.LittleEndian}
	explicit = syntax{true, binary.LittleEndian}
	big      = syntax{true, binary.BigEndian}
)

func (s syntax) tag(t uint32) []byte {
	b := s.order.AppendUint16(nil, uint16(t>>16))
	return s.order.AppendUint16(b, uint16(t))
}

// header writes an element without its value. vr "" gives implicit VR, as do
// items; the length is written as told, right or wrong.
func (s syntax) header(t uint32, vr string, length uint32) []byte {
	b := s.tag(t)
	if !s.explicit || vr == "" {
		return s.order.AppendUint32(b, length)
	}
	b = append(b, vr...)
	switch vr {
	case "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT",
		"PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US":
		return s.order.AppendUint16(b, uint16(length))
	}
	return s.order.AppendUint32(append(b, 0, 0), length)
}

func (s syntax) element(t uint32, vr, value string) []byte {
	return append(s.header(t, vr, uint32(len(value))), value...)
}

// ui writes a UID padded to even length with NUL (PS3.5 §6.2).
func (s syntax) ui(t uint32, value string) []byte {
	if len(value)%2 == 1 {
		value += "\x00"
	}
	return s.element(t, "UI", value)
}

// open writes an element or item of undefined length, up to its delimiter.
func (s syntax) open(t uint32, vr string, content ...[]byte) []byte {
	end := uint32(sequenceEnd)
	if t == item {
		end = itemEnd
	}
	return join(s.header(t, vr, undefined), join(content...), s.header(end, "", 0))
}

// decoys are the UIDs of another instance, as sequences hold them.
func (s syntax) decoys() []byte {
	return join(s.ui(sopClass, "9.9.1"), s.ui(sopUID, "9.9.2"), s.ui(studyUID, "9.9.3"), s.ui(seriesUID, "9.9.4"))
}

// dataset writes the four UIDs among other elements; extra comes between the
// first two and the last two.
func (s syntax) dataset(extra ...[]byte) []byte {
	return join(
		s.element(0x00080005, "CS", "ISO_IR 100"),
		s.ui(sopClass, ctStorage),
		s.ui(sopUID, "1.2.3.4.5"),
		s.element(0x00080020, "DA", "20000101"),
		join(extra...),
		s.element(0x00100010, "PN", "Nobody^At All"),
		s.ui(studyUID, "1.2.3"),
		s.ui(seriesUID, "1.2.3.4"),
		s.element(0x00280010, "US", "\x00\x01"),
	)
}

// metaGroup writes File Meta; an empty transfer syntax is left out.
func metaGroup(s syntax, transferSyntax string) []byte {
	b := join(
		s.element(0x00020001, "OB", "\x00\x01"),
		s.ui(0x00020002, ctStorage),
		s.ui(0x00020003, "1.2.3.4.5"))
	if transferSyntax != "" {
		b = append(b, s.ui(0x00020010, transferSyntax)...)
	}
	b = append(b, s.element(0x00020016, "AE", "NOBODY")...)
	return append(s.element(0x00020000, "UL", string(binary.LittleEndian.AppendUint32(nil, uint32(len(b))))), b...)
}

// file writes a Part 10 file (PS3.10 §7.1).
func file(transferSyntax string, dataset []byte) []byte {
	return join(make([]byte, 128), []byte("DICM"), metaGroup(explicit, transferSyntax), dataset)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func deflate(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
