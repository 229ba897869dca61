package compose

import (
	"errors"
	"io"
	"strings"

	"github.com/suyashkumar/dicom/pkg/tag"

	"stowrs-to-s3/app/compose/metadata"
	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/related"
	"stowrs-to-s3/app/storeresponse"
)

// isMetadata distinguishes metadata from bulkdata. XML may also come with a general media type, or
// without one.
func (c *Composer) isMetadata(p *related.Part) bool {
	if strings.TrimSpace(p.Header.Get("Content-Location")) != "" {
		return false
	}
	switch name := related.ParseMediaType(p.Header.Get("Content-Type")).Name; name {
	case "text/xml", "application/xml", "":
		return c.request.MediaType == storeresponse.MediaTypeXML
	default:
		return name == c.request.MediaType
	}
}

// readMetadata makes instances from a part with metadata, while it arrives. An error in it
// fails all of its instances and ends the body, so that the request is refused,
// unless an instance was yielded before: then it is one more failure.
func (c *Composer) readMetadata(r io.Reader) error {
	source := &source{r: r}
	before := len(c.pending)
	var err error
	if c.request.MediaType == storeresponse.MediaTypeXML { // each instance has its own part
		var d *metadata.Dataset
		d, err = metadata.ReadXML(source, c.take)
		if d != nil || unreadable(err) {
			return c.add(d, err)
		}
	} else if err = metadata.ReadJSON(source, c.take, c.add); unreadable(err) {
		err = &failure{ErrSyntax, err}
	}
	ended := source.err != nil && !unreadable(err)
	if ended {
		err = source.err
	}
	if err != nil {
		for _, i := range c.pending[before:] {
			c.fail(i, err)
		}
	}
	if err == nil || !c.yielded || ended || errors.Is(err, ErrTooMany) {
		return err
	}
	return c.addFailure(err)
}

// unreadable says that one part of metadata is invalid, while others may be valid.
func unreadable(err error) bool {
	return errors.Is(err, metadata.ErrSyntax) || errors.Is(err, related.ErrPart)
}

// source remembers the error of a reader, because the readers of metadata wrap it.
type source struct {
	r   io.Reader
	err error // other than io.EOF
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// add is called for every dataset of the metadata, with its error. d is nil
// if nothing of it could be read.
func (c *Composer) add(d *metadata.Dataset, err error) error {
	if d == nil {
		return c.addFailure(invalid("metadata: %w", err))
	}
	if err := c.countOne(); err != nil {
		return err
	}
	if err := c.take(instanceBytes + int64(len(d.Holes))*holeBytes); err != nil {
		c.free(d.HeldBytes)
		return err
	}
	i := &Instance{composer: c, dataset: d, heldBytes: instanceBytes, frames: frames(d), place: len(c.pending)}
	var idErr error
	i.identity, idErr = identify(d)
	if err != nil {
		err = invalid("metadata: %w", err)
	} else {
		err = idErr
	}
	c.pending = append(c.pending, i)
	c.unfinished++
	i.holes = make([]hole, len(d.Holes))
	for n, each := range d.Holes {
		h := &i.holes[n]
		*h = hole{Hole: each, instance: i, frame: 1}
		if each.TopLevel && each.Tag == pixelData {
			i.pixels = h
		}
		if err := c.refer(h); err != nil {
			c.fail(i, err)
			return err
		}
	}
	if err != nil {
		c.fail(i, err)
	} else {
		c.enqueue(i)
	}
	return nil
}

// identify returns the UIDs of a dataset. The error is the same as that of dicom.Identify.
func identify(d *metadata.Dataset) (id dicom.Identity, err error) {
	for _, uid := range []struct {
		tag     tag.Tag
		keyword string
		value   *string
	}{
		{tag.SOPClassUID, "SOPClassUID", &id.SOPClassUID},
		{tag.SOPInstanceUID, "SOPInstanceUID", &id.SOPInstanceUID},
		{tag.StudyInstanceUID, "StudyInstanceUID", &id.StudyInstanceUID},
		{tag.SeriesInstanceUID, "SeriesInstanceUID", &id.SeriesInstanceUID},
	} {
		value, found := d.Lookup(uid.tag)
		if *uid.value = dicom.UID(value); err == nil && *uid.value == "" {
			err = &dicom.UIDError{Keyword: uid.keyword, Empty: found}
		}
	}
	return id, err
}
