package stow

import (
	"errors"
	"io"
	"regexp"
	"slices"

	"stowrs-to-s3/app/metadata"
	"stowrs-to-s3/app/s3store"
)

// Errors of the metadata of a request, which end it before anything is stored.
var (
	errMetadataTooLarge = errors.New("the metadata is larger than METADATALIMIT")
	errMetadataBusy     = errors.New("other requests hold the memory for metadata (METADATALIMIT)")
	errMetadataSyntax   = errors.New("the metadata cannot be read")
)

// assembly is a request of metadata and bulkdata (PS3.18 §10.5.1.4): first the
// datasets of all instances come, with holes, then the bulkdata that fill them.
// An instance is built, and stored, while its bulkdata arrive; what comes before
// its turn is kept in memory, as far as METADATALIMIT goes.
type assembly struct {
	*transaction
	mediaType string // of the metadata
	aside     *s3store.Aside
	instances []*instance
	holes     map[string][]*hole // by reference
	waiting   []*instance        // not begun, for which bulkdata are kept, or are not needed
	begun     bool               // an instance was begun
	building  bool               // one instance at a time holds buffers, see s3store
	live      *bulk              // the part that has come and is neither used nor kept yet
}

// instance is one dataset of the metadata.
type instance struct {
	outcome *outcome
	dataset *metadata.Dataset
	holes   []*hole
	pixels  *hole // the image's own Pixel Data (7FE0,0010); nil: none that is bulkdata
	frames  int   // Number of Frames (0028,0008)
	claimed int64 // memory for the dataset
	begun   bool
	done    bool // stored, or failed: nothing more of it is wanted
	native  bool // Pixel Data are known to be uncompressed, or taken to be
}

// hole is an element whose value is bulkdata.
type hole struct {
	metadata.Hole
	instance *instance
	kept     []*bulk // that came before their turn
	taken    int     // bulkdata parts that came, kept ones too
}

// receiveMetadata takes a request that begins with metadata.
func (t *transaction) receiveMetadata(first io.Reader, mediaType string) error {
	a := &assembly{transaction: t, mediaType: mediaType, aside: t.handler.Store.NewAside(), holes: map[string][]*hole{}}
	defer a.aside.Close()
	t.body.hold(true)
	defer t.body.hold(false)
	err := a.receiveAll(first)
	if !a.begun && err != nil {
		t.outcomes = nil // the request is refused as a whole
		return err
	}
	for _, i := range a.instances {
		if i.begun {
			continue
		}
		cause := err
		if cause == nil {
			cause = i.missing()
		}
		t.fail(i.outcome, cause)
	}
	return err
}

// receiveAll takes all parts. Metadata come first (PS3.18 §10.5.1.4), or, from
// dcm4che, those of each instance just before its bulkdata.
func (a *assembly) receiveAll(first io.Reader) error {
	err := a.receiveText(first)
	for err == nil {
		var next *part
		if next, err = a.next(); err == nil {
			err = a.receivePart(next)
		}
	}
	if err == io.EOF { //nolint:errorlint // io.EOF itself ends the body
		return a.buildWaiting()
	}
	return err
}

// receivePart takes a part of metadata or of bulkdata. With the first bulkdata
// what the metadata alone make is built: until then they may turn out unreadable.
func (a *assembly) receivePart(p *part) error {
	if a.isMetadata(p) {
		return a.receiveText(p)
	}
	if err := a.buildWaiting(); err != nil {
		return err
	}
	h, b := a.match(p)
	if h == nil {
		return nil
	}
	var err error
	if h.instance.ready(h) {
		h.kept, a.live = append(h.kept, b), b
		err = a.build(h.instance)
	} else {
		err = a.keep(h, b)
	}
	if err != nil {
		return err
	}
	return a.buildWaiting()
}

func (a *assembly) isMetadata(p *part) bool {
	return parseMediaType(p.header.Get("Content-Type")).name == a.mediaType && p.header.Get("Content-Location") == ""
}

// buildWaiting builds what has become ready while something else was received.
func (a *assembly) buildWaiting() error {
	for len(a.waiting) > 0 {
		i := a.waiting[0]
		if a.waiting = a.waiting[1:]; i.begun || !i.ready(nil) {
			continue
		}
		if err := a.build(i); err != nil {
			return err
		}
	}
	return nil
}

// ready says whether the instance can be begun when a part for h has come: its
// Transfer Syntax and the Image Pixel attributes, near the front of the file, are
// known by its Pixel Data.
func (i *instance) ready(h *hole) bool {
	return i.native || i.pixels == nil || h == i.pixels || len(i.pixels.kept) > 0
}

// keep reads b into memory. When that is full, the instance is begun if h comes
// first in it, under the assumption that its Pixel Data are uncompressed, or it fails.
func (a *assembly) keep(h *hole, b *bulk) error {
	i := h.instance
	h.kept = append(h.kept, b)
	err := b.keep()
	switch {
	case err == nil:
		if !i.begun {
			a.waiting = append(a.waiting, i)
		}
		return nil
	case errors.Is(err, errNoRoom) && !a.building && !i.begun && h == i.holes[0] && nativeBytes(i.dataset) > 0:
		i.native = true
		return a.build(i)
	}
	a.fail(i, err)
	return endOfBody(err)
}

// fail ends an instance that is not built.
func (a *assembly) fail(i *instance, err error) {
	i.begun = true
	a.transaction.fail(i.outcome, err)
	a.drop(i)
}

// match finds the hole for a part. Without one the part is superfluous, which the
// answer says, or its instance has failed, and nothing more of it is wanted.
func (a *assembly) match(p *part) (*hole, *bulk) {
	b := newBulk(p, a.aside)
	holes := a.holes[a.reference(b.location)]
	if frame := framePath.FindStringIndex(b.location); holes == nil && frame != nil {
		holes = a.holes[a.reference(b.location[:frame[0]])]
	}
	for _, h := range holes {
		if h.taken >= h.wanted(b) {
			continue
		}
		h.taken++
		if h.instance.done {
			return nil, nil
		}
		return h, b
	}
	err := wrong("bulkdata part %d, Content-Location %q, is not what any metadata refers to, or came twice", a.received, b.name())
	a.outcomes = append(a.outcomes, &outcome{reason: ReasonCannotUnderstand, err: err})
	return nil, nil
}

// framePath ends the Content-Location of a frame, where senders number them as in PS3.18 §10.1.4.
var framePath = regexp.MustCompile(`/frames/[0-9]+$`)

// wanted is the number of parts for h, if they are like b: each frame of a
// compressed multi-frame image is one part, a video is one (PS3.18 §10.5.1.4).
func (h *hole) wanted(b *bulk) int {
	if h == h.instance.pixels && b.compressed() && !b.video() {
		return h.instance.frames
	}
	return 1
}

// drop frees what is kept for an instance that was begun.
func (a *assembly) drop(i *instance) {
	a.aside.Release(i.claimed)
	i.claimed, i.dataset, i.done = 0, nil, true
	for _, h := range i.holes {
		for _, b := range h.kept {
			b.drop()
		}
		h.kept = nil
	}
}

// missing is the error of an instance of which not all bulkdata came.
func (i *instance) missing() error {
	lacks := i.holes[0]
	if n := slices.IndexFunc(i.holes, func(h *hole) bool { return h.taken == 0 }); n >= 0 {
		lacks = i.holes[n]
	}
	return lacks.missing()
}

func (h *hole) missing() error {
	return wrong("bulkdata of %s are missing: no part, or no further one, has the Content-Location %q", tagName(h.Tag), printable(h.URI))
}

// reference is uri as it is compared: absolute, as seen from the request (RFC 3986 §5).
func (a *assembly) reference(uri string) string {
	if u, err := a.base.Parse(uri); err == nil {
		return u.String()
	}
	return uri
}
