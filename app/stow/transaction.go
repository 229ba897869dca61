package stow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"runtime/debug"
	"time"

	"stowrs-to-s3/app/compose"
	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/related"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/trace"
)

// maxRequestParts bounds the outcomes that a request keeps in memory.
const maxRequestParts = 100_000

var (
	errTooManyParts = errors.New("more than 100000 parts in one request")
	errPanic        = errors.New("the service has a fault, which it has recorded")
)

// transaction is one Store request on its way through steps 2 to 6.
type transaction struct {
	handler   *Handler
	ctx       context.Context //nolint:containedctx // of the uploads: ends when the service is cut off, not when the client leaves
	requestID string
	study     string
	framing   framing
	length    int64 // declared length of the body, -1: none
	body      *limitedBody
	base      *url.URL        // of the request, for relative references
	parts     *related.Reader // nil: the body is one part
	line      *memory.Line
	kept      *memory.RequestMemory
	upload    *s3store.Upload // being received; nil: none
	outcomes  outcomes
	told      bool // an outcome says what ended the body
	nameless  int  // instances not stored of which no UID is known
}

// run receives all parts and waits for their uploads. Its error is what ended the body
// early; instances that were received completely before that are still stored. But if the
// digest of a body does not match, nothing of it counts: nobody knows which bytes are wrong.
func (t *transaction) run() error {
	_, step := trace.Start(t.ctx, "Split") // the whole body, while the other steps go on
	err := t.guard(t.receiveAll)
	step.Set("stowrs.bytes", t.body.read)
	step.End(failedType(err))
	doubt := t.body.doubt()
	if err != nil && !t.told && !errors.Is(err, errDamaged) && len(t.outcomes.all) > 0 { // it ended between two parts
		t.outcomes.fail(t.outcomes.add(), err)
	}
	t.outcomes.settle(true)
	if doubt != nil {
		t.outcomes.withdraw(doubt)
	}
	return cmp.Or(err, doubt)
}

// guard turns a panic into the error that ends the body.
func (t *transaction) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
			t.handler.Log.ErrorContext(t.ctx, "panic", "request_id", t.requestID, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	return f()
}

func (t *transaction) receiveAll() error {
	if t.framing.boundary == "" {
		if t.framing.payload != mediaTypeDICOM {
			return t.compose(t.body, t.framing.payload)
		}
		err := t.receive(s3store.Source{Reader: t.body, DeclaredBytes: t.length}, dicom.Identity{})
		if err == nil {
			_, _ = io.Copy(io.Discard, t.body) // the rest of a refused instance: its sender may read the answer only after it has sent the body
		}
		return err
	}
	t.parts = related.NewReader(t.body, t.framing.boundary, t.handler.Ledger.Spare)
	defer func() { t.handler.Ledger.FreeSpare(t.parts.Close()) }()
	for {
		part, err := t.parts.Next()
		if err == io.EOF { //nolint:errorlint // io.EOF itself ends the body
			return nil
		}
		if err != nil {
			return err
		}
		kind := t.framing.payload
		if kind == "" {
			kind = related.ParseMediaType(part.Header.Get("Content-Type")).Name
		}
		if kind == storeresponse.MediaTypeJSON || kind == storeresponse.MediaTypeXML {
			return t.compose(part, kind)
		}
		t.framing.payload = mediaTypeDICOM
		if err = t.receive(s3store.Source{Reader: part, DeclaredBytes: part.DeclaredBytes}, dicom.Identity{}); err != nil {
			return err
		}
	}
}

// compose receives instances that come as metadata and bulkdata (PS3.18 §10.5.1.4):
// each is a source like a part.
func (t *transaction) compose(first io.Reader, mediaType string) error {
	c := compose.New(compose.Request{
		MediaType: mediaType, Base: t.base, Memory: t.kept, LateBytes: t.handler.Store.CorrectableBytes(), MaxInstances: maxRequestParts,
	}, first, t.parts)
	defer c.Close()
	for instance := range c.Instances() {
		source := s3store.Source{Reader: instance, DeclaredBytes: -1}
		if instance.Late() {
			source.Correct = instance.Correction
		}
		if instance.Err() != nil {
			source = s3store.Source{Reader: failed{instance.Err()}, DeclaredBytes: -1}
		}
		if err := t.receive(source, instance.Identity()); err != nil && instance.Err() == nil {
			return err
		} // otherwise the other instances that are not complete are reported, too
	}
	return c.Err()
}

// failed is a source that cannot be read.
type failed struct{ err error }

// Read implements io.Reader.
func (f failed) Read([]byte) (int, error) { return 0, f.err }

// receive takes one instance through steps 3 to 5. Its error ends the body; an error of
// the instance alone is in its outcome. known is what is already known about the instance.
func (t *transaction) receive(source s3store.Source, known dicom.Identity) error {
	t.outcomes.settle(false)
	if len(t.outcomes.all) == maxRequestParts {
		return errTooManyParts
	}
	o := t.outcomes.add()
	var ended error
	err := t.guard(func() (err error) {
		ended, err = t.store(o, source, &known)
		return err
	})
	if err == nil {
		t.told = ended != nil
		return ended
	}
	memoryErr := t.outcomes.identify(o, known)
	if t.ctx.Err() != nil { // the body may notice this before the uploads, and with another error: the sender must repeat the request
		err = fmt.Errorf("%w: %w", errStopping, err)
	}
	t.outcomes.fail(o, err)
	if err = endOfBody(err); err == nil {
		err = endOfBody(memoryErr)
	}
	t.told = err != nil
	return err
}

// store does steps 3 to 5: err is an error of the instance; ended is an error that ends the
// body although the instance has its upload. id is what is known about the instance.
func (t *transaction) store(o *outcome, source s3store.Source, id *dicom.Identity) (ended, err error) {
	t.line.Next(0)
	t.line.Expect(t.mostBytes(source))
	ctx := trace.WithPart(t.ctx, int(o.number))
	upload := t.handler.Store.Begin(ctx, t.line, source)
	t.upload = upload
	defer func() {
		t.upload = nil
		upload.Discard() // if it was not stored, also after a panic
		t.line.End()
	}()
	_, step := trace.Start(ctx, "Identify")
	err = t.identify(source, upload, id)
	step.End(failedType(err))
	if err != nil {
		return nil, err
	}
	_, step = trace.Start(ctx, "Check")
	err = check(*id, t.study)
	step.End(failedType(err))
	if err != nil {
		return nil, err
	}
	if err := t.outcomes.identify(o, *id); err != nil {
		return nil, err
	}
	config := t.handler.Config
	key := s3store.Key(config.Prefix, id.StudyInstanceUID, id.SeriesInstanceUID, id.SOPInstanceUID, config.Suffix)
	if earlier := t.outcomes.uploads[key]; earlier != nil {
		_ = earlier.Wait() // twice in one request: the last one counts, as with two requests
	}
	err = upload.Store(key, s3store.Metadata{
		RequestID: t.requestID, SOPClassUID: id.SOPClassUID, TransferSyntaxUID: validUID(id.TransferSyntaxUID),
	})
	o.warning = warning(*id)
	t.outcomes.wait(o, upload)
	return endOfBody(err), nil
}

// mostBytes is how many bytes of memory an instance can need, by what the request and the part declare, which end it there; -1: this is unknown.
func (t *transaction) mostBytes(source s3store.Source) int64 {
	if _, composed := source.Reader.(*compose.Instance); composed || t.length < 0 {
		return source.DeclaredBytes
	}
	rest := t.length - t.body.read
	if t.parts != nil {
		rest += t.parts.Buffered()
	}
	if source.DeclaredBytes >= 0 {
		rest = min(rest, source.DeclaredBytes)
	}
	return rest
}

// identify is step 3. A composed instance gets its UIDs from its metadata: in the file, a value
// whose length is known only at the end may precede them.
func (t *transaction) identify(source s3store.Source, upload *s3store.Upload, id *dicom.Identity) error {
	switch instance := source.Reader.(type) {
	case *compose.Instance:
		return nil
	case failed:
		return instance.err
	}
	var err error
	*id, err = dicom.Identify(upload.Head(), t.handler.Config.HeadWindowBytes)
	return err
}

// slotBytes is the memory that a request holds before anything has arrived: its slot and its buffer.
const slotBytes = 16 << 10

// heldBytes is the memory that the request holds for what has arrived.
func (t *transaction) heldBytes() int64 {
	held := slotBytes + t.kept.HeldBytes()
	if t.upload != nil {
		held += t.upload.HeldBytes()
	}
	return held
}

// maxNameless limits the records, for each request, of instances without any UID: ten bytes can be such an instance.
const maxNameless = 100

// logFailure is the only record of why an instance was not stored; it names no patient.
func (t *transaction) logFailure(level slog.Level, o *outcome, err error) {
	f := o.family
	if f == nil {
		f = &family{}
	}
	if o.sop == "" && *f == (family{}) {
		if t.nameless++; t.nameless > maxNameless {
			if t.nameless == maxNameless+1 {
				t.handler.Log.WarnContext(t.ctx, "more instances without UIDs are not stored: the record of the transaction counts them", "request_id", t.requestID)
			}
			return
		}
	}
	t.handler.Log.Log(t.ctx, level, "instance not stored", "request_id", t.requestID, "part", o.number,
		"failure_reason", slog.StringValue(o.reason.Hex()), "error", err.Error(),
		"study", f.study, "series", f.series, "instance", o.sop)
}

// delay waits for RESPONSEDELAY, unless the client leaves or the service is cut off.
func delay(client, stop context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-client.Done():
	case <-stop.Done():
	}
}
