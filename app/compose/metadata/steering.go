package metadata

import (
	"bytes"
	"fmt"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// steers says whether an attribute names the instance, says how its text is encoded,
// or describes its image. What reads them must find them as PS3.6 has them: they
// cannot be bulkdata, and have no other VR and no more values than there.
func steers(t tag.Tag) bool {
	switch t {
	case tag.SOPClassUID, tag.SOPInstanceUID, tag.StudyInstanceUID, tag.SeriesInstanceUID, tag.SpecificCharacterSet,
		tag.SamplesPerPixel, tag.PhotometricInterpretation, tag.PlanarConfiguration, tag.NumberOfFrames, tag.FrameIncrementPointer,
		tag.Rows, tag.Columns, tag.BitsAllocated, tag.BitsStored, tag.HighBit, tag.PixelRepresentation,
		tag.FrameTime, tag.LossyImageCompression, tag.LossyImageCompressionMethod:
		return true
	}
	return false
}

// DescribesEncapsulation says whether an attribute tells where the frames are in encapsulated Pixel Data, or how long these are: Extended
// Offset Table, its Lengths, and Encapsulated Pixel Data Value Total Length (PS3.3 §C.7.6.3.1.8). They are true only for the
// fragments that their sender had, and are optional, so they are left out as group lengths are; a Hole of one takes its bulkdata and drops them.
func DescribesEncapsulation(t tag.Tag) bool {
	return t.Group == tag.PixelData.Group && t.Element >= tag.ExtendedOffsetTable.Element && t.Element <= tag.ExtendedOffsetTableLengths.Element+1
}

// hasOtherVR notes that an attribute that steers has another VR than PS3.6 says.
func (b *builder) hasOtherVR(a *attribute, vr string) bool {
	want := dictionaryVR(a.tag)
	if vr == want || !steers(a.tag) {
		return false
	}
	b.wrong(a.tag, fmt.Sprintf("has the VR %.2q, PS3.6 says %s", vr, want))
	return true
}

// hasSeveral says whether the value of an attribute that steers is several values,
// where PS3.6 has one.
func hasSeveral(t tag.Tag, vr string, value []byte) bool {
	if info, err := tag.Find(t); err != nil || info.VM != "1" || !steers(t) {
		return false
	}
	return vr == "US" && len(value) > 2 || vr != "US" && bytes.IndexByte(value, '\\') >= 0
}
