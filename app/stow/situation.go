package stow

import (
	"context"
	"errors"
	"net/http"

	"stowrs-to-s3/app/compose"
	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/related"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/storeresponse"
)

// situation says what the cause of a failure means for the answer.
type situation struct {
	cause func(error) bool
	// reason is the Failure Reason of the instance (PS3.18 Table I.2-2).
	reason storeresponse.Reason
	// service: the service or its storage is the cause, and the sender must repeat the request.
	// A request that has no other failures, and of which nothing is stored, gets 503.
	service bool
	// endsBody: nothing more of the body can be read. Otherwise the cause harms one instance.
	endsBody bool
	// status is that of the answer when the cause ended the body and nothing is stored (PS3.18 Table 10.5.3-1, §8.5).
	status int
	// words are the message to the sender; empty: the text of the error, which then only says what the sender has to correct.
	words string
}

// situations is the one table of causes; the first one that matches counts.
// docs/conformance.md says the same by statuses and reasons.
var situations = []situation{
	// The service is cut off, or short of memory, or has a bug.
	{cause: wraps(errStopping), reason: storeresponse.ReasonOutOfResources, service: true, endsBody: true, status: http.StatusServiceUnavailable},
	{cause: wraps(context.Canceled), reason: storeresponse.ReasonOutOfResources, service: true, endsBody: true, status: http.StatusServiceUnavailable, words: errStopping.Error()},
	{cause: wraps(memory.ErrBusy), reason: storeresponse.ReasonOutOfResources, service: true, status: http.StatusServiceUnavailable},
	{cause: wraps(errPanic), reason: storeresponse.ReasonProcessingFailure, endsBody: true, status: http.StatusInternalServerError, words: errPanic.Error()},

	// The request is over a limit.
	{cause: wraps(errRequestTooLarge), reason: storeresponse.ReasonOutOfResources, endsBody: true, status: http.StatusRequestEntityTooLarge},
	{cause: wraps(memory.ErrTooMuch), reason: storeresponse.ReasonOutOfResources, endsBody: true, status: http.StatusRequestEntityTooLarge},
	{cause: wraps(errTooManyParts), reason: storeresponse.ReasonOutOfResources, endsBody: true, status: http.StatusRequestEntityTooLarge},
	{cause: wraps(compose.ErrTooMany), reason: storeresponse.ReasonOutOfResources, endsBody: true, status: http.StatusRequestEntityTooLarge},

	// The body breaks off, or breaks its rules.
	{cause: wraps(errStalled), reason: storeresponse.ReasonCannotUnderstand, endsBody: true, status: http.StatusRequestTimeout},
	{cause: wraps(related.ErrTruncated), reason: storeresponse.ReasonCannotUnderstand, endsBody: true, status: http.StatusBadRequest},
	{cause: wraps(related.ErrPartHeader), reason: storeresponse.ReasonCannotUnderstand, endsBody: true, status: http.StatusBadRequest},
	{cause: wraps(errDamaged), reason: storeresponse.ReasonCannotUnderstand, endsBody: true, status: http.StatusBadRequest},
	{cause: wraps(errUnchecked), reason: storeresponse.ReasonCannotUnderstand, endsBody: true, status: http.StatusBadRequest},
	{cause: wraps(errBroken), reason: storeresponse.ReasonCannotUnderstand, endsBody: true, status: http.StatusBadRequest, words: errBroken.Error()},

	// The metadata of several instances, or of one, are not what they should be.
	{cause: wraps(compose.ErrSyntax), reason: storeresponse.ReasonCannotUnderstand, status: http.StatusBadRequest},
	{cause: wraps(compose.ErrInvalid), reason: storeresponse.ReasonCannotUnderstand, status: http.StatusConflict},
	{cause: wraps(compose.ErrNoRoom), reason: storeresponse.ReasonOutOfResources, status: http.StatusConflict},

	// One instance is not what it should be.
	{cause: wraps(related.ErrPart), reason: storeresponse.ReasonCannotUnderstand, status: http.StatusConflict},
	{cause: wraps(dicom.ErrNotDICOM), reason: storeresponse.ReasonCannotUnderstand, status: http.StatusConflict},
	{cause: wraps(dicom.ErrNamedTwice), reason: storeresponse.ReasonCannotUnderstand, status: http.StatusConflict},
	{cause: wraps(dicom.ErrWindow), reason: storeresponse.ReasonCannotUnderstand, status: http.StatusConflict},
	{cause: isEmptyUID, reason: storeresponse.ReasonMissingAttributeValue, status: http.StatusConflict},
	{cause: is[*dicom.UIDError], reason: storeresponse.ReasonMissingAttribute, status: http.StatusConflict},
	{cause: wraps(errInvalidUID), reason: storeresponse.ReasonInvalidInstance, status: http.StatusConflict},
	{cause: wraps(errOtherStudy), reason: storeresponse.ReasonStudyMismatch, status: http.StatusConflict},
	{cause: wraps(s3store.ErrTooLarge), reason: storeresponse.ReasonOutOfResources, status: http.StatusConflict},
	{cause: wraps(s3store.ErrDuplicate), reason: storeresponse.ReasonDuplicateInstance, status: http.StatusConflict, words: s3store.ErrDuplicate.Error()},

	// Anything else is an error of S3, after RETRYTIME. Its text is only for the operator.
	{cause: wraps(s3store.ErrSlowDown), reason: storeresponse.ReasonOutOfResources, service: true, status: http.StatusServiceUnavailable, words: "the storage is overloaded: send it again later"},
	{cause: func(error) bool { return true }, reason: storeresponse.ReasonProcessingFailure, service: true, status: http.StatusServiceUnavailable, words: "the storage behind the service failed: send it again later"},
}

// situationOf finds err, which must not be nil, in the table.
func situationOf(err error) situation {
	for _, s := range situations {
		if s.cause(err) {
			if s.words == "" {
				s.words = err.Error()
			}
			s.words = storeresponse.Printable(s.words)
			return s
		}
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

// endOfBody returns err if it ends the body, and nil if it harms only one instance.
func endOfBody(err error) error {
	if err == nil || !situationOf(err).endsBody {
		return nil
	}
	return err
}

// emptyBody is the refusal of a request without a single instance. It is never a
// success: dicomweb-client's second attempt sends an empty body.
func emptyBody(err error) error {
	if err == nil || errors.Is(err, related.ErrTruncated) {
		return refuse(http.StatusBadRequest, "the body has no part: the boundary of the Content-Type does not occur in it, or nothing lies between its boundaries")
	}
	s := situationOf(err)
	return refuse(s.status, "%s", s.words)
}
