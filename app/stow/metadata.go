package stow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/metadata"
)

// receiveText takes a part of metadata. What is wrong with it refuses the request,
// unless something of it was built before.
func (a *assembly) receiveText(source io.Reader) error {
	text, err := a.readText(source)
	if err == nil {
		err = a.parse(text)
	}
	if !a.begun {
		return err
	}
	for _, harmless := range []error{errMetadataSyntax, errMetadataTooLarge, errMetadataBusy} {
		if errors.Is(err, harmless) {
			o := &outcome{}
			o.fail(&buildError{situationOf(err).reason, err})
			a.outcomes = append(a.outcomes, o)
			return nil
		}
	}
	return err
}

// readText keeps a part of metadata.
func (a *assembly) readText(source io.Reader) (net.Buffers, error) {
	const step = 64 << 10
	var text net.Buffers
	for {
		if err := a.claim(step); err != nil {
			return nil, err
		}
		chunk := make([]byte, step)
		n, err := io.ReadFull(source, chunk)
		text = append(text, chunk[:n])
		switch {
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return text, nil
		case err != nil:
			return nil, err
		}
	}
}

// claim takes memory for metadata.
func (a *assembly) claim(n int64) error {
	if a.aside.Held()+n > a.handler.Config.MetadataBytes {
		return errMetadataTooLarge
	}
	if !a.aside.Take(n) {
		return errMetadataBusy
	}
	return nil
}

// parse makes instances of a part of metadata. One text at a time is parsed in the
// process: that takes a few times its size, besides the memory budget.
func (a *assembly) parse(text net.Buffers) error {
	select {
	case a.handler.parsing <- struct{}{}:
		defer func() { <-a.handler.parsing }()
	case <-a.ctx.Done():
		return errStopping
	}
	a.aside.Release(int64(len(text)) * 64 << 10) // the datasets take its place
	if a.mediaType == MediaTypeXML {             // each instance is a part of its own
		d, err := metadata.ReadXML(&text)
		return a.add(d, err)
	}
	err := metadata.ReadJSON(&text, a.add)
	if errors.Is(err, metadata.ErrSyntax) {
		return fmt.Errorf("%w: %w", errMetadataSyntax, err)
	}
	return err
}

// add is told of every dataset of the metadata, and of what is wrong with it.
func (a *assembly) add(d *metadata.Dataset, err error) error {
	if len(a.outcomes) == maxRequestParts {
		return errTooManyParts
	}
	o := &outcome{}
	a.outcomes = append(a.outcomes, o)
	if err != nil {
		err = wrong("metadata of instance %d: %w", len(a.outcomes), err)
	}
	if d != nil {
		id, idErr := dicom.Identify(bytes.NewReader(d.Encoded), int64(len(d.Encoded))+1)
		if o.id = id; err == nil {
			err = idErr
		}
	}
	if err == nil {
		err = check(o.id, a.study)
	}
	if err != nil {
		o.fail(err)
	}
	if d == nil {
		return nil
	}
	return a.addInstance(o, d)
}

// addInstance makes the dataset an instance, also when it is refused: its bulkdata may come.
func (a *assembly) addInstance(o *outcome, d *metadata.Dataset) error {
	const holeBytes = 512 // and as much for the instance; kept until the request ends
	if err := a.claim(int64(len(d.Encoded)) + int64(1+len(d.Holes))*holeBytes); err != nil {
		return err
	}
	i := &instance{outcome: o, dataset: d, frames: frames(d), claimed: int64(len(d.Encoded))}
	for _, each := range d.Holes {
		h := &hole{Hole: each, instance: i}
		i.holes = append(i.holes, h)
		if each.TopLevel && each.Tag == pixelData {
			i.pixels = h
		}
		key := a.reference(each.URI)
		a.holes[key] = append(a.holes[key], h)
	}
	a.instances = append(a.instances, i)
	if o.err != nil {
		i.begun = true
		a.drop(i)
	} else if len(i.holes) == 0 {
		a.waiting = append(a.waiting, i)
	}
	return nil
}
