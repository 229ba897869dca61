package stow

import (
	"context"
	"errors"
	"fmt"

	"stowrs-to-s3/app/dicom"
)

// identityReason is the Failure Reason of an instance that could not be named, or of what was not read of a request.
func identityReason(err error) Reason {
	var missing *dicom.UIDError
	var build *buildError
	switch {
	case errors.As(err, &build):
		return build.reason
	case errors.As(err, &missing) && missing.Empty:
		return ReasonMissingAttributeValue
	case errors.As(err, &missing):
		return ReasonMissingAttribute
	case errors.Is(err, errRequestTooLarge), errors.Is(err, errTooManyParts), errors.Is(err, errStopping), errors.Is(err, context.Canceled):
		return ReasonOutOfResources
	}
	return ReasonCannotUnderstand
}

// check is step 4: it refuses what must not be stored, or not under this URL.
// The UIDs become the object's key, so nothing but digits and dots may pass (PS3.5 §9.1).
func check(id dicom.Identity, study string) (Reason, error) {
	for _, uid := range []struct{ keyword, value string }{
		{"SOPInstanceUID", id.SOPInstanceUID},
		{"StudyInstanceUID", id.StudyInstanceUID},
		{"SeriesInstanceUID", id.SeriesInstanceUID},
		{"SOPClassUID", id.SOPClassUID},
	} {
		if !dicom.ValidUID(uid.value) {
			return ReasonInvalidInstance, fmt.Errorf("%s is not a UID", uid.keyword)
		}
	}
	// PS3.18 §10.5.1.4: every instance shall have the Study Instance UID of the target.
	if study != "" && id.StudyInstanceUID != study {
		return ReasonStudyMismatch, errors.New("StudyInstanceUID differs from the study in the URL")
	}
	return 0, nil
}

// warning is the Warning Reason of an instance that is stored although it
// contradicts itself (PS3.10 §7.1: File Meta repeats class and instance of the dataset).
func warning(id dicom.Identity) Reason {
	differ := func(meta, dataset string) bool { return meta != "" && meta != dataset }
	if differ(id.MediaStorageSOPInstanceUID, id.SOPInstanceUID) || differ(id.MediaStorageSOPClassUID, id.SOPClassUID) {
		return ReasonWarnMismatch
	}
	return 0
}
