package stow

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"
)

// rateWindow is the time over which MINRATE is measured.
const rateWindow = time.Minute

// Errors of a request body.
var (
	errStalled         = errors.New("the client sends too slowly")
	errStopping        = errors.New("the service stops")
	errRequestTooLarge = errors.New("the request is larger than MAXREQUESTSIZE")
	errInflate         = errors.New("the body is not gzip, as its Content-Encoding says, or it is damaged")
)

// body is the request body with its limits, inflated if it was sent compressed:
// the limits count what is to be stored, so that a bomb ends early, while an
// image of one colour, which deflate shrinks a thousandfold, passes. Only time in
// which the service waits for the client counts: not the time it waits for memory
// or for S3.
type body struct {
	wire    *wire
	source  io.Reader // wire, or what it inflates to
	minRate int64     // bytes per second, 0: none
	limit   int64     // bytes, 0: none
	window  time.Duration

	read   int64 // bytes in all
	holds  int   // how often hold was asked for: the request holds memory
	waited time.Duration
	got    int64 // bytes while waited ran
}

// hold says whether the request holds memory from now on, for this or another
// reason: only then MINRATE applies.
func (b *body) hold(holds bool) {
	if b.waited, b.got = 0, 0; holds {
		b.holds++
	} else {
		b.holds--
	}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.limit > 0 {
		if b.read > b.limit {
			return 0, errRequestTooLarge
		}
		p = p[:min(int64(len(p)), b.limit-b.read+1)]
	}
	before := b.wire.waited
	n, err := b.source.Read(p)
	b.read += int64(n)
	if err != nil {
		return n, err
	}
	if b.limit > 0 && b.read > b.limit { // by the one byte too many
		return n - 1, errRequestTooLarge
	}
	return n, b.checkRate(n, b.wire.waited-before)
}

func (b *body) checkRate(n int, waited time.Duration) error {
	if b.holds <= 0 {
		return nil
	}
	b.got += int64(n)
	if b.waited += waited; b.waited < b.window {
		return nil
	}
	if rate := float64(b.got) / b.waited.Seconds(); rate < float64(b.minRate) {
		return fmt.Errorf("%w: %.0f bytes a second over %s", errStalled, rate, b.waited.Round(time.Second))
	}
	b.waited, b.got = 0, 0
	return nil
}

// inflater undoes Content-Encoding: gzip (RFC 9110 §8.4.1.3) while the body
// arrives. It needs 40 KiB. Errors of the wire come through as they are.
type inflater struct {
	wire *wire
	gzip *gzip.Reader // nil before the first read, which the service must not wait for
}

// Read implements io.Reader.
func (i *inflater) Read(p []byte) (n int, err error) {
	if i.gzip == nil {
		if i.gzip, err = gzip.NewReader(i.wire); err == io.EOF { //nolint:errorlint // nothing at all, which gzip cannot be
			err = errTruncated
		}
	}
	if err == nil {
		n, err = i.gzip.Read(p)
	}
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) {
		return n, fmt.Errorf("%w: %w", errInflate, err)
	}
	return n, err
}
