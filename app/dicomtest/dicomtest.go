// Package dicomtest writes DICOM for tests: elements, datasets and PS3.10 files, in each encoding of PS3.5 §7.1.
//
// It checks nothing, so a test can also write invalid data: a length that is not that of the value, or a UID
// with invalid syntax. Tags are numbers as PS3.6 lists them, group first, such as 0x0020000D.
package dicomtest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"slices"
)

// UIDs of PS3.6 Annex A, and Absent: the value of a UID whose element is left out.
const (
	CTImageStorage = "1.2.840.10008.5.1.4.1.1.2"
	DeflatedLE     = "1.2.840.10008.1.2.1.99"
	Absent         = "absent"
)

// Tags, and the length of elements that end with a delimiter (PS3.5 §7.5).
const (
	Item            = 0xFFFEE000
	ItemEnd         = 0xFFFEE00D
	SequenceEnd     = 0xFFFEE0DD
	PixelData       = 0x7FE00010
	UndefinedLength = 0xFFFFFFFF
)

// Syntax writes elements in one encoding of PS3.5 §7.1; UID is its transfer syntax.
type Syntax struct {
	UID      string
	Explicit bool
	Order    binary.AppendByteOrder
}

// The encodings of PS3.5 §A.1 to §A.3.
var (
	ImplicitLE = Syntax{"1.2.840.10008.1.2", false, binary.LittleEndian}
	ExplicitLE = Syntax{"1.2.840.10008.1.2.1", true, binary.LittleEndian}
	ExplicitBE = Syntax{"1.2.840.10008.1.2.2", true, binary.BigEndian}
)

// shortVRs have a length of 16 bits with explicit VR (PS3.5 §7.1.2).
var shortVRs = []string{
	"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US",
}

// Header writes an element without its value. Items and delimiters have the VR "".
func (s Syntax) Header(tag uint32, vr string, length uint32) []byte {
	b := s.Order.AppendUint16(s.Order.AppendUint16(nil, uint16(tag>>16)), uint16(tag&0xFFFF))
	switch {
	case !s.Explicit || vr == "":
		return s.Order.AppendUint32(b, length)
	case slices.Contains(shortVRs, vr):
		return s.Order.AppendUint16(append(b, vr...), uint16(length)) //nolint:gosec // the test is responsible
	}
	return s.Order.AppendUint32(append(append(b, vr...), 0, 0), length)
}

// Element writes an element with its value, which is not padded.
func (s Syntax) Element(tag uint32, vr, value string) []byte {
	return append(s.Header(tag, vr, uint32(len(value))), value...) //nolint:gosec // tests have shorter values
}

// UI writes a UID, padded to even length with NUL (PS3.5 §9.1).
func (s Syntax) UI(tag uint32, uid string) []byte {
	if uid == Absent {
		return nil
	}
	if len(uid)%2 == 1 {
		uid += "\x00"
	}
	return s.Element(tag, "UI", uid)
}

// Open writes a sequence, encapsulated data or an item of undefined length, up to its delimiter (PS3.5 §7.5).
func (s Syntax) Open(tag uint32, vr string, content ...[]byte) []byte {
	end := uint32(SequenceEnd)
	if tag == Item {
		end = ItemEnd
	}
	return slices.Concat(s.Header(tag, vr, UndefinedLength), slices.Concat(content...), s.Header(end, "", 0))
}

// Instance is a CT image of one study. More has elements between its SOP and its Study Instance UID.
type Instance struct {
	SOP, Study, Series string
	Class              string // default CTImageStorage
	Syntax             Syntax // default ExplicitLE
	More               []byte
	Pixels             []byte // an odd length is padded
}

func (i Instance) withDefaults() Instance {
	if i.Class == "" {
		i.Class = CTImageStorage
	}
	if i.Syntax.Order == nil {
		i.Syntax = ExplicitLE
	}
	return i
}

// dataset writes the dataset up to the header of its pixels, which declares pixelBytes.
func (i Instance) dataset(pixelBytes uint32) []byte {
	s := i.Syntax
	return slices.Concat(s.UI(0x00080016, i.Class), s.UI(0x00080018, i.SOP), i.More,
		s.UI(0x0020000D, i.Study), s.UI(0x0020000E, i.Series), s.Header(PixelData, "OW", pixelBytes))
}

// Dataset writes the instance without preamble and File Meta Information.
func (i Instance) Dataset() []byte {
	padding := make([]byte, len(i.Pixels)%2)
	return slices.Concat(i.withDefaults().dataset(uint32(len(i.Pixels)+len(padding))), i.Pixels, padding) //nolint:gosec // tests have fewer
}

// File writes the instance as PS3.10 file.
func (i Instance) File() []byte {
	i = i.withDefaults()
	return File(i.SOP, i.Class, i.Syntax.UID, i.Dataset())
}

// Head writes the PS3.10 file up to its pixels, which have this length and are not written.
func (i Instance) Head(pixelBytes uint32) []byte {
	i = i.withDefaults()
	return File(i.SOP, i.Class, i.Syntax.UID, i.dataset(pixelBytes))
}

// File puts preamble, prefix and File Meta Information (PS3.10 §7.1) in front of a dataset, which may be empty.
func File(sop, class, transferSyntax string, dataset []byte) []byte {
	meta := slices.Concat(ExplicitLE.Element(0x00020001, "OB", "\x00\x01"), ExplicitLE.UI(0x00020002, class),
		ExplicitLE.UI(0x00020003, sop), ExplicitLE.UI(0x00020010, transferSyntax))
	length := binary.LittleEndian.AppendUint32(nil, uint32(len(meta))) //nolint:gosec // short
	return slices.Concat(make([]byte, 128), []byte("DICM"), ExplicitLE.Element(0x00020000, "UL", string(length)), meta, dataset)
}

// Deflate packs a dataset for the transfer syntax DeflatedLE (PS3.5 §A.5).
func Deflate(dataset []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err) // the level is one of flate's
	}
	_, _ = w.Write(dataset) // a write to a bytes.Buffer never fails
	_ = w.Close()
	return b.Bytes()
}
