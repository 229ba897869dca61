// Package compose makes PS3.10 instances from metadata and bulkdata (PS3.18 §10.5.1.4).
// The datasets of all instances come first, with holes, and then the bulkdata that fill
// the holes. An instance is composed, and can be stored, while its bulkdata arrive.
// Bulkdata that come too early are kept in memory.
//
// # Bulkdata and holes
//
// A hole is an attribute that refers to bulkdata by its URI. When a part arrives, it
// fills every hole that refers to its Content-Location, in any instance. Each frame of
// compressed Pixel Data is one part, and a video is one part. If more than one hole
// refers to a part, the part is kept until all of them are filled. If there is not
// enough memory for that, the first hole is filled, and the instances of the others fail.
//
// # One pass
//
// The length of a value precedes the value. It is known if the part has a
// Content-Length, if it follows from the Image Pixel attributes, or if the part is kept
// in memory. The last value of an instance needs no known length: see [Instance.Late].
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

// Kinds of errors, for errors.Is. The errors that wrap these say in words what is
// wrong and where; they contain no value of an attribute. Other errors are those of
// Parts, a *dicom.UIDError, memory.ErrTooMuch for metadata, and memory.ErrBusy for
// metadata and bulkdata: other requests hold the memory, and the same may succeed later.
var (
	// ErrInvalid: this instance cannot be made from the metadata and bulkdata.
	ErrInvalid = errors.New("the instance cannot be composed")
	// ErrNoRoom: bulkdata, or a decoder, need more memory than one request may have.
	ErrNoRoom = errors.New("no memory to keep bulkdata")
	// ErrSyntax: it is unknown which instances the metadata describe.
	ErrSyntax = errors.New("the metadata cannot be read")
	// ErrTooMany: there are more instances, or failures, than MaxInstances.
	ErrTooMany = errors.New("too many instances in one request")
)

// failure is an error of one kind, with its own text.
type failure struct{ kind, err error }

func (f *failure) Error() string   { return f.err.Error() }
func (f *failure) Unwrap() []error { return []error{f.kind, f.err} }

func invalid(format string, args ...any) error {
	return &failure{ErrInvalid, fmt.Errorf(format, args...)}
}

// errNoRoom says what the sender can do about it.
var errNoRoom = &failure{ErrNoRoom, errors.New("more bulkdata must be kept than METADATALIMIT leaves: send it in the order of the dataset, with a Content-Length for each part")}

// Request is what Composer needs to know about a request.
type Request struct {
	MediaType    string                // of the metadata: storeresponse.MediaTypeJSON or MediaTypeXML
	Base         *url.URL              // of the request as its client sees it, for relative references
	Memory       *memory.RequestMemory // counts everything that is kept, before it is made; the Composer does not close it
	LateBytes    int64                 // how many of the first bytes of an instance can be corrected at its end; 0: none
	MaxInstances int                   // instances and failures; more is ErrTooMany
}

// Parts returns the parts after the first, one after the other: a related.Reader.
type Parts interface {
	// Next skips the rest of the previous part. It ends with io.EOF.
	Next() (*related.Part, error)
}

// Composer makes the instances of one request. It is not safe for concurrent use.
type Composer struct {
	request Request
	first   io.Reader
	parts   Parts
	err     error // what ended the body early

	partsErr   error                 // of Parts, sticky
	received   int                   // parts, including the first
	peeked     *related.Part         // received, but only inspected
	arriving   *part                 // a part that has not been read to its end
	references map[string]*reference // by URI
	pending    []*Instance           // in the order of the metadata; nil: already yielded
	unfinished int                   // of pending
	ready      []*Instance           // to be yielded next
	current    *Instance             // is yielded
	yielded    bool                  // an instance to be stored was yielded
	count      int                   // instances and failures
	came       int64                 // bytes of bulkdata that were received
	made       int64                 // bytes of values, by decoding and sharing
	heldBytes  int64                 // of Request.Memory
}

// New returns the composer of a request whose metadata come first. parts are the parts
// after that; nil: the body has no others. Close the Composer.
func New(r Request, first io.Reader, parts Parts) *Composer {
	if reader, is := parts.(*related.Reader); is && reader == nil {
		parts = nil
	}
	return &Composer{request: r, first: first, parts: parts, received: 1, references: map[string]*reference{}}
}

// Instances yields one instance after the other. An instance that cannot be composed
// is yielded, too, and so is a part that nothing refers to, as an instance without an
// identity. The body of the loop reads an instance to its end, or partly, or not at
// all; the rest is lost with the next step. If the metadata turn out to be wrong,
// or the body ends early, before an instance was yielded that can be stored, the
// following instances are not yielded: the request must then be refused with Err.
func (c *Composer) Instances() iter.Seq[*Instance] {
	return func(yield func(*Instance) bool) {
		c.err = c.run(yield)
		if errors.Is(c.err, errStopped) || c.err != nil && !c.yielded {
			return
		}
		if c.yieldReady(yield) != nil { // everything that these need came before the end
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

// Err is the error that ended the body early; nil at its regular end, or when the loop was left.
func (c *Composer) Err() error {
	if errors.Is(c.err, errStopped) {
		return nil
	}
	return c.err
}

// Close gives back all memory that is still kept. It may be called at any time, also after a panic
// in the loop, and more than once.
func (c *Composer) Close() {
	if c.current != nil {
		c.current.stop()
		c.current = nil
	}
	c.free(c.heldBytes)
}

// errStopped: the caller has left the loop.
var errStopped = errors.New("composing was stopped")

// take counts n more bytes, or, below zero, fewer.
func (c *Composer) take(n int64) error {
	if n < 0 {
		c.free(-n)
		return nil
	}
	if err := c.request.Memory.Take(n); err != nil {
		return err
	}
	c.heldBytes += n
	return nil
}

// takeBulk is take for bulkdata: with ErrNoRoom or memory.ErrBusy, only one instance fails.
func (c *Composer) takeBulk(n int64) error {
	err := c.take(n)
	if errors.Is(err, memory.ErrTooMuch) {
		return errNoRoom
	}
	return err
}

// lacksMemory says that only one instance fails, because its bulkdata cannot be kept.
func lacksMemory(err error) bool { return errors.Is(err, ErrNoRoom) || errors.Is(err, memory.ErrBusy) }

func (c *Composer) free(n int64) {
	c.heldBytes -= n
	c.request.Memory.Release(n)
}

// run takes all parts. Metadata come first (PS3.18 §10.5.1.4) or, from dcm4che, those
// of each instance just before its bulkdata. Ready instances are yielded only when bulkdata
// come: until then the metadata may still turn out to be unreadable.
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
		case len(c.ready) > 0: // which may read the part
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

// yieldReady yields instances that became ready while something else was received.
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

// yield yields one instance, unless it was already yielded.
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

// next returns the next part, and io.EOF after the last.
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
