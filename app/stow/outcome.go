package stow

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/s3store"
)

// outcome is what became of one part.
type outcome struct {
	id      dicom.Identity
	upload  *s3store.Upload // nil: failed before step 5
	warning Reason
	reason  Reason // zero: stored
	service bool   // the failure is the service's or its storage's, not the sender's
	err     error  // for the log only
}

// settle waits for S3's acknowledgement.
func (o *outcome) settle() {
	if o.upload == nil {
		return
	}
	if err := o.upload.Wait(); err != nil {
		s := situationOf(err)
		o.err, o.reason, o.service = err, s.reason, s.service
	}
}

// sopInstanceUID is the instance's UID for the answer, when it has one that can be
// given: that of the dataset, or of the File Meta where the dataset has none.
func (o *outcome) sopInstanceUID() string {
	for _, uid := range []string{o.id.SOPInstanceUID, o.id.MediaStorageSOPInstanceUID} {
		if uid != "" {
			if dicom.ValidUID(uid) {
				return uid
			}
			return ""
		}
	}
	return ""
}

func (o *outcome) sopClassUID() string {
	if dicom.ValidUID(o.id.SOPClassUID) {
		return o.id.SOPClassUID
	}
	return ""
}

// tally counts the outcomes of a request.
type tally struct {
	stored, failed, warnings int
	service                  int // failures that are the service's or its storage's
	unparsable               int // failures in Other Failures with ReasonCannotUnderstand
}

// status is the status code of the answer (PS3.18 Table 10.5.3-1). bodyErr is
// what ended the body early, if anything did.
func (t tally) status(bodyErr error) int {
	switch {
	case t.stored > 0 && t.failed == 0 && t.warnings == 0 && bodyErr == nil:
		return http.StatusOK
	case t.stored > 0:
		return http.StatusAccepted
	case t.failed > 0 && t.service == t.failed:
		return http.StatusServiceUnavailable // an outage, not a conflict: the sender must come again
	case bodyErr != nil:
		return situationOf(fromBody(bodyErr)).status
	case t.failed == t.unparsable: // no part at all, too
		return http.StatusBadRequest
	}
	return http.StatusConflict
}

// report is step 6: the Store Instances Response Module of the outcomes, in the order of the parts.
func report(outcomes []*outcome, wadoURL string) (Response, tally) {
	var r Response
	var t tally
	study, studies := "", 0
	for _, o := range outcomes {
		if o.reason != 0 {
			t.failed++
			if o.service {
				t.service++
			}
			if uid := o.sopInstanceUID(); uid != "" {
				r.Failed = append(r.Failed, Failed{SOPClassUID: o.sopClassUID(), SOPInstanceUID: uid, FailureReason: o.reason})
				continue
			}
			r.OtherFailures = append(r.OtherFailures, o.reason)
			if o.reason == ReasonCannotUnderstand {
				t.unparsable++
			}
			continue
		}
		t.stored++
		if o.warning != 0 {
			t.warnings++
		}
		if o.id.StudyInstanceUID != study {
			study = o.id.StudyInstanceUID
			studies++
		}
		stored := Referenced{SOPClassUID: o.id.SOPClassUID, SOPInstanceUID: o.id.SOPInstanceUID, WarningReason: o.warning}
		if wadoURL != "" {
			stored.RetrieveURL = wadoURL + "/studies/" + study + "/series/" + o.id.SeriesInstanceUID + "/instances/" + o.id.SOPInstanceUID
		}
		r.Referenced = append(r.Referenced, stored)
	}
	if studies == 1 && wadoURL != "" {
		r.RetrieveURL = wadoURL + "/studies/" + study
	}
	return r, t
}

// maxWarnings is the number of Warning headers at most: clients limit the size of headers.
const maxWarnings = 8

// describe sets the response headers of PS3.18 Table 10.5.3-2: where the study
// can be retrieved, if it is one and WADOURL tells, and a Warning (§10.5.3.2, in
// the syntax of RFC 7234 §5.5) with the reasons why instances were not stored; with
// metadata and bulkdata, also what could not be built, and why.
func describe(header http.Header, r Response, t tally, outcomes []*outcome) {
	if r.RetrieveURL != "" {
		header.Set("Location", r.RetrieveURL)
		header.Set("Content-Location", r.RetrieveURL)
	}
	reasons := slices.Clone(r.OtherFailures)
	for _, f := range r.Failed {
		reasons = append(reasons, f.FailureReason)
	}
	if len(reasons) == 0 {
		return
	}
	slices.Sort(reasons)
	var words []string
	for _, reason := range slices.Compact(reasons) {
		words = append(words, reason.Hex())
	}
	header.Set("Warning", fmt.Sprintf(`299 stowrs-to-s3 "%d of %d not stored: %s"`, t.failed, t.failed+t.stored, strings.Join(words, " ")))
	for _, o := range outcomes {
		var build *buildError // names what the sender has to mend, and no value of an attribute
		if errors.As(o.err, &build) && len(header["Warning"]) < maxWarnings {
			header.Add("Warning", fmt.Sprintf(`299 stowrs-to-s3 "%s"`, printable(strings.ReplaceAll(build.Error(), `"`, "'"))))
		}
	}
}
