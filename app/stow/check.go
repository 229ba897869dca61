package stow

import (
	"errors"
	"fmt"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/storeresponse"
)

// Errors of step 4.
var (
	errInvalidUID = errors.New("is not a UID")
	errOtherStudy = errors.New("StudyInstanceUID differs from the study in the URL")
)

// check is step 4: it refuses what must not be stored, or not under this URL.
// The UIDs become the object's key, so nothing but digits and dots may pass (PS3.5 §9.1).
func check(id dicom.Identity, study string) error {
	for _, uid := range []struct{ keyword, value string }{
		{"SOPInstanceUID", id.SOPInstanceUID},
		{"StudyInstanceUID", id.StudyInstanceUID},
		{"SeriesInstanceUID", id.SeriesInstanceUID},
		{"SOPClassUID", id.SOPClassUID},
	} {
		if !dicom.ValidUID(uid.value) {
			return fmt.Errorf("%s %w", uid.keyword, errInvalidUID)
		}
	}
	// PS3.18 §10.5.1.4: every instance shall have the Study Instance UID of the target.
	if study != "" && id.StudyInstanceUID != study {
		return errOtherStudy
	}
	return nil
}

// warning is the Warning Reason of an instance that is stored although it
// contradicts itself (PS3.10 §7.1: File Meta repeats class and instance of the dataset).
func warning(id dicom.Identity) storeresponse.Reason {
	differ := func(meta, dataset string) bool { return meta != "" && meta != dataset }
	if differ(id.MediaStorageSOPInstanceUID, id.SOPInstanceUID) || differ(id.MediaStorageSOPClassUID, id.SOPClassUID) {
		return storeresponse.ReasonWarnMismatch
	}
	return 0
}
