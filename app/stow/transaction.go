package stow

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/s3store"
)

// maxRequestParts bounds the outcomes that a request keeps in memory, about 500 bytes each.
const maxRequestParts = 100_000

var errTooManyParts = errors.New("more than 100000 parts in one request")

// transaction is one Store request on its way through steps 2 to 6.
type transaction struct {
	handler   *Handler
	ctx       context.Context //nolint:containedctx // of the uploads: ends when the service is cut, not when the client leaves
	requestID string
	study     string
	framing   framing
	length    int64 // declared length of the body, -1: none
	body      *body
	base      *url.URL  // of the request, for relative references
	parts     *splitter // nil: the body is one part
	received  int       // parts
	ended     error     // of the parts, sticky
	outcomes  []*outcome
	uploads   map[string]*s3store.Upload // by key, the last of each
}

// run receives all parts and waits for their uploads. Its error is what ended
// the body early; what was received whole before that is stored all the same.
func (t *transaction) run() error {
	err := t.receiveAll()
	if err != nil && len(t.outcomes) > 0 && !slices.ContainsFunc(t.outcomes, func(o *outcome) bool { return errors.Is(o.err, err) }) { // it ended between two parts
		o := &outcome{}
		t.fail(o, err)
		t.outcomes = append(t.outcomes, o)
	}
	for i, o := range t.outcomes {
		o.settle()
		if o.reason != 0 {
			t.logFailure(i+1, o)
		}
	}
	return err
}

func (t *transaction) receiveAll() error {
	if t.framing.boundary == "" {
		body := &single{body: t.body, total: t.length}
		if t.framing.payload == mediaTypeDICOM {
			return t.receive(body, t.length)
		}
		return t.receiveMetadata(body, t.framing.payload)
	}
	t.parts = newSplitter(t.body, t.framing.boundary, t.length)
	defer t.parts.close()
	for {
		part, err := t.next()
		if err == io.EOF { //nolint:errorlint // io.EOF itself ends the body
			return nil
		}
		if err != nil {
			return err
		}
		kind := cmp.Or(t.framing.payload, parseMediaType(part.header.Get("Content-Type")).name)
		if kind == MediaTypeJSON || kind == MediaTypeXML {
			return t.receiveMetadata(part, kind)
		}
		t.framing.payload = mediaTypeDICOM
		if err = t.receive(part, part.declared); err != nil {
			return err
		}
	}
}

// next is the next part of the body, io.EOF behind the last.
func (t *transaction) next() (*part, error) {
	if t.parts == nil {
		return nil, io.EOF
	}
	if t.ended != nil {
		return nil, t.ended
	}
	part, err := t.parts.next()
	if t.received++; err == nil && t.received > maxRequestParts {
		err = errTooManyParts
	}
	t.ended = err
	return part, err
}

// receive takes one instance through steps 3 to 5. Its error ends the body; what is
// wrong with the instance alone is in its outcome.
func (t *transaction) receive(source s3store.Source, declared int64) error {
	o := &outcome{}
	t.outcomes = append(t.outcomes, o)
	upload, err := t.handler.Store.Begin(t.ctx, source, declared)
	return t.store(o, upload, err)
}

// store is steps 3 to 5 for an upload that was begun, or was not because of err.
func (t *transaction) store(o *outcome, upload *s3store.Upload, err error) error {
	if err != nil { // the service stops, or there is not enough memory at all
		s := situationOf(err)
		o.err, o.reason, o.service = err, s.reason, s.service
		return nil
	}
	t.body.hold(true)
	defer t.body.hold(false)
	defer func() {
		if o.upload == nil { // refused; or a panic, after which the memory is wanted all the same
			upload.Discard()
		}
	}()
	id, err := dicom.Identify(upload.Head(), t.handler.Config.HeadWindowBytes)
	if err != nil {
		if o.id.SOPInstanceUID == "" { // else known from the metadata
			o.id = id
		}
		t.fail(o, err)
		return endOfBody(err)
	}
	o.id = id
	if err := check(o.id, t.study); err != nil {
		o.fail(err)
		return nil
	}
	o.warning, o.upload = warning(o.id), upload
	config := t.handler.Config
	key := s3store.Key(config.Prefix, o.id.StudyInstanceUID, o.id.SeriesInstanceUID, o.id.SOPInstanceUID, config.Suffix)
	if earlier := t.uploads[key]; earlier != nil {
		_ = earlier.Wait() // twice in one request: the last one stays, as with two requests
	}
	t.uploads[key] = upload
	o.err = upload.Store(key, s3store.Metadata{
		RequestID: t.requestID, SOPClassUID: o.id.SOPClassUID, TransferSyntaxUID: printableUID(o.id.TransferSyntaxUID),
	})
	return endOfBody(o.err)
}

// fail is the outcome of an instance that err has hit. That the service is cut, the
// body may notice before the uploads do, and by another error: the sender must come again.
func (t *transaction) fail(o *outcome, err error) {
	o.fail(err)
	o.service = o.service || t.ctx.Err() != nil
}

// logFailure is the only record of why an instance was not stored; it names no patient.
func (t *transaction) logFailure(part int, o *outcome) {
	level := slog.LevelWarn
	if o.service {
		level = slog.LevelError
	}
	t.handler.Log.Log(t.ctx, level, "instance not stored", "request_id", t.requestID, "part", part,
		"failure_reason", slog.StringValue(o.reason.Hex()), "error", o.err.Error(),
		"study", printableUID(o.id.StudyInstanceUID), "series", printableUID(o.id.SeriesInstanceUID), "instance", o.sopInstanceUID())
}

// printableUID keeps values that are no UIDs, which may be anything, out of logs and headers.
func printableUID(uid string) string {
	if dicom.ValidUID(uid) {
		return uid
	}
	return ""
}

// single is a body that is one instance (PS3.18 §8.6.1.1).
type single struct {
	body  *body
	total int64
}

// Read implements io.Reader. A body that ends early is truncated, whatever net/http calls it.
func (s *single) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errTruncated
	}
	return n, err
}

// AtMost is what may still come, from the request's Content-Length.
func (s *single) AtMost() int64 {
	if s.total < 0 {
		return -1
	}
	return max(0, s.total-s.body.read)
}

// newBody puts the limits around a request's body, which ends with ctx.
func (h *Handler) newBody(ctx context.Context, w http.ResponseWriter, r *http.Request, inflate bool) *body {
	wire := &wire{source: r.Body, ctx: ctx, setDeadline: http.NewResponseController(w).SetReadDeadline, stall: h.Config.StallTimeout}
	b := &body{wire: wire, source: wire, minRate: h.Config.MinRateBytes, limit: h.Config.MaxRequestBytes, window: h.Config.RateWindow}
	if inflate {
		b.source = &inflater{wire: wire}
	}
	return b
}

// delay waits for RESPONSEDELAY, unless ctx ends.
func delay(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
