package client

import (
	"errors"
	"io"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/storeresponse"
)

// headWindow is how many bytes of a file are looked at, at least, to find its UIDs:
// the default HEADWINDOW of the service. Longer files are looked at whole if need be,
// because other services may look further.
const headWindow = 32 << 20

// identify reads the UIDs of a file. A file that is an instance without the UIDs that name
// it, or cannot be read, has failed. The error is ErrNotDICOM, only for a file that does not
// claim to be DICOM: a damaged instance must not pass for something that there was no need to send.
func identify(c candidate) (*instance, error) {
	i := &instance{candidate: c}
	file, err := c.readable()
	if err != nil {
		i.fail(0, describeFileError(err))
		return i, nil
	}
	defer file.Close()

	const prefixOffset, prefix = 128, "DICM" // PS3.10 §7.1
	head := make([]byte, len(prefix))
	_, err = file.ReadAt(head, prefixOffset)
	claimsDICOM := err == nil && string(head) == prefix

	identity, err := dicom.Identify(io.NewSectionReader(file, 0, i.size), max(headWindow, i.size+1))
	i.studyInstanceUID, i.seriesInstanceUID, i.sopInstanceUID = identity.StudyInstanceUID, identity.SeriesInstanceUID, identity.SOPInstanceUID
	i.sopClassUID = identity.SOPClassUID
	var missing *dicom.UIDError
	switch {
	case err == nil:
	case errors.As(err, &missing) && missing.Empty:
		i.fail(storeresponse.ReasonMissingAttributeValue, err.Error())
	case errors.As(err, &missing):
		i.fail(storeresponse.ReasonMissingAttribute, err.Error())
	case errors.Is(err, dicom.ErrNotDICOM) && !claimsDICOM:
		return c.notDICOM(i)
	case errors.Is(err, dicom.ErrNotDICOM):
		i.fail(storeresponse.ReasonCannotUnderstand, err.Error())
	default:
		i.fail(0, describeFileError(err))
	}
	return i, nil
}

// notDICOM is for what may be passed over, unless it may hide instances: an archive that is not
// looked into, or a file that is being written while it is looked at.
func (c candidate) notDICOM(i *instance) (*instance, error) {
	info, err := c.stat()
	if err != nil {
		i.fail(0, describeFileError(err))
		return i, nil
	}
	switch {
	case !c.unchanged(info):
		i.fail(0, describeFileError(errChanged))
	case unreadKinds.MatchString(c.path):
		i.fail(0, describeFileError(errUnread))
	default:
		return nil, dicom.ErrNotDICOM
	}
	return i, nil
}
