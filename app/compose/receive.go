package compose

import (
	"cmp"
	"errors"
	"io"

	"stowrs-to-s3/app/related"
)

// The data that a request makes from its bulkdata, by decoding or for several attributes that share
// them, are limited by the bytes received: otherwise a few kilobytes could become any number of
// instances of many megabytes. A scanned page of text with one bit per pixel becomes a hundred
// times as large, an empty page thousands of times.
const (
	maxMadePerByte = 256
	freeMadeBytes  = 256 << 20 // in addition
)

// failureBytes is about the memory of a failure without an instance.
const failureBytes = 1 << 10

// receive gives a part of bulkdata to the holes that refer to it. drawing is the hole
// that is being filled; nil: no instance is being composed. It returns the instance that
// can begin with this part, before another part is read. The error ends the body.
func (c *Composer) receive(p *related.Part, drawing *hole) (*Instance, error) {
	b := c.newPart(p)
	r, frame := c.find(b.location)
	takers := r.takers(drawing)
	if len(takers) == 0 {
		if r != nil && r.failed {
			return nil, nil
		}
		return nil, c.superfluous(r, b)
	}
	first := takers[0]
	if len(takers) > 1 {
		err := b.keep()
		for _, h := range takers[1:] {
			shared, shareErr := b.share()
			c.give(h, shared, frame, cmp.Or(err, shareErr))
		}
		if err != nil && !lacksMemory(err) {
			c.give(first, b, frame, err)
			return nil, partsFailure(err)
		}
	}
	c.arriving = b
	c.give(first, b, frame, nil)
	for _, h := range takers[1:] {
		c.enqueue(h.instance)
	}
	if first == drawing || b.content == nil {
		return nil, nil
	}
	return c.begin(first, b, drawing != nil)
}

// give makes b a part of h, or fails the instance of h with err or because b does not fit.
func (c *Composer) give(h *hole, b *part, frame int, err error) {
	if err == nil {
		err = h.accept(b, frame)
	}
	if err != nil {
		b.drop()
		c.fail(h.instance, err)
	}
}

// begin returns the instance of h if it can begin with the part for h,
// while this part arrives. Otherwise the part is kept.
func (c *Composer) begin(h *hole, b *part, composing bool) (*Instance, error) {
	i := h.instance
	if !composing && i.mayBegin(h) {
		return i, nil
	}
	switch err := b.keep(); {
	case err == nil:
		c.enqueue(i)
		return nil, nil
	case lacksMemory(err) && !composing && i.available() == h.Number+1 && nativeBytes(i.dataset) > 0:
		return i, nil // assuming that its Pixel Data, which come later, are not compressed
	default:
		c.fail(i, err)
		return nil, partsFailure(err)
	}
}

// partsFailure returns err if it ends the body, and nil if it harms only one instance.
func partsFailure(err error) error {
	if errors.Is(err, ErrInvalid) || lacksMemory(err) {
		return nil
	}
	return err
}

// enqueue adds i to the instances to be yielded, if it has everything that it needs to begin.
func (c *Composer) enqueue(i *Instance) {
	if !i.queued && i.err == nil && i.available() == len(i.holes) {
		i.queued = true
		c.ready = append(c.ready, i)
	}
}

// fail ends an instance. An instance that is being composed gets the error when it is read.
func (c *Composer) fail(i *Instance, err error) {
	switch {
	case i == c.current:
		if i.readErr == nil {
			i.readErr = err
		}
	case i.err == nil:
		i.err = err
		c.release(i)
		c.ready = append(c.ready, i)
	}
}

// superfluous handles a part that no hole needs. If it is a frame too many, its instance
// cannot be what the sender means.
func (c *Composer) superfluous(r *reference, b *part) error {
	if r != nil && r.only != nil && r.only.encapsulated {
		c.fail(r.only.instance, r.only.tooMany())
	}
	return c.addFailure(invalid("bulkdata part %d, Content-Location %q, is not what any metadata refers to, or came twice", c.received, b.name()))
}

// tooMany is the error of a compressed image with more frames than it should have.
func (h *hole) tooMany() error {
	return invalid("more parts come for %s than Number of Frames (0028,0008) says, which is %d", tagName(h.Tag), h.instance.frames)
}

// addFailure adds a failure that belongs to no instance. If there is no memory for it,
// one failure stands for all following ones.
func (c *Composer) addFailure(err error) error {
	if err := c.countOne(); err != nil {
		return err
	}
	i := &Instance{composer: c, err: err}
	if c.take(failureBytes) == nil {
		i.heldBytes = failureBytes
	} else if last := len(c.ready) - 1; last >= 0 && c.ready[last].heldBytes == 0 {
		return nil
	}
	c.ready = append(c.ready, i)
	return nil
}

// countOne counts an instance or failure. The error ends the body.
func (c *Composer) countOne() error {
	if c.count++; c.count > c.request.MaxInstances {
		c.partsErr, c.peeked = ErrTooMany, nil
		return ErrTooMany
	}
	return nil
}

// draw returns the next part for h: one that is kept, or the next one of the request. Other parts are
// kept.
func (c *Composer) draw(h *hole) (*part, error) {
	for h.due == nil {
		if b := c.arriving; b != nil {
			if err := b.keep(); err != nil {
				return nil, err
			}
		}
		p, err := c.next()
		switch {
		case err == io.EOF: //nolint:errorlint // io.EOF itself ends the body
			return nil, h.missing()
		case err != nil:
		case c.isMetadata(p):
			err = c.readMetadata(p)
		default:
			_, err = c.receive(p, h)
		}
		if err != nil {
			return nil, err
		}
		if err := h.instance.readErr; err != nil {
			return nil, err
		}
	}
	return h.advance(), nil
}

// frameFollows says whether the next part is one more frame for h, which already has all of them.
func (c *Composer) frameFollows(h *hole) bool {
	if c.arriving != nil && c.arriving.rest != nil {
		return false
	}
	p, err := c.next()
	if err != nil {
		return false // the next step finds this, too
	}
	c.peeked = p
	r, _ := c.find(p.Header.Get("Content-Location"))
	return r == h.reference && r.wanting == 0 && !c.isMetadata(p)
}
