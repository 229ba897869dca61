// Package storeresponse is the Store Instances Response Module (PS3.18 Annex I): its statuses, and how it
// is written and read in JSON and XML. Both server and client use it.
package storeresponse

import "fmt"

// Reason is a Failure Reason (0008,1197) or a Warning Reason (0008,1196):
// an unsigned 16-bit status of PS3.18 Tables I.2-1 and I.2-2, or of PS3.7 Annex C.
// Zero means neither a failure nor a warning.
type Reason uint16

// The reasons this service gives, and when. docs/conformance.md lists the same.
const (
	// ReasonProcessingFailure: S3 refused or failed the instance after all retries (PS3.18 Table I.2-2).
	ReasonProcessingFailure Reason = 0x0110
	// ReasonDuplicateInstance: ONDUPLICATE=reject and the key holds other bytes (PS3.7 §C.5.7).
	ReasonDuplicateInstance Reason = 0x0111
	// ReasonInvalidInstance: a UID breaks the syntax of PS3.5 §9.1 (PS3.7 §C.5.12).
	ReasonInvalidInstance Reason = 0x0117
	// ReasonMissingAttribute: a UID that names the instance is absent (PS3.7 §C.5.13).
	ReasonMissingAttribute Reason = 0x0120
	// ReasonMissingAttributeValue: a UID that names the instance is empty (PS3.7 §C.5.14).
	ReasonMissingAttributeValue Reason = 0x0121
	// ReasonOutOfResources: over a size limit, or S3 asked to slow down (PS3.18 Table I.2-2, A7xx).
	ReasonOutOfResources Reason = 0xA700
	// ReasonStudyMismatch: the instance belongs to another study than the URL names (PS3.18 Table I.2-2, A9xx).
	ReasonStudyMismatch Reason = 0xA901
	// ReasonWarnMismatch: stored, though File Meta and dataset name different SOP classes or instances (PS3.18 Table I.2-1).
	ReasonWarnMismatch Reason = 0xB007
	// ReasonCannotUnderstand: not DICOM, or the body ended within it (PS3.18 Table I.2-2, Cxxx).
	ReasonCannotUnderstand Reason = 0xC000
)

// String returns the reason in words; for unknown reasons, which other servers may send, their number and class.
func (r Reason) String() string {
	switch r {
	case ReasonProcessingFailure:
		return "processing failure: the storage behind the service failed"
	case ReasonDuplicateInstance:
		return "duplicate SOP instance: other bytes are stored under the same UIDs"
	case ReasonInvalidInstance:
		return "invalid SOP instance: a UID breaks the rules of PS3.5 §9.1"
	case ReasonMissingAttribute:
		return "missing attribute: a Study, Series, SOP Class or SOP Instance UID is absent"
	case ReasonMissingAttributeValue:
		return "missing attribute value: a Study, Series, SOP Class or SOP Instance UID is empty"
	case 0x0122:
		return "SOP class not supported"
	case 0x0124:
		return "not authorized"
	case 0xC122:
		return "transfer syntax not supported"
	case ReasonOutOfResources:
		return "out of resources: over a size limit, or the storage is overloaded"
	case ReasonStudyMismatch:
		return "the instance belongs to another study than the request names"
	case ReasonWarnMismatch:
		return "file meta and dataset name different SOP classes or instances"
	case ReasonCannotUnderstand:
		return "cannot understand: not DICOM, damaged, or cut off"
	}
	switch {
	case r>>8 == 0xA7:
		return "out of resources"
	case r>>8 == 0xA9:
		return "data set does not match SOP class"
	case r>>12 == 0xC:
		return "cannot understand"
	case r>>12 == 0xB:
		return "warning"
	}
	return fmt.Sprintf("status %04X", uint16(r))
}

// Temporary reports whether the same instance may succeed when it is sent again:
// the cause of its failure was the storage, not the instance.
func (r Reason) Temporary() bool {
	return r == ReasonProcessingFailure || r == ReasonOutOfResources
}

// Hex returns the reason as the standard writes it: four hexadecimal digits.
func (r Reason) Hex() string { return fmt.Sprintf("%04X", uint16(r)) }
