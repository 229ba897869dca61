package stow

import (
	"errors"
	"io"
	"iter"

	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/uid"

	"stowrs-to-s3/app/bulkdata"
	"stowrs-to-s3/app/metadata"
	"stowrs-to-s3/app/s3store"
)

// file is the PS3.10 file of an instance while it is built: the source of its
// upload. It draws the parts it needs from the request as it goes.
type file struct {
	assembly *assembly
	instance *instance
	upload   *s3store.Upload

	transferSyntax string
	image          bulkdata.Image // of compressed or transformed Pixel Data
	extraBytes     int64          // memory for decoding

	next    func() ([]byte, bool)
	stop    func()
	piece   []byte // of next, not yet read
	written int64
	err     error
}

// build stores i, whose first bulkdata have come. Its error ends the body.
func (a *assembly) build(i *instance) error {
	i.begun, a.begun, a.building = true, true, true
	defer func() { a.building, a.live = false, nil }()
	defer a.drop(i)
	f := &file{assembly: a, instance: i, transferSyntax: uid.ExplicitVRLittleEndian}
	if err := f.prepare(); err != nil {
		a.fail(i, err)
		return endOfBody(err)
	}
	f.next, f.stop = iter.Pull(f.pieces)
	defer f.stop()
	var err error
	if f.extraBytes > 0 || f.lateLength() {
		f.upload, err = a.handler.Store.BeginPrivate(a.ctx, f, f.extraBytes)
	} else {
		f.upload, err = a.handler.Store.Begin(a.ctx, f, -1)
	}
	return a.store(i.outcome, f.upload, err)
}

// prepare learns from the Pixel Data what belongs in front of them.
func (f *file) prepare() error {
	i := f.instance
	if i.pixels == nil || len(i.pixels.kept) == 0 {
		return nil
	}
	b := i.pixels.kept[0]
	if !b.compressed() && !b.transformed() {
		i.native = true
		return nil
	}
	image, decodeBytes, err := inspect(b)
	switch {
	case b.failed != nil:
		return b.failed
	case errors.Is(err, errNoRoom):
		return err
	case err != nil && (b.transformed() || image.TransferSyntaxUID == "" || nativeBytes(i.dataset) == 0):
		return wrong("bulkdata part %q: %w", b.name(), err)
	case err == nil && image.Rows > 0:
		if err := deriveImage(i.dataset, b, image); err != nil {
			return err
		}
	case nativeBytes(i.dataset) == 0: // image/dicom-rle does not tell
		return wrong("bulkdata part %q: the metadata must have the Image Pixel attributes, since %s does not tell them", b.name(), b.mediaType)
	}
	f.image, f.transferSyntax, f.extraBytes = image, image.TransferSyntaxUID, decodeBytes
	return nil
}

// lateLength says whether the length of the last value may be known only when it
// has come, and may be too much to keep: then the front of the file waits for it.
func (f *file) lateLength() bool {
	const little = 1 << 20
	i := f.instance
	if len(i.holes) == 0 || f.bodyBytes() >= 0 && f.bodyBytes() < little {
		return false
	}
	last := i.holes[len(i.holes)-1]
	if len(last.kept) > 0 && last.kept[0].length >= 0 {
		return false
	}
	if last == i.pixels {
		return !i.native || nativeBytes(i.dataset) == 0
	}
	return true
}

// bodyBytes is what may still come of the request, -1: no limit is known.
func (f *file) bodyBytes() int64 {
	t := f.assembly.transaction
	switch {
	case t.parts == nil:
		return 0
	case t.length < 0:
		return -1
	}
	return max(0, t.length-t.parts.taken)
}

// AtMost is what the file may still have, -1: no limit is known. In front of each
// value is less than what multipart had in front of its part.
func (f *file) AtMost() int64 {
	const metaBytes, headerBytes = 4 << 10, 64
	body := f.bodyBytes()
	if body < 0 || f.extraBytes > 0 {
		return -1
	}
	values := int64(len(f.instance.holes) + f.instance.kept())
	return metaBytes + int64(len(f.instance.dataset.Encoded)) + values*headerBytes + f.assembly.aside.Held() + int64(len(f.piece)) + body
}

// kept is the number of bulkdata parts that are kept for the instance.
func (i *instance) kept() (n int) {
	for _, h := range i.holes {
		n += len(h.kept)
	}
	return n
}

// Read implements io.Reader.
func (f *file) Read(p []byte) (int, error) {
	for len(f.piece) == 0 {
		piece, more := f.next()
		if !more {
			if f.err != nil {
				return 0, f.err
			}
			return 0, io.EOF
		}
		f.piece = piece
	}
	n := copy(p, f.piece)
	f.piece = f.piece[n:]
	return n, nil
}

// pieces are the bytes of the file, from the first to the last; after them f.err is set.
func (f *file) pieces(yield func([]byte) bool) {
	f.err = f.write(func(p []byte) error {
		f.written += int64(len(p))
		if len(p) > 0 && !yield(p) {
			return errAbandoned
		}
		return nil
	})
}

// errAbandoned: nobody reads the file to its end.
var errAbandoned = errors.New("upload abandoned")

// writer takes a piece of the file, which is used up when it returns.
type writer func(p []byte) error

func (f *file) write(w writer) error {
	d := f.instance.dataset
	if err := w(metadata.FileMeta(d.String(tag.SOPClassUID), d.String(tag.SOPInstanceUID), f.transferSyntax)); err != nil {
		return err
	}
	position := 0
	for n, h := range f.instance.holes {
		offset := d.Holes[n].Offset
		if err := w(d.Encoded[position:offset]); err != nil {
			return err
		}
		position = offset
		if err := f.fill(w, h, n == len(f.instance.holes)-1); err != nil {
			return err
		}
	}
	return w(d.Encoded[position:])
}

// fill writes the element of h.
func (f *file) fill(w writer, h *hole, last bool) error {
	b, err := f.bulk(h)
	if err != nil {
		return err
	}
	defer b.drop()
	pixels, coded := h == f.instance.pixels, b.compressed() || b.transformed()
	switch {
	case !pixels && coded && h.Tag == pixelData:
		return wrong("bulkdata part %q of %s is %s: only the image's own Pixel Data may be compressed", b.name(), tagName(h.Tag), b.mediaType)
	case pixels && !coded:
		if err := b.checkNative(); err != nil {
			return err
		}
		return f.writeValue(w, h, b, last)
	case !pixels:
		return f.writeValue(w, h, b, last)
	case f.image.TransferSyntaxUID == "":
		return wrong("bulkdata part %q is %s: compressed Pixel Data must come before other large bulkdata", b.name(), b.mediaType)
	case b.transformed():
		return f.writePixels(w, h, b)
	}
	return f.writeFrames(w, h, b, last)
}

// bulk is the next part for h: one that is kept, or that comes. Others that come are kept.
func (f *file) bulk(h *hole) (*bulk, error) {
	for len(h.kept) == 0 {
		if live := f.assembly.live; live != nil {
			f.assembly.live = nil
			if err := live.keep(); err != nil {
				return nil, err
			}
		}
		part, err := f.assembly.next()
		if err == io.EOF { //nolint:errorlint // io.EOF itself ends the body
			return nil, h.missing()
		}
		if err != nil {
			return nil, err
		}
		if f.assembly.isMetadata(part) {
			if err := f.assembly.receiveText(part); err != nil {
				return nil, err
			}
			continue
		}
		owner, b := f.assembly.match(part)
		switch owner {
		case h:
			return b, nil
		case nil:
			continue
		}
		if err := f.assembly.keep(owner, b); err != nil {
			return nil, err
		}
		if f.instance.done {
			return nil, f.instance.outcome.err
		}
	}
	b := h.kept[0]
	if h.kept = h.kept[1:]; b == f.assembly.live {
		f.assembly.live = nil
	}
	return b, nil
}
