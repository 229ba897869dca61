package dicom_test

import (
	"bytes"
	"encoding/binary"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

// Tags as uint32, group first, so that tables read like PS3.6.
const (
	sopClass    = 0x00080016
	sopUID      = 0x00080018
	studyUID    = 0x0020000D
	seriesUID   = 0x0020000E
	item        = dicomtest.Item
	itemEnd     = dicomtest.ItemEnd
	sequenceEnd = dicomtest.SequenceEnd
	undefined   = dicomtest.UndefinedLength
)

const (
	implicitSyntax = "1.2.840.10008.1.2"
	explicitSyntax = "1.2.840.10008.1.2.1"
	deflatedSyntax = "1.2.840.10008.1.2.1.99"
	bigSyntax      = "1.2.840.10008.1.2.2"
	ctStorage      = "1.2.840.10008.5.1.4.1.1.2"
)

// want is the identity that instance writes, with a transfer syntax.
func want(transferSyntax string) dicom.Identity {
	return dicom.Identity{
		SOPClassUID: ctStorage, SOPInstanceUID: "1.2.3.4.5",
		StudyInstanceUID: "1.2.3", SeriesInstanceUID: "1.2.3.4",
		TransferSyntaxUID:          transferSyntax,
		MediaStorageSOPClassUID:    ctStorage,
		MediaStorageSOPInstanceUID: "1.2.3.4.5",
	}
}

// wantBare is the identity of a dataset without File Meta.
func wantBare(transferSyntax string) dicom.Identity {
	id := want(transferSyntax)
	id.MediaStorageSOPClassUID, id.MediaStorageSOPInstanceUID = "", ""
	return id
}

// syntax writes elements in one encoding of PS3.5 §7.1, and the dataset of the tests.
type syntax struct{ dicomtest.Syntax }

var (
	implicit = syntax{dicomtest.ImplicitLE}
	explicit = syntax{dicomtest.ExplicitLE}
	big      = syntax{dicomtest.ExplicitBE}
)

// decoys are the UIDs of another instance, as sequences contain them.
func (s syntax) decoys() []byte {
	return join(s.UI(sopClass, "9.9.1"), s.UI(sopUID, "9.9.2"), s.UI(studyUID, "9.9.3"), s.UI(seriesUID, "9.9.4"))
}

// dataset writes the four UIDs among other elements; extra is between the
// first two and the last two.
func (s syntax) dataset(extra ...[]byte) []byte {
	return join(
		s.Element(0x00080005, "CS", "ISO_IR 100"),
		s.UI(sopClass, ctStorage),
		s.UI(sopUID, "1.2.3.4.5"),
		s.Element(0x00080020, "DA", "20000101"),
		join(extra...),
		s.Element(0x00100010, "PN", "Nobody^At All"),
		s.UI(studyUID, "1.2.3"),
		s.UI(seriesUID, "1.2.3.4"),
		s.Element(0x00280010, "US", "\x00\x01"),
	)
}

// metaGroup writes File Meta; an empty transfer syntax is omitted.
func metaGroup(s syntax, transferSyntax string) []byte {
	b := join(
		s.Element(0x00020001, "OB", "\x00\x01"),
		s.UI(0x00020002, ctStorage),
		s.UI(0x00020003, "1.2.3.4.5"))
	if transferSyntax != "" {
		b = append(b, s.UI(0x00020010, transferSyntax)...)
	}
	b = append(b, s.Element(0x00020016, "AE", "NOBODY")...)
	return append(s.Element(0x00020000, "UL", string(binary.LittleEndian.AppendUint32(nil, uint32(len(b))))), b...)
}

// file writes a Part 10 file (PS3.10 §7.1).
func file(transferSyntax string, dataset []byte) []byte {
	return join(make([]byte, 128), []byte("DICM"), metaGroup(explicit, transferSyntax), dataset)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
