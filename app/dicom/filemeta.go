package dicom

import (
	"errors"
	"fmt"
	"io"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// fileMeta is the content of one File Meta group.
type fileMeta struct {
	last                            tag.Tag
	class, instance, transferSyntax string
}

// readFileMeta reads the preamble and the File Meta group, if there are any
// (PS3.10 §7.1), and moves w to the dataset. Both may come twice.
func (i *identifier) readFileMeta(w *walk) error {
	const preamble, prefix = 128, "DICM"
	for {
		b, err := i.raw.peek(w.at, preamble+len(prefix))
		switch {
		case w.at > 0 && startsDataset(b):
			return nil
		case len(b) == preamble+len(prefix) && string(b[preamble:]) == prefix:
			w.at += preamble + int64(len(prefix))
		case len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix:
			w.at += int64(len(prefix))
		case startsFileMeta(b):
		case w.at > 0, startsDataset(b):
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: the stream ends before anything known as DICOM", ErrNotDICOM)
		case err != nil:
			return failure(err, "at its beginning")
		default:
			return fmt.Errorf("%w: neither File Meta nor a dataset", ErrNotDICOM)
		}
		if err := i.fileMetaGroup(w); err != nil {
			return err
		}
	}
}

// fileMetaGroup reads elements while their group is 0002. It ignores the group length
// (0002,0000), which is often wrong. The encoding is Explicit VR
// Little Endian (PS3.10 §7.1); Implicit VR is understood too, see
// head.header.
func (i *identifier) fileMetaGroup(w *walk) error {
	for {
		b, _ := i.raw.peek(w.at, 2) // an error is final and meets the dataset's walk as well
		if len(b) < 2 || explicitLittle.uint16(b) != tag.MetadataGroup {
			return nil
		}
		h := &w.current
		if err := i.raw.header(h, w.at, explicitLittle); err != nil {
			return failure(err, "in File Meta")
		}
		if h.length == undefinedLength {
			return damaged("undefined length in File Meta, %s", h)
		}
		if err := i.addMeta(&i.raw, h); err != nil {
			return err
		}
		w.at = h.end()
	}
}

// addMeta adds an element of group 0002. If its tag does not ascend, another group begins;
// a third group and later ones are ignored.
func (i *identifier) addMeta(from *head, h *header) error {
	if i.metaCount == 0 || h.tag.Compare(i.metas[min(i.metaCount, len(i.metas))-1].last) <= 0 {
		if i.metaCount < len(i.metas) {
			i.metas[i.metaCount] = fileMeta{}
		}
		i.metaCount++
	}
	if i.metaCount > len(i.metas) {
		return nil
	}
	m := &i.metas[i.metaCount-1]
	m.last = h.tag
	var err error
	switch h.tag {
	case tag.TransferSyntaxUID:
		m.transferSyntax, err = from.uid(h)
	case tag.MediaStorageSOPClassUID:
		m.class, err = from.uid(h)
	case tag.MediaStorageSOPInstanceUID:
		m.instance, err = from.uid(h)
	}
	return err
}

// name copies the File Meta values of the instance. If a value comes twice, the first one that
// matches the dataset counts, whose encoding is given; if none matches, the first one.
func (i *identifier) name(id Identity, e encoding) Identity {
	metas := i.metas[:min(i.metaCount, len(i.metas))]
	differ := func(meta, dataset string) bool { return meta != "" && meta != dataset }
	if len(metas) == 2 && (differ(metas[0].instance, id.SOPInstanceUID) || differ(metas[0].class, id.SOPClassUID)) &&
		!differ(metas[1].instance, id.SOPInstanceUID) && !differ(metas[1].class, id.SOPClassUID) && metas[1].instance != "" {
		metas[0], metas[1] = metas[1], metas[0]
	}
	for n := range metas {
		m := &metas[n]
		if id.MediaStorageSOPClassUID == "" {
			id.MediaStorageSOPClassUID = m.class
		}
		if id.MediaStorageSOPInstanceUID == "" {
			id.MediaStorageSOPInstanceUID = m.instance
		}
		if id.TransferSyntaxUID == "" && e.obeys(m.transferSyntax, i.first.head != &i.raw) {
			id.TransferSyntaxUID = m.transferSyntax
		}
	}
	if id.TransferSyntaxUID == "" {
		id.TransferSyntaxUID = e.transferSyntaxUID()
	}
	return id
}

// declaresDeflated says whether any of the groups declares that the dataset is deflated.
func (i *identifier) declaresDeflated() bool {
	for _, m := range i.metas[:min(i.metaCount, len(i.metas))] {
		if isDeflated(m.transferSyntax) {
			return true
		}
	}
	return false
}
