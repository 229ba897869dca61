package storeresponse

import (
	"iter"
	"slices"
)

// Media types of the Store Instances Response Module (PS3.18 §10.5.3.3).
// They carry no charset parameter: dicomweb-client compares them for equality.
const (
	MediaTypeJSON = "application/dicom+json"
	MediaTypeXML  = "application/dicom+xml"
)

// Module is the Store Instances Response Module (PS3.18 Table I.1-1) as Encode
// writes it. Each sequence is iterated once per call of Encode; nil has no items.
type Module struct {
	RetrieveURL   string               // (0008,1190) of the study; empty when unknown or more than one
	Failed        iter.Seq[Failed]     // FailedSOPSequence (0008,1198)
	Referenced    iter.Seq[Referenced] // ReferencedSOPSequence (0008,1199): stored
	OtherFailures iter.Seq[Reason]     // OtherFailuresSequence (0008,119A): parts without a SOP Instance UID
}

// Response is a Module in memory.
type Response struct {
	RetrieveURL   string
	Failed        []Failed
	Referenced    []Referenced
	OtherFailures []Reason
}

// Module returns r as a Module.
func (r Response) Module() Module {
	return Module{r.RetrieveURL, slices.Values(r.Failed), slices.Values(r.Referenced), slices.Values(r.OtherFailures)}
}

// Referenced is one stored instance.
type Referenced struct {
	SOPClassUID    string
	SOPInstanceUID string
	RetrieveURL    string // of the instance; empty when WADOURL is not set
	WarningReason  Reason // zero: none
}

// Failed is one instance that was not stored, though its SOP Instance UID is known.
type Failed struct {
	SOPClassUID    string // empty when the instance has none
	SOPInstanceUID string
	FailureReason  Reason
}

// Attribute is an attribute of a module, with its tag (eight hexadecimal digits, upper case), VR and keyword of PS3.6.
type Attribute struct{ Tag, VR, Keyword string }

var (
	attrSOPClassUID    = Attribute{"00081150", "UI", "ReferencedSOPClassUID"}
	attrSOPInstanceUID = Attribute{"00081155", "UI", "ReferencedSOPInstanceUID"}
	attrRetrieveURL    = Attribute{"00081190", "UR", "RetrieveURL"}
	attrWarningReason  = Attribute{"00081196", "US", "WarningReason"}
	attrFailureReason  = Attribute{"00081197", "US", "FailureReason"}
	attrFailed         = Attribute{"00081198", "SQ", "FailedSOPSequence"}
	attrReferenced     = Attribute{"00081199", "SQ", "ReferencedSOPSequence"}
	attrOtherFailures  = Attribute{"0008119A", "SQ", "OtherFailuresSequence"}
)
