// Package references is the Storage Commitment Request Module and the Storage Commitment Response Module (PS3.18 Annex J):
// the instances in a request, and those that an answer commits to. It reads and writes both modules, as DICOM
// JSON Model (PS3.18 Annex F) and as Native DICOM Model (PS3.19 Annex A). Server and client both use it.
package references

import (
	"cmp"
	"slices"

	"stowrs-to-s3/app/storeresponse"
)

// Reference is one instance of a module. In a request, FailureReason is zero.
type Reference struct {
	Series         *Series // nil: the reference is from the Referenced or Failed SOP Sequence, which name no study
	SOPClassUID    string  // as in the request; empty: none
	SOPInstanceUID string
	FailureReason  storeresponse.Reason // (0008,1197) of PS3.3 §C.14.1.1; zero: committed
}

// Series is the place of instances. References of one series may share it.
type Series struct{ StudyInstanceUID, SeriesInstanceUID string }

// Reasons of PS3.3 §C.14.1.1 that this service gives.
const (
	// ReasonProcessingFailure: the request does not say in which study the instance is.
	ReasonProcessingFailure storeresponse.Reason = 0x0110
	// ReasonNoSuchInstance: the instance is not stored.
	ReasonNoSuchInstance storeresponse.Reason = 0x0112
)

// ComparePlace orders references by study, series and instance, those without a study first.
func ComparePlace(a, b Reference) int {
	return cmp.Or(compareSeries(a.Series, b.Series), cmp.Compare(a.SOPInstanceUID, b.SOPInstanceUID), cmp.Compare(a.SOPClassUID, b.SOPClassUID))
}

// compareGroup orders references as in a module: by study, series, SOP Class and instance.
func compareGroup(a, b Reference) int {
	return cmp.Or(compareSeries(a.Series, b.Series), cmp.Compare(a.SOPClassUID, b.SOPClassUID), cmp.Compare(a.SOPInstanceUID, b.SOPInstanceUID))
}

func compareSeries(a, b *Series) int {
	switch {
	case a == b:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return cmp.Or(cmp.Compare(a.StudyInstanceUID, b.StudyInstanceUID), cmp.Compare(a.SeriesInstanceUID, b.SeriesInstanceUID))
}

// Sort puts references into the order that Write needs, in place.
func Sort(all []Reference) { slices.SortFunc(all, compareGroup) }

// SamePlace says whether two references name the same instance, whatever class they have.
func SamePlace(a, b Reference) bool {
	return a.SOPInstanceUID == b.SOPInstanceUID && compareSeries(a.Series, b.Series) == 0
}
