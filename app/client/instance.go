package client

import "stowrs-to-s3/app/storeresponse"

// instance is one DICOM file and what has become of it. While a request is under way
// only the goroutine of that request touches it.
type instance struct {
	candidate
	sopClassUID       string
	studyInstanceUID  string
	seriesInstanceUID string
	sopInstanceUID    string // by which answers name it; empty only when fate is failed from the start

	crc64nvme uint64 // of the bytes that the latest request has sent
	sentWhole bool   // those are all

	fate       fate
	reason     storeresponse.Reason // of the failure, or of the latest while pending; zero: see detail
	detail     string               // of the failure in words; empty if reason says all
	warning    storeresponse.Reason // of a stored instance; zero: none
	attempts   int                  // requests that carried the instance
	unanswered bool                 // a request that carried the instance had no answer: it may be stored
	unverified bool                 // stored, as far as a duplicate after such a request tells
	begun      bool                 // the journal says that it is on its way
	told       bool                 // the fate is counted, and in the journal
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

// fail is for what another attempt would not change. An instance that may have arrived
// with a request whose answer was lost, and is a duplicate now, is there: whether with these
// bytes nobody has said.
func (i *instance) fail(reason storeresponse.Reason, detail string) {
	if reason == storeresponse.ReasonDuplicateInstance && i.unanswered {
		i.store(0)
		i.unverified = true
		return
	}
	i.fate = failed
	i.remember(reason, detail)
}

// remember keeps why an instance is to be sent again, to be told if no attempt is left.
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
