package stow_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"testing"
)

const (
	classUID = "1.2.840.10008.5.1.4.1.1.2"
	study    = "1.2.3"
	series   = "1.2.3.4"
	absent   = "absent" // as the value of a UID: its element is left out
)

// Tags, group first, as PS3.6 writes them.
const (
	tagItem          = 0xFFFEE000
	tagItemEnd       = 0xFFFEE00D
	tagSequenceEnd   = 0xFFFEE0DD
	tagPixelData     = 0x7FE00010
	undefinedLength  = 0xFFFFFFFF
	deflatedLE       = "1.2.840.10008.1.2.1.99"
	jpegBaseline     = "1.2.840.10008.1.2.4.50"
	mpeg4HighProfile = "1.2.840.10008.1.2.4.102"
)

// syntax writes elements in one of the three encodings of PS3.5 §7.1.
type syntax struct {
	uid      string
	explicit bool
	order    binary.AppendByteOrder
}

var (
	implicitLE = syntax{"1.2.840.10008.1.2", false, binary.LittleEndian}
	explicitLE = syntax{"1.2.840.10008.1.2.1", true, binary.LittleEndian}
	explicitBE = syntax{"1.2.840.10008.1.2.2", true, binary.BigEndian}
)

// header writes an element without its value; vr "" is that of items, which have none.
func (s syntax) header(tag uint32, vr string, length uint32) []byte {
	b := s.order.AppendUint16(s.order.AppendUint16(nil, uint16(tag>>16)), uint16(tag))
	if !s.explicit || vr == "" {
		return s.order.AppendUint32(b, length)
	}
	b = append(b, vr...)
	switch vr {
	case "OB", "OF", "OW", "SQ", "UN", "UT":
		return s.order.AppendUint32(append(b, 0, 0), length)
	}
	return s.order.AppendUint16(b, uint16(length))
}

func (s syntax) element(tag uint32, vr string, value []byte) []byte {
	return append(s.header(tag, vr, uint32(len(value))), value...)
}

// ui writes a UID, padded to even length with NUL (PS3.5 §6.2).
func (s syntax) ui(tag uint32, value string) []byte {
	if value == absent {
		return nil
	}
	if len(value)%2 == 1 {
		value += "\x00"
	}
	return s.element(tag, "UI", []byte(value))
}

// open writes a sequence, encapsulated data or an item of undefined length, up to its delimiter.
func (s syntax) open(tag uint32, vr string, content ...[]byte) []byte {
	end := uint32(tagSequenceEnd)
	if tag == tagItem {
		end = tagItemEnd
	}
	return join(s.header(tag, vr, undefinedLength), join(content...), s.header(end, "", 0))
}

// dataset is what names an instance, with more elements between its SOP and its study, and pixel data behind.
func (s syntax) dataset(sop, study, series, class string, pixelBytes int, more ...[]byte) []byte {
	return join(s.ui(0x00080016, class), s.ui(0x00080018, sop), join(more...),
		s.ui(0x0020000D, study), s.ui(0x0020000E, series), s.element(tagPixelData, "OW", pixels(pixelBytes)))
}

func pixels(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	return b
}

// file puts preamble, prefix and File Meta (PS3.10 §7.1) before a dataset.
func file(sop, class, transferSyntax string, dataset []byte) []byte {
	meta := join(explicitLE.ui(0x00020002, class), explicitLE.ui(0x00020003, sop), explicitLE.ui(0x00020010, transferSyntax))
	length := binary.LittleEndian.AppendUint32(nil, uint32(len(meta)))
	return join(make([]byte, 128), []byte("DICM"), explicitLE.element(0x00020000, "UL", length), meta, dataset)
}

// instance is a PS3.10 file, explicit VR little endian, with pixels of pixelBytes.
func instance(sop, study, series, class string, pixelBytes int) []byte {
	return file(sop, class, explicitLE.uid, explicitLE.dataset(sop, study, series, class, pixelBytes))
}

func ct(sop string, pixelBytes int) []byte { return instance(sop, study, series, classUID, pixelBytes) }

// with is ct with more elements before its study.
func with(sop string, more ...[]byte) []byte {
	return file(sop, classUID, explicitLE.uid, explicitLE.dataset(sop, study, series, classUID, 10, more...))
}

func deflated(t *testing.T, dataset []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(dataset); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
