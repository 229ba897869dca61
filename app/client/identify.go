package client

import (
	"errors"
	"io"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/storeresponse"
)

// headWindow is the smallest window in which the UIDs of a file are searched:
// the default HEADWINDOW of the service. A longer file is searched to its end if necessary,
// because other services may search further.
const headWindow = 32 << 20

// identify reads the UIDs of a file. An instance without one of its UIDs, and a file that cannot be read, has
// failed. The only error is ErrNotDICOM, for a file without the prefix DICM: a damaged instance must be
// reported as failed, not skipped like any other file.
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

// notDICOM skips a file that is not DICOM, unless it may contain instances: an archive of a kind that send cannot
// read, or a file that is being written, has failed.
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
