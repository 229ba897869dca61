package stow

import (
	"context"
	"errors"
	"net/http"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/s3store"
)

// situation is what a cause means for the answer.
type situation struct {
	cause func(error) bool
	// reason is the Failure Reason of the instance (PS3.18 Table I.2-2).
	reason Reason
	// service: the service or its storage is to blame, and the sender must come again.
	// A request that has no other failures, and of which nothing is stored, gets 503.
	service bool
	// endsBody: nothing more of the body can be read. Else the cause harms one instance.
	endsBody bool
	// status is that of the answer when the cause ended the body and nothing is stored (PS3.18 Table 10.5.3-1, §8.5).
	status int
}

// situations is the one table of causes, of which the first that fits counts.
// docs/conformance.md says the same by statuses and reasons.
var situations = []situation{
	// One instance of metadata and bulkdata cannot be built; its error has the reason.
	{is[*buildError], 0, false, false, http.StatusConflict},
	// The service is cut, or has no memory for metadata at the moment.
	{wraps(errStopping), ReasonOutOfResources, true, true, http.StatusServiceUnavailable},
	{wraps(context.Canceled), ReasonOutOfResources, true, true, http.StatusServiceUnavailable},
	{wraps(errMetadataBusy), ReasonOutOfResources, true, true, http.StatusServiceUnavailable},
	// The request is over a limit.
	{wraps(errRequestTooLarge), ReasonOutOfResources, false, true, http.StatusRequestEntityTooLarge},
	{wraps(errMetadataTooLarge), ReasonOutOfResources, false, true, http.StatusRequestEntityTooLarge},
	{wraps(errTooManyParts), ReasonOutOfResources, false, true, http.StatusRequestEntityTooLarge},
	// The body breaks off, or breaks its rules.
	{wraps(errStalled), ReasonCannotUnderstand, false, true, http.StatusRequestTimeout},
	{wraps(errTruncated), ReasonCannotUnderstand, false, true, http.StatusBadRequest},
	{wraps(errInflate), ReasonCannotUnderstand, false, true, http.StatusBadRequest},
	{wraps(errPartHeader), ReasonCannotUnderstand, false, true, http.StatusBadRequest},
	{wraps(errMetadataSyntax), ReasonCannotUnderstand, false, true, http.StatusBadRequest},
	// One instance is not what it should be.
	{wraps(errPartLength), ReasonCannotUnderstand, false, false, http.StatusConflict},
	{wraps(dicom.ErrNotDICOM), ReasonCannotUnderstand, false, false, http.StatusConflict},
	{wraps(dicom.ErrWindow), ReasonCannotUnderstand, false, false, http.StatusConflict},
	{isEmptyUID, ReasonMissingAttributeValue, false, false, http.StatusConflict},
	{is[*dicom.UIDError], ReasonMissingAttribute, false, false, http.StatusConflict},
	{wraps(errInvalidUID), ReasonInvalidInstance, false, false, http.StatusConflict},
	{wraps(errOtherStudy), ReasonStudyMismatch, false, false, http.StatusConflict},
	{wraps(s3store.ErrTooLarge), ReasonOutOfResources, false, false, http.StatusConflict},
	{wraps(s3store.ErrDuplicate), ReasonDuplicateInstance, false, false, http.StatusConflict},
	// Anything else that reading the body gives, a connection that is gone most of all.
	{is[*s3store.SourceError], ReasonCannotUnderstand, false, true, http.StatusBadRequest},
	// S3, after all attempts.
	{wraps(s3store.ErrSlowDown), ReasonOutOfResources, true, false, http.StatusServiceUnavailable},
	{func(error) bool { return true }, ReasonProcessingFailure, true, false, http.StatusServiceUnavailable},
}

// situationOf finds err, which must not be nil, in the table.
func situationOf(err error) situation {
	for _, s := range situations {
		if !s.cause(err) {
			continue
		}
		var build *buildError
		if s.reason == 0 && errors.As(err, &build) {
			s.reason = build.reason
		}
		return s
	}
	panic("the last row fits all")
}

func wraps(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func is[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

func isEmptyUID(err error) bool {
	var missing *dicom.UIDError
	return errors.As(err, &missing) && missing.Empty
}

// fromBody marks an error of reading the body, so that it is not taken for one of S3.
func fromBody(err error) error { return &s3store.SourceError{Err: err} }

// endOfBody is err if it ends the body, nil if it harms one instance alone.
func endOfBody(err error) error {
	if err == nil || !situationOf(fromBody(err)).endsBody {
		return nil
	}
	return err
}

// fail is the outcome of an instance that err, of the body or of the instance itself, has hit.
func (o *outcome) fail(err error) {
	s := situationOf(fromBody(err))
	o.err, o.reason, o.service = err, s.reason, s.service
}

// emptyBody is the refusal of a request without a single part. It is never a
// success: dicomweb-client's second attempt sends an empty body.
func emptyBody(err error) error {
	if err == nil || errors.Is(err, errTruncated) {
		return refuse(http.StatusBadRequest, "the body has no part: the boundary of the Content-Type does not occur in it, or nothing lies between its boundaries")
	}
	s := situationOf(fromBody(err))
	switch s.status {
	case http.StatusRequestTimeout, http.StatusServiceUnavailable:
		return refuse(s.status, "%v; send the request again", err)
	case http.StatusRequestEntityTooLarge:
		return refuse(s.status, "%v", err)
	}
	for _, told := range []error{errInflate, errPartHeader, errMetadataSyntax} {
		if errors.Is(err, told) {
			return refuse(s.status, "%v", err)
		}
	}
	return refuse(s.status, "the body cannot be read")
}
