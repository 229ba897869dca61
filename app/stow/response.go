package stow

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// Media types of the Store Instances Response Module (PS3.18 §10.5.3.3).
// They carry no charset parameter: dicomweb-client compares them for equality.
const (
	MediaTypeJSON = "application/dicom+json"
	MediaTypeXML  = "application/dicom+xml"
)

// Response is the Store Instances Response Module (PS3.18 Table I.1-1).
type Response struct {
	RetrieveURL   string       // (0008,1190) of the study; empty when unknown or more than one
	Referenced    []Referenced // ReferencedSOPSequence (0008,1199): stored
	Failed        []Failed     // FailedSOPSequence (0008,1198)
	OtherFailures []Reason     // OtherFailuresSequence (0008,119A): parts without a SOP Instance UID
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

// The attributes of the module, with the VR and keyword of PS3.6.
var (
	tagSOPClassUID     = attribute{Tag: "00081150", VR: "UI", Keyword: "ReferencedSOPClassUID"}
	tagSOPInstanceUID  = attribute{Tag: "00081155", VR: "UI", Keyword: "ReferencedSOPInstanceUID"}
	tagRetrieveURL     = attribute{Tag: "00081190", VR: "UR", Keyword: "RetrieveURL"}
	tagWarningReason   = attribute{Tag: "00081196", VR: "US", Keyword: "WarningReason"}
	tagFailureReason   = attribute{Tag: "00081197", VR: "US", Keyword: "FailureReason"}
	tagFailedSequence  = attribute{Tag: "00081198", VR: "SQ", Keyword: "FailedSOPSequence"}
	tagReferencedSeq   = attribute{Tag: "00081199", VR: "SQ", Keyword: "ReferencedSOPSequence"}
	tagOtherFailureSeq = attribute{Tag: "0008119A", VR: "SQ", Keyword: "OtherFailuresSequence"}
)

// Marshal encodes the module as one DICOM JSON object (PS3.18 Annex F) or, for
// MediaTypeXML, as one Native DICOM Model document (PS3.19 Annex A). Sequences
// without items are left out: dcm4chee's exporter fails on an empty FailedSOPSequence.
func (r Response) Marshal(mediaType string) ([]byte, error) {
	if mediaType == MediaTypeXML {
		body, err := xml.Marshal(nativeModel{Attributes: r.dataset().xml()})
		if err != nil {
			return nil, fmt.Errorf("encode response module: %w", err)
		}
		return append([]byte(xml.Header), body...), nil
	}
	body, err := json.Marshal(r.dataset().json())
	if err != nil {
		return nil, fmt.Errorf("encode response module: %w", err)
	}
	return body, nil
}

// ParseResponse decodes what Marshal encodes, and what other STOW-RS servers
// answer: hexadecimal tags in either case, reasons as numbers or as strings,
// and the one-element array that some servers wrap around the object.
// A mediaType that names XML is read as Native DICOM Model, all others as JSON.
func ParseResponse(mediaType string, body []byte) (Response, error) {
	var data dataset
	var err error
	if strings.Contains(strings.ToLower(mediaType), "xml") {
		data, err = parseXML(body)
	} else {
		data, err = parseJSON(body)
	}
	if err != nil {
		return Response{}, fmt.Errorf("decode response module: %w", err)
	}
	r := Response{RetrieveURL: data.value(tagRetrieveURL)}
	for _, item := range data.items(tagReferencedSeq) {
		r.Referenced = append(r.Referenced, Referenced{
			SOPClassUID:    item.value(tagSOPClassUID),
			SOPInstanceUID: item.value(tagSOPInstanceUID),
			RetrieveURL:    item.value(tagRetrieveURL),
			WarningReason:  parseReason(item.value(tagWarningReason)),
		})
	}
	for _, item := range data.items(tagFailedSequence) {
		r.Failed = append(r.Failed, Failed{
			SOPClassUID:    item.value(tagSOPClassUID),
			SOPInstanceUID: item.value(tagSOPInstanceUID),
			FailureReason:  parseReason(item.value(tagFailureReason)),
		})
	}
	for _, item := range data.items(tagOtherFailureSeq) {
		r.OtherFailures = append(r.OtherFailures, parseReason(item.value(tagFailureReason)))
	}
	return r, nil
}

// dataset lays the module out in ascending tag order.
func (r Response) dataset() dataset {
	data := dataset{tagRetrieveURL.with(r.RetrieveURL)}
	var failed, referenced, other []dataset
	for _, f := range r.Failed {
		failed = append(failed, dataset{
			tagSOPClassUID.with(f.SOPClassUID),
			tagSOPInstanceUID.with(f.SOPInstanceUID),
			tagFailureReason.with(f.FailureReason.decimal()),
		})
	}
	for _, s := range r.Referenced {
		item := dataset{
			tagSOPClassUID.with(s.SOPClassUID),
			tagSOPInstanceUID.with(s.SOPInstanceUID),
			tagRetrieveURL.with(s.RetrieveURL),
		}
		if s.WarningReason != 0 {
			item = append(item, tagWarningReason.with(s.WarningReason.decimal()))
		}
		referenced = append(referenced, item)
	}
	for _, reason := range r.OtherFailures {
		other = append(other, dataset{tagFailureReason.with(reason.decimal())})
	}
	data = data.sequence(tagFailedSequence, failed)
	data = data.sequence(tagReferencedSeq, referenced)
	return data.sequence(tagOtherFailureSeq, other)
}

func (r Reason) decimal() string { return strconv.Itoa(int(r)) }

// parseReason takes zero for what is no 16-bit number.
func parseReason(s string) Reason {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return Reason(n)
}
