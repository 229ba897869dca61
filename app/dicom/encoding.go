package dicom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/uid"
)

// maxGroup limits the group of a dataset's first element: above the groups next to Pixel Data
// there is only trailing padding.
const maxGroup = 0x7FE1

// identifyingGroup contains SOPClassUID and SOPInstanceUID. A dataset without File
// Meta must begin with it; otherwise it could not be named anyway.
const identifyingGroup = 0x0008

// beginDataset finds out how the dataset that w begins is encoded, and makes it be inflated
// if it is deflated.
func (i *identifier) beginDataset(w *walk) error {
	var declared string
	if i.metaCount > 0 {
		declared = i.metas[0].transferSyntax
	}
	e, known := encodingOf(declared)
	w.frames[0].encoding = e
	b, err := w.head.peek(w.at, 6)
	if i.declaresDeflated() && (err != nil || !looksExplicitLittle(b)) {
		i.inflated.begin(&i.raw, w.at)
		i.dataset.window, i.dataset.source, i.dataset.start, i.dataset.buffer = i.raw.window, &i.inflated, 0, nil
		w.head, w.at = &i.dataset, 0
	}
	zeros, err := w.head.zeros(w.at)
	if err != nil {
		return err
	}
	w.at += zeros
	b, err = w.head.peek(w.at, 8)
	if err != nil {
		if len(b) == 0 && errors.Is(err, io.EOF) {
			return nil // an empty dataset: the walk says what is missing
		}
		return failure(err, "inside the first element of the dataset")
	}
	e = believe(b, e, known)
	w.frames[0].encoding = e
	if !e.canBegin(b) {
		return fmt.Errorf("%w: the dataset begins with group %04X", ErrNotDICOM, e.uint16(b))
	}
	return nil
}

// maxFirstLength limits the length in bytes of a dataset's first value. It is
// the length that four spaces would declare, so that text is refused; real values, such
// as a character set, are shorter than a line.
const maxFirstLength = 0x20202020

// canBegin says whether b, 8 bytes or more, can be the start of a dataset.
func (e encoding) canBegin(b []byte) bool {
	if e.uint16(b) > maxGroup {
		return false
	}
	if e.explicit {
		return vr{b[4], b[5]}.isKnown()
	}
	length := e.uint32(b[4:])
	return length < maxFirstLength || length == undefinedLength
}

// maxZeros is the maximum number of zeros that are skipped.
const maxZeros = 1024

// zeros returns how many zeros are at the offset where an element should be. Elements of
// group 0000 belong to a command (PS3.7 §E.1); some files have them at the start.
func (h *head) zeros(at int64) (n int64, err error) {
	for {
		b, err := h.peek(at+n, 8)
		switch {
		case len(b) >= 2 && b[0]|b[1] != 0, len(b) == 8 && isCommand(b), len(b) < 2:
			return n, nil
		case n == maxZeros:
			return n, damaged("zeros instead of an element")
		case err != nil && bytes.Count(b, []byte{0}) != len(b):
			return n, nil
		}
		n += 2
	}
}

// isCommand says whether b, 8 bytes that begin with two zeros, begins an element of a command.
func isCommand(b []byte) bool {
	if (vr{b[4], b[5]}).isKnown() {
		return true
	}
	length := min(explicitLittle.uint32(b[4:]), explicitBig.uint32(b[4:]))
	return length <= 0xFFFF && (b[2]|b[3] != 0 || length == 4)
}

// encodingOf returns the encoding that a transfer syntax declares. Syntaxes that
// the library does not know, such as private and newer ones, count as
// Explicit VR Little Endian, like all encapsulated ones (PS3.5 §A.4); known
// is then false.
func encodingOf(transferSyntaxUID string) (e encoding, known bool) {
	order, implicit, err := uid.ParseTransferSyntaxUID(transferSyntaxUID)
	if err != nil {
		return explicitLittle, false
	}
	return encoding{explicit: !implicit, bigEndian: order == binary.ByteOrder(binary.BigEndian)}, true
}

// isDeflated says whether the whole dataset is deflated: PS3.5 §A.5, and the
// two JPIP Referenced Deflate syntaxes (PS3.6 Table A-1); the library does not
// know the second one.
func isDeflated(transferSyntaxUID string) bool {
	switch transferSyntaxUID {
	case uid.DeflatedExplicitVRLittleEndian, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205":
		return true
	}
	return false
}

// obeys says whether a dataset of this encoding has the given transfer syntax. Whether
// pixel data are compressed cannot be seen here, so an encapsulated syntax is accepted.
func (e encoding) obeys(transferSyntaxUID string, inflated bool) bool {
	declared, _ := encodingOf(transferSyntaxUID)
	switch {
	case isDeflated(transferSyntaxUID) || inflated:
		return isDeflated(transferSyntaxUID) == inflated
	case transferSyntaxUID == declared.transferSyntaxUID():
		return declared == e
	default:
		return transferSyntaxUID != ""
	}
}

// transferSyntaxUID is the transfer syntax that a dataset of this encoding without
// compressed pixel data would declare (PS3.5 §A.1 to §A.3).
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
//     first value of a length that spells a known VR, so of 16 KiB or more;
//   - group 0000 has the same bytes in both orders, and the length of its values tells.
//
// Without a known declaration, only a known VR speaks for explicit VR.
func believe(b []byte, declared encoding, known bool) encoding {
	little, big := explicitLittle.uint16(b), explicitBig.uint16(b)
	v := vr{b[4], b[5]}
	switch {
	case little == 0 && v.isShort() && b[6] == 0: // of a command, whose values are short
		return explicitBig
	case little >= 0x0100 && (declared == explicitBig || big < 0x0100 && v.isKnown()):
		return explicitBig
	case declared == implicitLittle, !known:
		return encoding{explicit: v.isKnown()}
	default:
		return encoding{explicit: v.isLetters()}
	}
}

// looksExplicitLittle says whether b, 6 bytes or more, begins a dataset that is
// not deflated although it declares this. Its first byte, read as the start of
// deflated data, would be a stored block (RFC 1951 §3.2.4) whose two lengths
// disagree.
func looksExplicitLittle(b []byte) bool {
	return explicitLittle.uint16(b) == identifyingGroup && vr{b[4], b[5]}.isKnown()
}

// startsFileMeta says whether b begins a File Meta group without a preamble.
// Its elements are known (PS3.10 Table 7.1-1): none is above 0102.
func startsFileMeta(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	return explicitLittle.uint16(b) == tag.MetadataGroup &&
		explicitLittle.uint16(b[2:]) <= 0x0102
}

// startsDataset says whether b begins a dataset without File Meta.
func startsDataset(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	e := believe(b, explicitLittle, false)
	return e.uint16(b) == identifyingGroup && e.canBegin(b)
}
