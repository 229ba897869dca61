package client

import "stowrs-to-s3/app/storeresponse"

// instance is one DICOM file and its outcome. Only the goroutine that sends it uses it.
type instance struct {
	candidate
	sopClassUID       string
	studyInstanceUID  string
	seriesInstanceUID string
	sopInstanceUID    string // answers name the instance by it; empty only if the file could not be identified

	crc64nvme uint64 // of the bytes that the latest request sent, if sentWhole
	sentWhole bool   // the latest request sent all bytes

	fate       fate
	reason     storeresponse.Reason // of the failure, or of the latest one while pending; zero: see detail
	detail     string               // the failure in words; empty if reason is enough
	warning    storeresponse.Reason // of a stored instance; zero: none
	attempts   int                  // requests that carried the instance
	unanswered bool                 // a request that carried the instance got no answer: it may be stored
	unverified bool                 // counts as stored, because it was a duplicate after such a request
	begun      bool                 // the journal has the outcome "sending" for it
	told       bool                 // the fate is counted, and written into the journal
}

type fate int

const (
	pending fate = iota // not yet answered, or to be sent again
	stored              // reported in ReferencedSOPSequence
	failed
)

func (i *instance) store(warning storeresponse.Reason) {
	i.fate, i.warning, i.reason, i.detail = stored, warning, 0, ""
}

// fail records a failure that another attempt would not change. But if the answer to an earlier request was lost,
// and the instance is a duplicate now, it counts as stored and unverified: no answer has confirmed
// that the stored bytes are these.
func (i *instance) fail(reason storeresponse.Reason, detail string) {
	if reason == storeresponse.ReasonDuplicateInstance && i.unanswered {
		i.store(0)
		i.unverified = true
		return
	}
	i.fate = failed
	i.remember(reason, detail)
}

// remember keeps why an attempt failed. It is reported if no attempt is left.
func (i *instance) remember(reason storeresponse.Reason, detail string) {
	i.reason, i.detail = reason, detail
}

func pendingOf(instances []*instance) []*instance {
	var pendings []*instance
	for _, i := range instances {
		if i.fate == pending {
			pendings = append(pendings, i)
		}
	}
	return pendings
}

func bytesOf(instances []*instance) int64 {
	var n int64
	for _, i := range instances {
		n += i.size
	}
	return n
}
