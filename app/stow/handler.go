// Package stow is the STOW-RS origin server (PS3.18 §10.5): it takes a Store
// request through six steps, each in its own file.
//
//	1 Accept    accept.go      Content-Type, {study}, Accept, before any byte of the body is read
//	2 Split     (related)      multipart/related → parts, streamed; (compose) metadata and bulkdata → instances
//	3 Identify  (dicom)        SOP Class, SOP Instance, Study, Series UID from the head
//	4 Check     check.go       UID syntax, study match
//	5 Store     (s3store)      to S3, while the rest still arrives
//	6 Report    report.go      outcomes → status and Store Instances Response Module
//
// An instance is reported as stored only after S3 has acknowledged all its bytes.
package stow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/related"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/trace"
)

// Config of the Store transaction.
type Config struct {
	Prefix, Suffix  string        // of every key
	WADOURL         string        // base of the RetrieveURLs, without a slash at its end; empty: none are given
	HeadWindowBytes int64         // how far into an instance its UIDs are searched
	MinRateBytes    int64         // bytes per second that a client must deliver
	MaxRequestBytes int64         // 0: no limit
	MaxRequests     int           // concurrent requests; further ones get 503
	ResponseDelay   time.Duration // wait before the answer
	StrictAccept    bool          // 406 where the standard requires it
	Commitment      bool          // the Capabilities Description names storage commitment

	// StallTimeout and RateWindow are for tests. Zero: a minute.
	StallTimeout, RateWindow time.Duration
}

// Handler serves the Store transaction. Make it with NewHandler.
type Handler struct {
	Config Config
	Store  *s3store.Store
	Ledger *memory.Ledger
	Log    *slog.Logger  // failures
	Audit  *slog.Logger  // one record for each request, at every log level
	Traces *trace.Tracer // nil: none

	// Stop ends the uploads in flight, when the time for a graceful stop is over.
	Stop context.Context //nolint:containedctx // of the process, not of a call
	// Observe is called for every request that was answered. It must be safe for concurrent use.
	Observe func(Transaction)

	slots     *slots // of MAXREQUESTS
	exchanges *slots // the share of them for Exchanges
}

// short says that other requests need what requests hold: a slot, or memory that S3 itself does not hold.
func (h *Handler) short() bool {
	return h.slots.short() || h.Ledger.Short() && 2*h.Store.LeavingBytes() < h.Ledger.InUseBytes()
}

// NewHandler returns h, ready to serve.
func NewHandler(h Handler) *Handler {
	h.Config.StallTimeout = cmp.Or(h.Config.StallTimeout, stallTimeout)
	h.Config.RateWindow = cmp.Or(h.Config.RateWindow, rateWindow)
	h.slots, h.exchanges = newSlots(h.Config.MaxRequests), newSlots(max(h.Config.MaxRequests/exchangesShare, 1))
	return &h
}

// Transaction is the record of one request, for metrics.
type Transaction struct {
	StatusCode       int
	Stored, Warnings int
	Failed           map[storeresponse.Reason]int
	Bytes            int64 // of the body
	Duration         time.Duration
}

// failed is the number of instances that were not stored.
func (r *Transaction) failed() int {
	n := 0
	for _, of := range r.Failed {
		n += of
	}
	return n
}

// Serving is the number of requests being served.
func (h *Handler) Serving() int { return len(h.slots.taken) }

// Post serves POST /studies and POST /studies/{study}. Echo's HTTPErrorHandler answers a
// *Refusal with its status; other errors are faults of the service.
func (h *Handler) Post(c echo.Context) error {
	if err := h.recorded(c); err != nil {
		c.Error(err)
	}
	return nil
}

// recorded writes one audit record for every request, even after a panic.
func (h *Handler) recorded(c echo.Context) (err error) {
	start, record := time.Now(), Transaction{}
	traced, span := h.Traces.Request(c.Request(), route(c), requestID(c))
	c.SetRequest(traced)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
			h.Log.ErrorContext(c.Request().Context(), "panic", "request_id", requestID(c), "error", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		record.Duration = time.Since(start)
		h.record(c, &record, err)
		record.trace(span)
	}()
	return h.post(c, &record)
}

// record writes the audit record, and updates the metrics.
func (h *Handler) record(c echo.Context, record *Transaction, err error) {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		if record.StatusCode = refusal.StatusCode; record.StatusCode == http.StatusServiceUnavailable {
			c.Response().Header().Set("Retry-After", retryAfterSeconds)
		}
	} else if err != nil {
		record.StatusCode = http.StatusInternalServerError
	}
	h.Observe(*record)
	attrs := []any{
		"request_id", requestID(c), "status", record.StatusCode, "stored", record.Stored, "failed", record.failed(),
		"warnings", record.Warnings, "bytes", record.Bytes, "duration_ms", record.Duration.Milliseconds(),
		"remote", c.RealIP(), "client_dn", storeresponse.Printable(c.Request().Header.Get("X-Client-DN")),
	}
	if refusal != nil {
		attrs = append(attrs, "refusal", refusal.Detail)
	}
	h.Audit.InfoContext(c.Request().Context(), "store transaction", attrs...)
}

// post serves one request.
func (h *Handler) post(c echo.Context, record *Transaction) error {
	r, w := c.Request(), c.Response()
	_, step := trace.Start(r.Context(), "Accept")
	framing, responseType, err := h.accept(r, c.Param("study"))
	if err == nil {
		err = h.slots.enter("requests")
	}
	step.End(refusedType(err))
	if err != nil {
		return err
	}
	defer h.slots.leave()

	// A client that leaves harms only the instance it was sending: the others are stored.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	defer context.AfterFunc(h.Stop, cancel)()
	t := h.begin(ctx, c, framing)
	defer t.kept.Close()
	defer context.AfterFunc(h.Stop, t.body.interrupt)()
	bodyErr := t.run()
	record.Bytes = t.body.read
	if len(t.outcomes.all) == 0 {
		return emptyBody(bodyErr)
	}

	count := t.outcomes.count()
	record.StatusCode, record.Stored, record.Warnings, record.Failed = count.status(bodyErr), count.stored, count.warnings, count.reasons
	delay(r.Context(), h.Stop, h.Config.ResponseDelay)
	_, step = trace.Start(ctx, "Report")
	defer step.End("")
	if record.StatusCode == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfterSeconds)
	}
	module := t.outcomes.module(h.Config.WADOURL)
	t.outcomes.describe(w.Header(), module.RetrieveURL, count)
	return answer(w, record.StatusCode, module.Encode, responseType, h.reader(w, t.heldBytes(), h.short))
}

// begin makes the transaction of a request that was accepted.
func (h *Handler) begin(ctx context.Context, c echo.Context, framing framing) *transaction {
	r := c.Request()
	t := &transaction{
		handler: h, ctx: ctx, requestID: requestID(c), study: c.Param("study"), framing: framing, length: r.ContentLength,
		base: base(r),
		line: h.Ledger.Line(), kept: h.Ledger.Keep(),
	}
	t.outcomes = outcomes{kept: t.kept, log: t.logFailure, uploads: map[string]*s3store.Upload{}}
	t.body = h.body(c, t.heldBytes, h.Config.MaxRequestBytes)
	return t
}

// body returns the body of a request, with its limits. holds returns the memory that the request holds; the body has at most limit bytes, 0: no limit.
func (h *Handler) body(c echo.Context, holds func() int64, limit int64) *limitedBody {
	r := c.Request()
	return &limitedBody{
		source: r.Body, digests: related.NewDigests(r.Header), stop: h.Stop, setDeadline: http.NewResponseController(c.Response()).SetReadDeadline,
		holds: holds, short: h.short, minRate: h.Config.MinRateBytes, limit: limit,
		stall: h.Config.StallTimeout, window: h.Config.RateWindow,
	}
}

// reader returns the reader of an answer, whose request holds so much memory.
func (h *Handler) reader(w http.ResponseWriter, holds int64, short func() bool) *reader {
	return &reader{ResponseWriter: w, minRate: h.Config.MinRateBytes, stall: h.Config.StallTimeout, window: h.Config.RateWindow, holds: holds, short: short}
}

// base is the URI of a request as its client sees it; package server has put scheme and host into r.URL.
func base(r *http.Request) *url.URL {
	return &url.URL{Scheme: cmp.Or(r.URL.Scheme, "http"), Host: cmp.Or(r.URL.Host, r.Host), Path: r.URL.Path}
}

const retryAfterSeconds = "10"

// accept is step 1: everything that can be refused by the headers alone.
func (h *Handler) accept(r *http.Request, study string) (framing, string, error) {
	if err := cmp.Or(acceptHost(r), acceptStudy(study)); err != nil {
		return framing{}, "", err
	}
	content, err := acceptContent(r.Header)
	if err != nil {
		return framing{}, "", err
	}
	responseType, err := acceptResponse(r, h.Config.StrictAccept)
	if err != nil {
		return framing{}, "", err
	}
	if limit := h.Config.MaxRequestBytes; limit > 0 && r.ContentLength > limit {
		return framing{}, "", refuse(http.StatusRequestEntityTooLarge, "the request has %d bytes, at most %d are accepted", r.ContentLength, limit)
	}
	return content, responseType, nil
}

// requestID is the X-Request-Id that the server's middleware has set in the answer.
func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }
