package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/frame"
	"github.com/suyashkumar/dicom/pkg/tag"
)

// UIDs of the samples. Those under 2.25 are random UUIDs as decimals (PS3.5
// §B.2), drawn once; they must not change, so that a second run makes the same
// instances and not new ones.
const (
	ctImageStorage         = "1.2.840.10008.5.1.4.1.1.2"
	explicitVRLittleEndian = "1.2.840.10008.1.2.1"

	studyInstanceUID       = "2.25.289846586119708389785202274281271797771"
	seriesInstanceUID      = "2.25.332186317171759427161372578703086236904"
	frameOfReferenceUID    = "2.25.121793799598719249505788401017357038852"
	implementationClassUID = "2.25.69122312368243372703891487562938473294"
)

// implementationVersionName names the writer in the file meta information; it
// has at most 16 characters (PS3.10 Table 7.1-1, SH).
const implementationVersionName = "STOWRS-PHANTOM-1"

// rescaleIntercept is the value in Hounsfield units of stored value 0, so that
// air, at -1000 HU, is still a positive number (PS3.3 §C.8.2.1).
const rescaleIntercept = -1024

// A brain window: 0 to 80 HU from black to white (PS3.3 §C.11.2.1.2).
const (
	windowCenterHU = 40
	windowWidthHU  = 80
)

// slice is what differs between the instances.
type slice struct {
	fileName       string
	sopInstanceUID string
	instanceNumber int
	positionMM     float64 // z in the patient coordinate system, towards the head
}

// series are the instances, from the neck to the crown.
var series = []slice{
	{"slice-1.dcm", "2.25.204323656306592224556198627257499024338", 1, -30},
	{"slice-2.dcm", "2.25.169066455853260293462639879234844754963", 2, 0},
	{"slice-3.dcm", "2.25.195259198089348517978189340289002023977", 3, 30},
}

// attribute is one data element before it is given to the library, which looks
// up the value representation.
type attribute struct {
	tag   tag.Tag
	value any
}

// text returns the values as the library wants those of every text
// representation, numbers in decimal included. No value at all makes an element
// of length zero, which type 2 allows (PS3.5 §7.4.3).
func text(values ...string) []string { return values }

// number returns v as a decimal string (DS or IS, PS3.5 §6.2).
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// attributes returns a whole CT Image Storage instance (PS3.3 §A.3), its file
// meta information first and in the order of the tags, as PS3.5 §7.1 demands.
// The group length and the preamble are the library's.
func attributes(s slice, img *plane) []attribute {
	// The position is that of the middle of the first pixel (PS3.3 §C.7.6.2.1.1).
	firstPixelMM := number((0.5 - columns/2) * pixelSpacingMM)
	return []attribute{
		// File meta information, PS3.10 §7.1.
		{tag.FileMetaInformationVersion, []byte{0, 1}},
		{tag.MediaStorageSOPClassUID, text(ctImageStorage)},
		{tag.MediaStorageSOPInstanceUID, text(s.sopInstanceUID)},
		{tag.TransferSyntaxUID, text(explicitVRLittleEndian)},
		{tag.ImplementationClassUID, text(implementationClassUID)},
		{tag.ImplementationVersionName, text(implementationVersionName)},

		// Identification: study, series, instance and equipment.
		{tag.ImageType, text("DERIVED", "SECONDARY", "AXIAL")},
		{tag.SOPClassUID, text(ctImageStorage)},
		{tag.SOPInstanceUID, text(s.sopInstanceUID)},
		{tag.StudyDate, text("20260101")},
		{tag.SeriesDate, text("20260101")},
		{tag.AcquisitionDate, text("20260101")},
		{tag.ContentDate, text("20260101")},
		{tag.StudyTime, text("120000")},
		{tag.SeriesTime, text("120000")},
		{tag.AcquisitionTime, text("120000")},
		{tag.ContentTime, text("120000")},
		{tag.AccessionNumber, text()},
		{tag.Modality, text("CT")},
		{tag.Manufacturer, text("stowrs-to-s3")},
		{tag.ReferringPhysicianName, text()},
		{tag.StudyDescription, text("Synthetic head phantom")},
		{tag.SeriesDescription, text("Shepp-Logan, axial")},
		{tag.ManufacturerModelName, text("phantom")},
		{tag.DerivationDescription, text("Computed from ellipsoids; nobody was scanned")},

		// The patient, who does not exist.
		{tag.PatientName, text("Phantom^Shepp-Logan")},
		{tag.PatientID, text("SYNTHETIC-0001")},
		{tag.PatientBirthDate, text()},
		{tag.PatientSex, text("O")},

		// Acquisition: there was none, so no tube had a voltage.
		{tag.BodyPartExamined, text("HEAD")},
		{tag.SliceThickness, text("1")},
		{tag.KVP, text()},
		{tag.SoftwareVersions, text(implementationVersionName)},
		{tag.PatientPosition, text("HFS")},

		// Relationship and geometry: axial, seen from the feet.
		{tag.StudyInstanceUID, text(studyInstanceUID)},
		{tag.SeriesInstanceUID, text(seriesInstanceUID)},
		{tag.StudyID, text("1")},
		{tag.SeriesNumber, text("1")},
		{tag.AcquisitionNumber, text("1")},
		{tag.InstanceNumber, text(strconv.Itoa(s.instanceNumber))},
		{tag.ImagePositionPatient, text(firstPixelMM, firstPixelMM, number(s.positionMM))},
		{tag.ImageOrientationPatient, text("1", "0", "0", "0", "1", "0")},
		{tag.FrameOfReferenceUID, text(frameOfReferenceUID)},
		{tag.PositionReferenceIndicator, text()},
		{tag.SliceLocation, text(number(s.positionMM))},

		// Pixels: 12 of 16 bits, unsigned.
		{tag.SamplesPerPixel, []int{1}},
		{tag.PhotometricInterpretation, text("MONOCHROME2")},
		{tag.Rows, []int{rows}},
		{tag.Columns, []int{columns}},
		{tag.PixelSpacing, text(number(pixelSpacingMM), number(pixelSpacingMM))},
		{tag.BitsAllocated, []int{16}},
		{tag.BitsStored, []int{12}},
		{tag.HighBit, []int{11}},
		{tag.PixelRepresentation, []int{0}},
		{tag.BurnedInAnnotation, text("NO")},
		{tag.WindowCenter, text(number(windowCenterHU))},
		{tag.WindowWidth, text(number(windowWidthHU))},
		{tag.RescaleIntercept, text(number(rescaleIntercept))},
		{tag.RescaleSlope, text("1")},
		{tag.RescaleType, text("HU")},
		{tag.PixelData, pixelData(img)},
	}
}

// pixelData returns img as stored values: Hounsfield units less the intercept.
func pixelData(img *plane) dicom.PixelDataInfo {
	native := frame.NewNativeFrame[uint16](16, rows, columns, rows*columns, 1)
	for r, row := range img {
		for c, hu := range row {
			native.RawData[r*columns+c] = uint16(hu - rescaleIntercept) //nolint:gosec // 12 bits stored
		}
	}
	return dicom.PixelDataInfo{Frames: []*frame.Frame{{NativeData: native}}}
}

// writeInstance writes the slice as a DICOM file (PS3.10 §7) in explicit VR
// little endian.
func writeInstance(name string, s slice, img *plane) error {
	var dataset dicom.Dataset
	for _, a := range attributes(s, img) {
		element, err := dicom.NewElement(a.tag, a.value)
		if err != nil {
			return fmt.Errorf("element %v: %w", a.tag, err)
		}
		dataset.Elements = append(dataset.Elements, element)
	}
	var file bytes.Buffer
	if err := dicom.Write(&file, dataset); err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return os.WriteFile(name, file.Bytes(), 0o644) //nolint:gosec // to be read by everyone
}
