package dicom_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	library "github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

// FuzzValidFile writes valid files with any content: Identify finds what was written,
// and so does the library, if the file contains nothing that the library does not support.
func FuzzValidFile(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed, []byte("value\x00\xFE\xFF\xDD\xE0"))
	}
	f.Fuzz(func(t *testing.T, seed uint64, value []byte) {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 0)), value: value}
		w.plain = w.IntN(2) == 0
		wanted, input := w.file(t)
		got, err := dicom.Identify(bytes.NewReader(input), wholeWindow)
		if diff := cmp.Diff(wanted, got); err != nil || diff != "" {
			t.Fatalf("error %v, identity (-written +got):\n%s", err, diff)
		}
		if !w.plain {
			return
		}
		parsed, err := library.Parse(bytes.NewReader(input), int64(len(input)), nil, library.SkipPixelData())
		if err != nil {
			t.Fatalf("the library: %v", err)
		}
		for tg, want := range map[tag.Tag]string{
			tag.SOPClassUID: got.SOPClassUID, tag.SOPInstanceUID: got.SOPInstanceUID, tag.StudyInstanceUID: got.StudyInstanceUID,
			tag.SeriesInstanceUID: got.SeriesInstanceUID, tag.TransferSyntaxUID: got.TransferSyntaxUID,
		} {
			e, err := parsed.FindElementByTag(tg)
			if err != nil {
				t.Fatalf("the library finds no %v: %v", tg, err)
			}
			if value := library.MustGetStrings(e.Value); len(value) != 1 || value[0] != want {
				t.Fatalf("%v: got %q, the library has %q", tg, want, value)
			}
		}
	})
}

// writer writes random files.
type writer struct {
	*rand.Rand
	syntax
	value []byte // random bytes for values
	plain bool   // without what the library reads wrongly: UN and encapsulated data of undefined length
}

// uid is a valid UID (PS3.5 §9.1).
func (w *writer) uid() string {
	s := "1"
	for range w.IntN(10) {
		s += "." + strings.Repeat("7", 1+w.IntN(5))
	}
	return s
}

func (w *writer) file(t *testing.T) (dicom.Identity, []byte) {
	id := dicom.Identity{SOPClassUID: w.uid(), SOPInstanceUID: w.uid(), StudyInstanceUID: w.uid(), SeriesInstanceUID: w.uid()}
	id.MediaStorageSOPClassUID, id.MediaStorageSOPInstanceUID = ctStorage, "1.2.3.4.5"
	choice := []struct {
		uid    string
		syntax syntax
	}{{explicitSyntax, explicit}, {implicitSyntax, implicit}, {bigSyntax, big}, {deflatedSyntax, explicit}, {"1.2.840.10008.1.2.4.90", explicit}}[w.IntN(5)]
	id.TransferSyntaxUID, w.syntax = choice.uid, choice.syntax
	dataset := join(
		w.Element(0x00080005, "CS", "ISO_IR 100"), w.UI(sopClass, id.SOPClassUID), w.UI(sopUID, id.SOPInstanceUID), w.sequence(0x00081140, 0), w.any(0x00091001, 0),
		w.Element(0x00100010, "PN", "Nobody^At All "), w.any(0x00191001, 0), w.UI(studyUID, id.StudyInstanceUID), w.UI(seriesUID, id.SeriesInstanceUID),
		w.any(0x00291001, 0), w.Element(0x7FE00010, "OW", "\x01\x02\x03\x04"))
	if choice.uid == deflatedSyntax {
		dataset = dicomtest.Deflate(dataset)
	}
	return id, file(choice.uid, dataset)
}

// any writes an element with some VR, or nothing.
func (w *writer) any(tg uint32, depth int) []byte {
	switch w.IntN(5) {
	case 0:
		return nil
	case 1:
		return w.sequence(tg, depth)
	case 2:
		switch {
		case w.plain:
		case w.IntN(2) == 0:
			return w.Open(tg, "OB", w.Element(item, "", ""), w.Element(item, "", w.text()))
		default:
			return join(w.Header(tg, "UN", undefined), implicit.Open(item, "", implicit.decoys()), implicit.Header(sequenceEnd, "", 0))
		}
	}
	vrs := []string{"LO", "UN", "OB", "UT", "SH", "ST", "LT", "OW", "UC", "CS"}
	return w.Element(tg, vrs[w.IntN(len(vrs))], w.text())
}

// sequence writes a sequence of items, with lengths of either kind, and UIDs of other instances in it.
func (w *writer) sequence(tg uint32, depth int) []byte {
	var items [][]byte
	for range w.IntN(4) {
		content := w.decoys()
		if depth < 5 {
			content = join(content, w.any(0x00291001, depth+1))
		}
		if w.IntN(2) == 0 {
			items = append(items, w.Open(item, "", content))
		} else {
			items = append(items, w.Element(item, "", string(content)))
		}
	}
	if w.IntN(2) == 0 {
		return w.Open(tg, "SQ", items...)
	}
	return w.Element(tg, "SQ", string(join(items...)))
}

// text is a value with an even length.
func (w *writer) text() string {
	from := w.IntN(len(w.value) + 1)
	s := string(w.value[from:])
	if len(s)%2 == 1 {
		s += " "
	}
	return s
}
