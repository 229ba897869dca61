package dicom_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	library "github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"

	"stowrs-to-s3/app/dicom"
)

// TestIdentifyAgreesWithLibrary compares, for valid files of the library's writer, with what
// the library's parser finds in them.
func TestIdentifyAgreesWithLibrary(t *testing.T) {
	element := func(tg tag.Tag, value any) *library.Element {
		t.Helper()
		e, err := library.NewElement(tg, value)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for _, syntax := range []string{implicitSyntax, explicitSyntax, bigSyntax} {
		t.Run(syntax, func(t *testing.T) {
			decoy := []*library.Element{
				element(tag.StudyInstanceUID, []string{"9.9.3"}),
				element(tag.SeriesInstanceUID, []string{"9.9.4"}),
			}
			var written bytes.Buffer
			err := library.Write(&written, library.Dataset{Elements: []*library.Element{
				element(tag.TransferSyntaxUID, []string{syntax}),
				element(tag.MediaStorageSOPClassUID, []string{ctStorage}),
				element(tag.MediaStorageSOPInstanceUID, []string{"1.2.3.4.5"}),
				element(tag.SOPClassUID, []string{ctStorage}),
				element(tag.SOPInstanceUID, []string{"1.2.3.4.5"}),
				element(tag.ReferencedStudySequence, [][]*library.Element{decoy, decoy}),
				element(tag.StudyInstanceUID, []string{"1.2.3"}),
				element(tag.SeriesInstanceUID, []string{"1.2.3.4"}),
				element(tag.Rows, []int{1}),
			}})
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := library.Parse(bytes.NewReader(written.Bytes()), int64(written.Len()), nil)
			if err != nil {
				t.Fatal(err)
			}
			value := func(tg tag.Tag) string {
				e, err := parsed.FindElementByTag(tg)
				if err != nil {
					t.Fatal(err)
				}
				return library.MustGetStrings(e.Value)[0]
			}
			wanted := dicom.Identity{
				SOPClassUID:                value(tag.SOPClassUID),
				SOPInstanceUID:             value(tag.SOPInstanceUID),
				StudyInstanceUID:           value(tag.StudyInstanceUID),
				SeriesInstanceUID:          value(tag.SeriesInstanceUID),
				TransferSyntaxUID:          value(tag.TransferSyntaxUID),
				MediaStorageSOPClassUID:    value(tag.MediaStorageSOPClassUID),
				MediaStorageSOPInstanceUID: value(tag.MediaStorageSOPInstanceUID),
			}
			got, err := dicom.Identify(bytes.NewReader(written.Bytes()), wholeWindow)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("identity (-library +got):\n%s", diff)
			}
		})
	}
}
