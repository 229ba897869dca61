package compose

import (
	"bytes"
	"cmp"
	"io"
	"iter"

	"github.com/suyashkumar/dicom/pkg/uid"

	"stowrs-to-s3/app/compose/bulkdata"
	"stowrs-to-s3/app/compose/metadata"
	"stowrs-to-s3/app/dicom"
)

// Instance is one instance of a request. It can be read as a PS3.10 file, and reads the
// parts that it needs from the request meanwhile. It must not be used after the step of
// the loop that yielded it.
type Instance struct {
	composer  *Composer
	identity  dicom.Identity
	err       error
	heldBytes int64 // besides dataset and holes

	dataset *metadata.Dataset
	holes   []hole // by their number
	pixels  *hole  // the image's own Pixel Data (7FE0,0010); nil: they are not bulkdata
	frames  int    // Number of Frames (0028,0008); 0: not a valid number
	leading int    // number of holes, from the first on, whose first part was received
	place   int    // in Composer.pending
	queued  bool
	yielded bool

	image bulkdata.Image // of compressed or transformed Pixel Data

	next       func() (io.Reader, bool) // yields the pieces of the file
	stopNext   func()
	piece      io.Reader
	read       int64
	readErr    error // sticky
	late       bool
	lateOffset int64
	lateHeader []byte
}

// instanceBytes is about the memory of an instance besides its dataset and holes.
const instanceBytes = 1 << 10

// Identity has the UIDs of the metadata, and the Transfer Syntax of the file. A missing UID
// is empty; an invalid one is unchanged.
func (i *Instance) Identity() dicom.Identity { return i.identity }

// Err is why the instance cannot be composed at all; then it must not be read.
func (i *Instance) Err() error { return i.err }

// Late says that the length of a value in the first LateBytes may be known only at the
// end of the file: then Correction returns it, and none of the first LateBytes may be
// used before.
func (i *Instance) Late() bool { return i.late }

// Correction returns, after io.EOF, bytes that must be written over the file at an offset.
// It is empty if nothing has to be corrected.
func (i *Instance) Correction() (offset int64, b []byte) { return i.lateOffset, i.lateHeader }

// Read implements io.Reader. Its errors are those of this package, or of Parts.
func (i *Instance) Read(p []byte) (int, error) {
	if i.err != nil {
		return 0, i.err
	}
	if i.next == nil {
		i.next, i.stopNext = iter.Pull(i.pieces)
	}
	for len(p) > 0 {
		if i.readErr != nil {
			return 0, i.readErr
		}
		if i.piece == nil {
			if i.piece, _ = i.next(); i.piece == nil { // pieces has set readErr
				continue
			}
		}
		n, err := i.piece.Read(p)
		if i.read += int64(n); err == io.EOF {
			i.piece = nil
		} else if err != nil {
			i.readErr = err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, nil
}

// stop ends composing.
func (i *Instance) stop() {
	if i.stopNext != nil {
		i.stopNext()
	}
}

// finish frees everything that belongs to an instance that was yielded.
func (c *Composer) finish(i *Instance) {
	c.current = nil
	i.stop()
	c.release(i)
	if c.free(i.heldBytes); i.place < len(c.pending) && c.pending[i.place] == i {
		c.pending[i.place] = nil
		if c.unfinished--; c.unfinished == 0 {
			c.pending = c.pending[:0]
		}
	}
	i.heldBytes = 0
}

// release frees the dataset and the bulkdata of an instance that will not be composed.
func (c *Composer) release(i *Instance) {
	if i.dataset == nil {
		return
	}
	for n := range i.holes {
		i.holes[n].drop()
		c.leave(&i.holes[n])
	}
	held := i.dataset.HeldBytes + int64(len(i.holes))*holeBytes
	c.free(held)
	i.dataset, i.holes, i.pixels, i.piece = nil, nil, nil, nil
}

// available counts the holes, from the first on, whose first part was received.
func (i *Instance) available() int {
	for i.leading < len(i.holes) && i.holes[i.leading].due != nil {
		i.leading++
	}
	return i.leading
}

// mayBegin says whether the instance can begin with the part that comes for h: all parts before it
// must have been received, and so must the Pixel Data, which determine the Transfer Syntax and the Image Pixel
// attributes, near the front of the file.
func (i *Instance) mayBegin(h *hole) bool {
	return !i.queued && i.available() > h.Number && (i.pixels == nil || i.pixels.due != nil)
}

// missing is the error of an instance if some of its bulkdata did not come.
func (i *Instance) missing() error {
	return i.holes[min(i.available(), len(i.holes)-1)].missing()
}

func (h *hole) missing() error {
	return invalid("bulkdata of %s are missing: no part, or no further one, has the Content-Location %q", tagName(h.Tag), headerText(h.URI))
}

// prepare finds out from the Pixel Data what must precede them in the file.
func (i *Instance) prepare() error {
	err := i.preparePixels()
	i.identity.TransferSyntaxUID = cmp.Or(i.image.TransferSyntaxUID, uid.ExplicitVRLittleEndian)
	i.late = err == nil && i.mayBeLate()
	return err
}

// mayBeLate says whether the length of the last value may become known only after it was
// received, near enough to the front.
func (i *Instance) mayBeLate() bool {
	if len(i.holes) == 0 || int64(i.dataset.Holes[len(i.dataset.Holes)-1].Offset) > i.composer.request.LateBytes-1<<10 {
		return false
	}
	switch last := &i.holes[len(i.holes)-1]; {
	case last.due == nil:
		return last != i.pixels
	case last.encapsulated && i.frames > 1:
		return !last.due.declared // nor are the others, then
	case last == i.pixels && !last.due.compressed(): // its length follows from the pixels
		return false
	default:
		return last.due.length < 0
	}
}

// pieces yields the pieces of the file; after them readErr is set, io.EOF if it is complete.
func (i *Instance) pieces(yield func(io.Reader) bool) {
	err := i.write(func(r io.Reader) error {
		if !yield(r) {
			return errStopped
		}
		return nil
	})
	if i.readErr == nil {
		i.readErr = cmp.Or(err, io.EOF)
	}
}

// writer receives a piece of the file; when it returns, the piece was read to its end.
type writer func(io.Reader) error

func (w writer) bytes(b []byte) error { return w(bytes.NewReader(b)) }

func (i *Instance) write(w writer) error {
	meta := metadata.FileMeta(i.identity.SOPClassUID, i.identity.SOPInstanceUID, i.identity.TransferSyntaxUID)
	if err := w.bytes(meta); err != nil {
		return err
	}
	d := i.dataset
	position := 0
	for n, at := range d.Holes {
		if err := w.bytes(d.Encoded[position:at.Offset]); err != nil {
			return err
		}
		position = at.Offset
		if err := i.fill(w, &i.holes[at.Number], n == len(d.Holes)-1); err != nil {
			return err
		}
	}
	return w.bytes(d.Encoded[position:])
}

// fill writes the element of h. last: no other bulkdata follow.
func (i *Instance) fill(w writer, h *hole, last bool) error {
	b, err := i.composer.draw(h)
	if err != nil {
		return err
	}
	defer b.drop()
	coded := b.compressed() || b.transformed()
	switch {
	case metadata.DescribesEncapsulation(h.Tag):
		_, err := io.Copy(io.Discard, b)
		return err
	case h != i.pixels && coded && h.Tag == pixelData:
		return invalid("bulkdata part %q of %s is %s: only the image's own Pixel Data may be compressed", b.name(), tagName(h.Tag), b.kind())
	case h != i.pixels:
		return i.writeValue(w, h, b, last)
	case !coded:
		return i.writeNative(w, h, b)
	case i.image.TransferSyntaxUID == "":
		return invalid("bulkdata part %q is %s: compressed Pixel Data must come before other large bulkdata", b.name(), b.kind())
	case b.transformed():
		return i.writeTransformed(w, h, b)
	}
	return i.writeFrames(w, h, b, last)
}
