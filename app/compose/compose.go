// Package compose makes PS3.10 instances of metadata and bulkdata (PS3.18 §10.5.1.4):
// first the datasets of all instances come, with holes, then the bulkdata that fill
// them. An instance is composed, and can be stored, while its bulkdata arrive. What
// comes before its turn is kept in memory.
//
// # Bulkdata and holes
//
// A hole is an attribute that refers to bulkdata by its URI. A part fills every hole
// that refers to its Content-Location when it comes, in whatever instance; of
// compressed Pixel Data each frame is a part, and a video is one. Where more than one
// hole refers to a part, it is kept until all are filled; where memory does not
// suffice for that, the first gets it and the instances of the others fail.
//
// # One pass
//
// In front of a value stands its length. It is known where the part has a
// Content-Length, where the Image Pixel attributes tell it, or where the part is kept
// in memory. The last value of an instance may do without: see [Instance.Late].
//
// The package knows neither HTTP nor S3.
package compose

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"

	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/related"
)

// What can be wrong, for errors.Is. The errors that wrap these say in words what is
// wrong and where; they name no value of an attribute. Other errors are those of
// Parts, a *dicom.UIDError, memory.ErrTooMuch for metadata, and memory.ErrBusy for
// metadata and bulkdata: other requests hold the memory, and the same may succeed later.
var (
	// ErrInvalid: what was sent cannot become this instance.
	ErrInvalid = errors.New("the instance cannot be composed")
	// ErrNoRoom: bulkdata, or a decoder, need more memory than one request may have.
	ErrNoRoom = errors.New("no memory to keep bulkdata")
	// ErrSyntax: it cannot be said which instances the metadata describe.
	ErrSyntax = errors.New("the metadata cannot be read")
	// ErrTooMany: there are more instances, or failures, than MaxInstances.
	ErrTooMany = errors.New("too many instances in one request")
)

// failure is an error of one kind, with words of its own.
type failure struct{ kind, err error }

func (f *failure) Error() string   { return f.err.Error() }
func (f *failure) Unwrap() []error { return []error{f.kind, f.err} }

func invalid(format string, args ...any) error {
	return &failure{ErrInvalid, fmt.Errorf(format, args...)}
}

// errNoRoom is what the sender can do about it.
var errNoRoom = &failure{ErrNoRoom, errors.New("more bulkdata must be kept than METADATALIMIT leaves: send it in the order of the dataset, with a Content-Length for each part")}

// Request is what composing needs to know of a request.
type Request struct {
	MediaType    string       // of the metadata: storeresponse.MediaTypeJSON or MediaTypeXML
	Base         *url.URL     // of the request as its client sees it, for relative references
	Kept         *memory.Kept // counts all that is kept, before it is made; the Composer does not close it
	LateBytes    int64        // so much of the front of an instance can be corrected at its end; 0: nothing
	MaxInstances int          // instances and failures; more is ErrTooMany
}

// Parts gives the parts behind the first, one after the other: a related.Reader.
type Parts interface {
	// Next skips what is left of the part before. It ends with io.EOF.
	Next() (*related.Part, error)
}

// Composer makes the instances of one request. It is not safe for concurrent use.
type Composer struct {
	request Request
	first   io.Reader
	parts   Parts
	err     error // what ended the body early

	partsErr   error                 // of Parts, sticky
	received   int                   // parts, the first too
	peeked     *related.Part         // came, and was only looked at
	arriving   *part                 // a part that has not been read to its end
	references map[string]*reference // by URI
	pending    []*Instance           // in the order of the metadata; nil: was yielded
	unfinished int                   // of pending
	ready      []*Instance           // to be yielded next
	current    *Instance             // is yielded
	yielded    bool                  // an instance to be stored was yielded
	count      int                   // instances and failures
	came       int64                 // bytes of bulkdata
	made       int64                 // bytes of values, by decoding and sharing
	heldBytes  int64                 // of Request.Kept
}

// New returns the composer of a request whose metadata come first. parts are those
// behind it; nil: the body has no others. Close the Composer.
func New(r Request, first io.Reader, parts Parts) *Composer {
	if reader, is := parts.(*related.Reader); is && reader == nil {
		parts = nil
	}
	return &Composer{request: r, first: first, parts: parts, received: 1, references: map[string]*reference{}}
}

// Instances yields one instance after the other. An instance that cannot be composed
// is yielded, too, and so is a part that nothing refers to, as an instance without an
// identity. The body of the loop reads an instance to its end, or not at all, or in
// part; what is left of it is gone with the next step. If the metadata turn out wrong
// or the body ends early before an instance was yielded that can be stored, those
// that would have followed are not yielded: the request is to be refused by Err.
func (c *Composer) Instances() iter.Seq[*Instance] {
	return func(yield func(*Instance) bool) {
		c.err = c.run(yield)
		if errors.Is(c.err, errStopped) || c.err != nil && !c.yielded {
			return
		}
		if c.yieldReady(yield) != nil { // all that these need came before the end
			return
		}
		for _, i := range c.pending {
			if i == nil {
				continue
			}
			if i.err == nil && c.err != nil {
				i.err = c.err
			} else if i.err == nil {
				i.err = i.missing()
			}
			if c.yield(i, yield) != nil {
				return
			}
		}
	}
}

// Err is what ended the body early; nil at its regular end, or when the loop was left.
func (c *Composer) Err() error {
	if errors.Is(c.err, errStopped) {
		return nil
	}
	return c.err
}

// Close gives back all that is still kept. It may be called at any time, a panic in
// the loop included, and again.
func (c *Composer) Close() {
	if c.current != nil {
		c.current.stop()
		c.current = nil
	}
	c.free(c.heldBytes)
}

// errStopped: nobody wants more.
var errStopped = errors.New("composing was stopped")

// take counts n more bytes, or, below zero, fewer.
func (c *Composer) take(n int64) error {
	if n < 0 {
		c.free(-n)
		return nil
	}
	if err := c.request.Kept.Take(n); err != nil {
		return err
	}
	c.heldBytes += n
	return nil
}

// takeBulk is take for bulkdata: with ErrNoRoom, or memory.ErrBusy, one instance fails.
func (c *Composer) takeBulk(n int64) error {
	err := c.take(n)
	if errors.Is(err, memory.ErrTooMuch) {
		return errNoRoom
	}
	return err
}

// lacksMemory says that one instance fails, because its bulkdata cannot be kept.
func lacksMemory(err error) bool { return errors.Is(err, ErrNoRoom) || errors.Is(err, memory.ErrBusy) }

func (c *Composer) free(n int64) {
	c.heldBytes -= n
	c.request.Kept.Release(n)
}

// run takes all parts. Metadata come first (PS3.18 §10.5.1.4), or, from dcm4che, those
// of each instance just before its bulkdata. What is ready is yielded when bulkdata
// come: until then the metadata may turn out unreadable.
func (c *Composer) run(yield func(*Instance) bool) error {
	err := c.readMetadata(c.first)
	for err == nil {
		var p *related.Part
		if p, err = c.next(); err != nil {
			break
		}
		switch {
		case c.isMetadata(p):
			err = c.readMetadata(p)
			continue
		case len(c.ready) > 0: // which may draw the part
			c.peeked = p
			err = c.yieldReady(yield)
			continue
		}
		var i *Instance
		if i, err = c.receive(p, nil); err == nil && i != nil {
			err = c.yield(i, yield)
		}
	}
	if err == io.EOF { //nolint:errorlint // io.EOF itself ends the body
		return nil
	}
	return err
}

// yieldReady yields what has become ready while something else was received.
func (c *Composer) yieldReady(yield func(*Instance) bool) error {
	for len(c.ready) > 0 {
		i := c.ready[0]
		c.ready[0] = nil
		c.ready = c.ready[1:]
		if err := c.yield(i, yield); err != nil {
			return err
		}
	}
	return nil
}

// yield yields one instance, unless that was done.
func (c *Composer) yield(i *Instance, yield func(*Instance) bool) error {
	if i.yielded {
		return nil
	}
	i.yielded, c.current = true, i
	if i.err == nil {
		i.err = i.prepare()
	}
	c.yielded = c.yielded || i.err == nil
	more := yield(i)
	c.finish(i)
	if !more {
		return errStopped
	}
	return nil
}

// next returns the next part, io.EOF behind the last.
func (c *Composer) next() (*related.Part, error) {
	if p := c.peeked; p != nil {
		c.peeked = nil
		return p, nil
	}
	if c.arriving = nil; c.partsErr == nil && c.parts == nil {
		c.partsErr = io.EOF
	}
	if c.partsErr != nil {
		return nil, c.partsErr
	}
	var p *related.Part
	if p, c.partsErr = c.parts.Next(); c.partsErr == nil {
		c.received++
	}
	return p, c.partsErr
}
