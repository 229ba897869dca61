// Package dicom names a DICOM instance from the head of a stream.
//
// A store service needs four UIDs to know where an instance goes: SOP Class,
// SOP Instance, Study and Series. All of them are in groups 0008 and 0020, near
// the start of a dataset, so [Identify] walks element headers from the front,
// skips every value that it does not need, and stops after the fourth UID. It
// validates values only as far as naming requires.
//
// The walk is this package's own code. The parser of
// github.com/suyashkumar/dicom allocates the length that an element declares
// before it reads the value (its issue 349), so a few bytes can cost 4 GB. Here
// a declared length is only ever a number of bytes to skip; memory is one 4 KiB
// buffer, a UID of at most 128 bytes and, for deflated datasets, the 32 KiB
// window of the decompressor and 16 KiB of its output. Tags and transfer syntaxes, which
// do not depend on hostile lengths, come from that library.
//
// # What counts as DICOM
//
// With a preamble and "DICM" (PS3.10 §7.1), with "DICM" at offset 0, or with
// group 0002 at offset 0, a File Meta group is read, and the dataset after it
// must begin with a group up to 7FE1, and with a known VR or a length
// below 512 MiB. Without any of them the stream must begin in this way with group 0008,
// which contains the first two UIDs. Anything else, like text, images, archives or
// zeros, is refused within its first 132 bytes.
//
// # Damage
//
// An instance is not refused because it is damaged, but because its UIDs are in doubt.
// A dataset is read according to PS3.5 §7; where it deviates, it is read as follows:
//
//   - While tags ascend (PS3.5 §7.1), the walk ends after the four UIDs. If a tag goes
//     backwards, the dataset begins above group 0020, or anything else is wrong, the walk
//     continues to Pixel Data, past it while a UID is missing, or to the end of the window.
//     If one of the UIDs then comes twice with different values, the UIDs are in doubt.
//   - Sequences are read as found: an item ends where the next item or a delimiter begins,
//     and a sequence ends where an element comes that cannot be in it.
//     Items at the top level, surplus delimiters, and zeros are skipped.
//   - If a place can be read in two ways, for example as a length of 16 or of 32 bits,
//     the way counts after which the rest fits. If both fit, both are read to the end,
//     and must give the same UIDs.
package dicom

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// Identity names an instance. Values have the padding of PS3.5 §9.1 and
// §6.2 (trailing NUL and spaces) trimmed; their syntax is not checked, see
// [ValidUID]. An empty string means that the attribute is absent or empty.
//
// A value longer than 128 bytes is truncated and not trimmed, so that ValidUID
// refuses it.
type Identity struct {
	// From the dataset, top level only.
	SOPClassUID       string // (0008,0016)
	SOPInstanceUID    string // (0008,0018)
	StudyInstanceUID  string // (0020,000D)
	SeriesInstanceUID string // (0020,000E)

	// TransferSyntaxUID is the transfer syntax that the bytes have: (0002,0010), unless it is absent
	// or the dataset is plainly encoded in another way. Then it is Explicit VR Little Endian,
	// Implicit VR Little Endian or Explicit VR Big Endian.
	TransferSyntaxUID string

	// From the File Meta Information, empty without it. If that comes twice, the first one
	// counts, unless only the second one names the instance of the dataset.
	MediaStorageSOPClassUID    string // (0002,0002)
	MediaStorageSOPInstanceUID string // (0002,0003)
}

// ErrNotDICOM reports a stream that cannot be read as DICOM: it does not begin
// like DICOM, ends inside an element before the four UIDs, nests sequences
// deeper than 64, has an undefined length where none is allowed, has invalid deflated data,
// or is damaged so that the four UIDs are not found after the damage.
var ErrNotDICOM = errors.New("not DICOM")

// damagedError is an ErrNotDICOM for a stream that began as DICOM.
type damagedError struct{ words string }

func (e *damagedError) Error() string { return "damaged: " + e.words }
func (e *damagedError) Unwrap() error { return ErrNotDICOM }

func damaged(format string, args ...any) error { return &damagedError{fmt.Sprintf(format, args...)} }

// ErrNamedTwice reports a dataset that has one of the four UIDs twice, with different
// values (PS3.5 §7.1: an element occurs at most once), or whose damage allows it to
// be read as two instances: readers differ in which one they see.
var ErrNamedTwice = errors.New("the instance is named twice, differently")

// ErrWindow reports that the UIDs were not found within the window.
var ErrWindow = errors.New("the four UIDs are not found within HEADWINDOW")

// UIDError reports the first of the four UIDs, in tag order, that a parseable
// dataset does not have. [Identify] returns it as a pointer.
type UIDError struct {
	Keyword string // PS3.6 keyword, such as StudyInstanceUID
	Empty   bool   // the element exists without a value; false: it is absent
}

func (e *UIDError) Error() string {
	if e.Empty {
		return e.Keyword + " has no value"
	}
	return e.Keyword + " is missing"
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

func indexOfRequired(t tag.Tag) int {
	if t.Group != identifyingGroup && t.Group != tag.SeriesInstanceUID.Group {
		return -1
	}
	for i := range required {
		if required[i].tag == t {
			return i
		}
	}
	return -1
}

// checkRequired is the result of a walk that saw everything that it needed. If a dataset
// is damaged, it is unknown whether a UID is missing.
func (w *walk) checkRequired() error {
	for i, r := range required {
		switch {
		case !w.seen[i] && w.damage != "":
			return w.lost(r.keyword + " is not found")
		case !w.seen[i]:
			return &UIDError{Keyword: r.keyword}
		case *r.field(&w.id) == "":
			return &UIDError{Keyword: r.keyword, Empty: true}
		}
	}
	return nil
}

// identifier is the state of one call of Identify.
type identifier struct {
	raw       head
	dataset   head // of the dataset, if it is deflated
	inflated  inflated
	first     walk
	others    []walk // readings that were found, and are not walked yet
	readings  int    // all of them
	metas     [2]fileMeta
	metaCount int
}

// identifiers recycles buffers, and decompressors with their 32 KiB windows.
var identifiers = sync.Pool{New: func() any { return new(identifier) }}

// maxReadings is the maximum number of ways in which a dataset is read.
const maxReadings = 8

// Identify reads r from the front until it has the four UIDs of Identity, plus up to
// 4 KiB of read-ahead (with a deflated dataset: as much as inflates to 32 KiB
// more). It may read bytes again, and skip those of values.
//
// It reads nothing after the first window bytes of r, and inflates at most window
// bytes of a deflated dataset, and at most maxInflation times the bytes that it read of them. A stream that is exactly as long as the window
// counts as longer, because finding its end would take one more read.
//
// The error is nil only if all four UIDs are present and not empty. Otherwise it
// matches [ErrNotDICOM], [ErrNamedTwice], [ErrWindow], a *[UIDError], or, wrapped, the error with
// which r failed (io.EOF excepted). In each case Identity holds what was known
// by then. Safe for concurrent use with different readers.
func Identify(r io.ReaderAt, window int64) (Identity, error) {
	i, _ := identifiers.Get().(*identifier)
	defer i.release()
	i.raw.reset(r, window)
	i.metaCount, i.readings, i.others = 0, 1, i.others[:0]
	first := &i.first
	*first = walk{identifier: i, head: &i.raw}
	err := i.readFileMeta(first)
	if err == nil {
		err = i.beginDataset(first)
	}
	start := first.at
	if err != nil {
		return i.name(Identity{}, first.frames[0].encoding), err
	}
	err = first.run()
	id := first.id
	if err != nil && first.canBeOther(err) {
		again := walk{identifier: i, head: first.head, at: start, careful: true}
		again.frames[0].encoding = first.frames[0].encoding
		i.others, i.readings = append(i.others, again), i.readings+1
	}
	for len(i.others) > 0 {
		other := i.others[len(i.others)-1]
		i.others = i.others[:len(i.others)-1]
		switch failed := other.run(); {
		case failed != nil:
		case err != nil:
			id, err = other.id, nil
		case id != other.id:
			err = ErrNamedTwice
			i.others = i.others[:0]
		}
	}
	return i.name(id, first.frames[0].encoding), err
}

// canBeOther says whether the dataset, for which w has failed with err, may have UIDs in another reading.
func (w *walk) canBeOther(err error) bool {
	var missing *UIDError
	var read *readError
	return !errors.As(err, &read) && (w.unordered || !errors.As(err, &missing))
}

// release gives i back to the pool without a reference to the caller's reader.
func (i *identifier) release() {
	i.raw.origin = origin{}
	identifiers.Put(i)
}
