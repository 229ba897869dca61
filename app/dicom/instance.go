// Package dicom names a DICOM instance from the head of a stream.
//
// A store service needs four UIDs to know where an instance goes: SOP Class,
// SOP Instance, Study and Series. All of them lie in groups 0008 and 0020, near
// the start of a dataset, so [Identify] walks element headers from the front,
// skips every value it does not need, and stops at the fourth UID. Pixel data is
// never reached and no value is validated beyond what naming asks for.
//
// The walk is this package's own code. The parser of
// github.com/suyashkumar/dicom allocates the length that an element declares
// before it reads the value (its issue 349), so a few bytes can cost 4 GB. Here
// a declared length is only ever a number of bytes to skip; memory is one 4 KiB
// buffer, a UID of at most 128 bytes and, for deflated datasets, the 32 KiB
// window of the decompressor. What does not depend on hostile lengths, the tags
// and the knowledge of transfer syntaxes, comes from that library.
//
// # What is taken for DICOM
//
// With a preamble and "DICM" (PS3.10 §7.1), with "DICM" at offset 0, or with
// group 0002 at offset 0, a File Meta group is read, and the dataset after it
// must begin with a group from 0004 to 7FE1, and with a known VR or a length
// below 512 MiB. Without any of them the stream must begin so with group 0008,
// where the first two UIDs live; anything else, like text, images, archives or
// zeros, is refused within its first 132 bytes. At top level a group below 0004 or a sequence item is refused wherever
// it comes.
//
// Element order (PS3.5 §7.1: ascending) is relied on only to stop: once a group
// above 0020 is met, UIDs not seen are missing. Of elements that come twice the
// first counts.
package dicom

import (
	"errors"
	"fmt"
	"io"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// Identity is what names an instance. Values have the padding of PS3.5 §9.1 and
// §6.2 (trailing NUL and spaces) trimmed; their syntax is not checked, see
// [ValidUID]. An empty string means that the attribute is absent or empty.
//
// A value longer than 128 bytes is cut there and not trimmed, so that ValidUID
// refuses it.
type Identity struct {
	// From the dataset, top level only.
	SOPClassUID       string // (0008,0016)
	SOPInstanceUID    string // (0008,0018)
	StudyInstanceUID  string // (0020,000D)
	SeriesInstanceUID string // (0020,000E)

	// TransferSyntaxUID is (0002,0010). Where that is absent it is inferred from
	// the bytes: Explicit VR Little Endian, Implicit VR Little Endian or
	// Explicit VR Big Endian. Where the bytes contradict it, the declared value
	// stays here and the bytes are believed.
	TransferSyntaxUID string

	// From the File Meta Information, empty without it.
	MediaStorageSOPClassUID    string // (0002,0002)
	MediaStorageSOPInstanceUID string // (0002,0003)
}

// ErrNotDICOM reports a stream that cannot be parsed as DICOM: it does not begin
// like DICOM, ends inside an element before the four UIDs, nests sequences
// deeper than 64, has an undefined length where none is allowed, or has
// delimiters or deflated data that make no sense.
var ErrNotDICOM = errors.New("not DICOM")

// ErrWindow reports that the UIDs were not found within the window.
var ErrWindow = errors.New("UIDs not found within the window")

// UIDError reports the first of the four UIDs, in tag order, that a parseable
// dataset does not have. [Identify] returns it as a pointer.
type UIDError struct {
	Keyword string // PS3.6 keyword, such as StudyInstanceUID
	Empty   bool   // the element is there without a value; false: it is absent
}

func (e *UIDError) Error() string {
	if e.Empty {
		return e.Keyword + " has no value"
	}
	return e.Keyword + " is missing"
}

// Identify reads r front to back as far as the four UIDs of Identity, plus up to
// 4 KiB of read-ahead (with a deflated dataset: as much as inflates to 32 KiB
// more). A caller that goes on with the stream has to keep what was read from r.
//
// It never reads more than window bytes from r, and inflates at most window
// bytes of a deflated dataset. A stream that is exactly as long as the window
// counts as longer, because finding its end would take one more read.
//
// The error is nil only if all four UIDs are present and not empty. Otherwise it
// matches [ErrNotDICOM], [ErrWindow], a *[UIDError], or, wrapped, the error with
// which r failed (io.EOF excepted). In each case Identity holds what was known
// by then. Safe for concurrent use with different readers.
func Identify(r io.Reader, window int64) (Identity, error) {
	s := newStream(r, window)
	defer s.release()

	var id Identity
	if err := s.fileMeta(&id); err != nil {
		return id, err
	}
	e, err := s.beginDataset(&id)
	if err != nil {
		return id, err
	}
	return id, s.dataset(e, &id)
}

// fileMeta reads the preamble and the File Meta group, if there are any
// (PS3.10 §7.1), and leaves s at the first element of the dataset.
func (s *stream) fileMeta(id *Identity) error {
	const preamble, prefix = 128, "DICM"
	b, err := s.Peek(preamble + len(prefix))
	switch {
	case len(b) == preamble+len(prefix) && string(b[preamble:]) == prefix:
		err = s.skip(preamble + uint32(len(prefix)))
	case len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix:
		err = s.skip(uint32(len(prefix)))
	case startsFileMeta(b):
		err = nil
	case startsDataset(b):
		return nil
	case err != nil:
		return readFailure(err, "before anything known as DICOM")
	default:
		return fmt.Errorf("%w: neither File Meta nor a dataset", ErrNotDICOM)
	}
	if err != nil {
		return err
	}
	return s.fileMetaGroup(id)
}

// fileMetaGroup reads elements while their group is 0002. Its group length
// (0002,0000) is not asked: it is often wrong. The encoding is Explicit VR
// Little Endian (PS3.10 §7.1); Implicit VR is understood too, see
// stream.header.
func (s *stream) fileMetaGroup(id *Identity) error {
	for {
		b, _ := s.Peek(2) // an error is final and meets the dataset's walk as well
		if len(b) < 2 || explicitLittle.uint16(b) != tag.MetadataGroup {
			return nil
		}
		h, err := s.header(explicitLittle)
		if err != nil {
			return err
		}
		if h.length == undefinedLength {
			return fmt.Errorf("%w: undefined length in File Meta, %s", ErrNotDICOM, h)
		}
		switch h.tag {
		case tag.TransferSyntaxUID:
			err = s.uid(h, &id.TransferSyntaxUID)
		case tag.MediaStorageSOPClassUID:
			err = s.uid(h, &id.MediaStorageSOPClassUID)
		case tag.MediaStorageSOPInstanceUID:
			err = s.uid(h, &id.MediaStorageSOPInstanceUID)
		default:
			err = s.skip(h.length)
		}
		if err != nil {
			return err
		}
	}
}

// required lists the UIDs that name an instance, in tag order.
var required = [...]struct {
	tag     tag.Tag
	keyword string
	field   func(*Identity) *string
}{
	{tag.SOPClassUID, "SOPClassUID", func(id *Identity) *string { return &id.SOPClassUID }},
	{tag.SOPInstanceUID, "SOPInstanceUID", func(id *Identity) *string { return &id.SOPInstanceUID }},
	{tag.StudyInstanceUID, "StudyInstanceUID", func(id *Identity) *string { return &id.StudyInstanceUID }},
	{tag.SeriesInstanceUID, "SeriesInstanceUID", func(id *Identity) *string { return &id.SeriesInstanceUID }},
}

// dataset walks the top level of the dataset until the last of the required UIDs
// is read or cannot follow any more.
func (s *stream) dataset(e encoding, id *Identity) error {
	lastGroup := tag.SeriesInstanceUID.Group
	var seen [len(required)]bool
	for count := 0; count < len(required); {
		h, err := s.header(e)
		switch {
		case errors.Is(err, io.EOF):
			return checkRequired(id, seen)
		case err != nil:
			return err
		case h.tag == tag.ItemDelimitationItem, h.tag == tag.SequenceDelimitationItem:
			// Left over by writers that close a sequence of defined length.
			continue
		case h.tag.Group < minGroup, h.tag == tag.Item:
			return fmt.Errorf("%w: %s at top level", ErrNotDICOM, h)
		case h.tag.Group > lastGroup:
			return checkRequired(id, seen)
		}
		i := indexOfRequired(h.tag)
		if i < 0 || seen[i] {
			err = s.skipElement(h, e)
		} else {
			seen[i] = true
			count++
			err = s.uid(h, required[i].field(id))
		}
		if err != nil {
			return err
		}
	}
	return checkRequired(id, seen)
}

func indexOfRequired(t tag.Tag) int {
	for i := range required {
		if required[i].tag == t {
			return i
		}
	}
	return -1
}

func checkRequired(id *Identity, seen [len(required)]bool) error {
	for i, r := range required {
		if !seen[i] {
			return &UIDError{Keyword: r.keyword}
		}
		if *r.field(id) == "" {
			return &UIDError{Keyword: r.keyword, Empty: true}
		}
	}
	return nil
}
