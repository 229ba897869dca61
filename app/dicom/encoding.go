package dicom

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/uid"
)

// minGroup and maxGroup bound the group of a dataset's first element. Below are
// commands and File Meta (PS3.7 §E, PS3.10 §7.1); above the pixel data's
// neighbours there is only trailing padding.
const (
	minGroup = 0x0004
	maxGroup = 0x7FE1
)

// identifyingGroup holds SOPClassUID and SOPInstanceUID. A dataset without File
// Meta has to begin with it, or it could not be named anyway.
const identifyingGroup = 0x0008

// beginDataset finds out how the dataset is encoded, infers TransferSyntaxUID
// where it is absent, and starts inflating where the dataset is deflated.
func (s *stream) beginDataset(id *Identity) (encoding, error) {
	declared, known := encodingOf(id.TransferSyntaxUID)
	b, err := s.Peek(6)
	if isDeflated(id.TransferSyntaxUID) && (err != nil || !looksExplicitLittle(b)) {
		if err := s.inflate(); err != nil {
			return declared, err
		}
	}
	b, err = s.Peek(8)
	if err != nil {
		if len(b) == 0 && errors.Is(err, io.EOF) {
			return declared, nil // an empty dataset: the walk says what is missing
		}
		return declared, readFailure(err, "inside the first element of the dataset")
	}
	e := believe(b, declared, known)
	if !e.canBegin(b) {
		return e, fmt.Errorf("%w: dataset begins with group %04X", ErrNotDICOM, e.uint16(b))
	}
	if id.TransferSyntaxUID == "" {
		id.TransferSyntaxUID = e.transferSyntaxUID()
	}
	return e, nil
}

// maxFirstLength bounds the length in bytes of a dataset's first value. It is
// what four spaces would declare, so that text is refused; the real ones, such
// as a character set, are shorter than a line.
const maxFirstLength = 0x20202020

// canBegin tells whether b, 8 bytes or more, can be the start of a dataset.
func (e encoding) canBegin(b []byte) bool {
	if g := e.uint16(b); g < minGroup || g > maxGroup {
		return false
	}
	if e.explicit {
		return vr{b[4], b[5]}.isKnown()
	}
	length := e.uint32(b[4:])
	return length < maxFirstLength || length == undefinedLength
}

// encodingOf returns the encoding that a transfer syntax declares. Syntaxes that
// the library does not know, private ones and those younger than it, count as
// Explicit VR Little Endian, like all encapsulated ones (PS3.5 §A.4), and known
// is false.
func encodingOf(transferSyntaxUID string) (e encoding, known bool) {
	order, implicit, err := uid.ParseTransferSyntaxUID(transferSyntaxUID)
	if err != nil {
		return explicitLittle, false
	}
	return encoding{explicit: !implicit, bigEndian: order == binary.ByteOrder(binary.BigEndian)}, true
}

// isDeflated tells whether the whole dataset is deflated: PS3.5 §A.5, and the
// two JPIP Referenced Deflate syntaxes (PS3.6 Table A-1), the second of which
// the library does not know.
func isDeflated(transferSyntaxUID string) bool {
	switch transferSyntaxUID {
	case uid.DeflatedExplicitVRLittleEndian, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205":
		return true
	}
	return false
}

// transferSyntaxUID is what a dataset of this encoding without pixel data that
// are compressed would declare (PS3.5 §A.1 to §A.3).
func (e encoding) transferSyntaxUID() string {
	switch e {
	case implicitLittle:
		return uid.ImplicitVRLittleEndian
	case explicitBig:
		return uid.ExplicitVRBigEndian
	default:
		return uid.ExplicitVRLittleEndian
	}
}

// believe returns the encoding of a dataset that begins with b, 8 bytes or more.
// It is the declared one unless the bytes plainly say otherwise:
//   - byte order: the first groups of a dataset are below 0100, so one of the two
//     bytes is zero;
//   - explicit VR needs two upper-case letters, and implicit VR would need a
//     first value of a length that spells a known VR, so of 16 KiB or more.
//
// Without a known declaration, only a known VR speaks for explicit VR.
func believe(b []byte, declared encoding, known bool) encoding {
	little, big := explicitLittle.uint16(b), explicitBig.uint16(b)
	v := vr{b[4], b[5]}
	switch {
	case little >= 0x0100 && (declared == explicitBig || big < 0x0100 && v.isKnown()):
		return explicitBig
	case declared == implicitLittle, !known:
		return encoding{explicit: v.isKnown()}
	default:
		return encoding{explicit: v.isLetters()}
	}
}

// looksExplicitLittle tells whether b, 6 bytes or more, begins a dataset that is
// not deflated although it is declared so. Its first byte as the start of
// deflated data would be a stored block (RFC 1951 §3.2.4) whose two lengths
// disagree.
func looksExplicitLittle(b []byte) bool {
	return explicitLittle.uint16(b) == identifyingGroup && vr{b[4], b[5]}.isKnown()
}

// startsFileMeta tells whether b begins a File Meta group without a preamble.
// Its elements are known (PS3.10 Table 7.1-1): none is above 0102.
func startsFileMeta(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	return explicitLittle.uint16(b) == tag.MetadataGroup &&
		explicitLittle.uint16(b[2:]) <= 0x0102
}

// startsDataset tells whether b begins a dataset without File Meta.
func startsDataset(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	e := believe(b, explicitLittle, false)
	return e.uint16(b) == identifyingGroup && e.canBegin(b)
}
