// Package stow is the STOW-RS origin server (PS3.18 §10.5): it takes a Store
// request through six steps, each in its own file.
//
//	1 Accept    mediatype.go   Content-Type, {study}, Accept, before a byte of the body is read
//	2 Split     parts.go       multipart/related → parts, streamed
//	3 Identify  (dicom)        SOP Class, SOP Instance, Study, Series UID from the head
//	4 Check     check.go       UID syntax, study match
//	5 Store     (s3store)      to S3, while the rest still arrives
//	6 Report    outcome.go     outcomes → status and Store Instances Response Module
//
// An instance is reported as stored only after S3 has acknowledged all its bytes.
package stow

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/s3store"
)

// Config of the Store transaction.
type Config struct {
	Prefix, Suffix  string        // of every key
	WADOURL         string        // base of the RetrieveURLs, without a slash at its end; empty: none are given
	HeadWindowBytes int64         // longest head before the UIDs
	MinRateBytes    int64         // bytes per second of a client that holds a buffer
	MaxRequestBytes int64         // 0: no limit
	MetadataBytes   int64         // of one request's metadata, and of all; the store's AsideBytes
	MaxRequests     int           // served at the same time; more get 503
	ResponseDelay   time.Duration // waited before the answer
	StrictAccept    bool          // 406 where the standard asks for it

	// StallTimeout and RateWindow are for tests. Zero: a minute.
	StallTimeout, RateWindow time.Duration
}

// Handler serves the Store transaction. Make it with NewHandler.
type Handler struct {
	Config Config
	Store  *s3store.Store
	Log    *slog.Logger // failures
	Audit  *slog.Logger // one record a request, whatever the log level

	// Stop ends the uploads in flight: the service's last resort, when its time to stop is up.
	Stop context.Context //nolint:containedctx // of the process, not of a call
	// Observe is told of every request that was answered. Safe for concurrent use.
	Observe func(Transaction)

	slots   chan struct{}
	parsing chan struct{} // one metadata text at a time: parsing takes a few times its size
}

// NewHandler returns h, ready to serve.
func NewHandler(h Handler) *Handler {
	h.Config.StallTimeout = cmp.Or(h.Config.StallTimeout, stallTimeout)
	h.Config.RateWindow = cmp.Or(h.Config.RateWindow, rateWindow)
	h.slots, h.parsing = make(chan struct{}, h.Config.MaxRequests), make(chan struct{}, 1)
	return &h
}

// Transaction is the record of one request, for metrics.
type Transaction struct {
	StatusCode       int
	Stored, Warnings int
	Failed           map[Reason]int
	Bytes            int64 // of the body
	Duration         time.Duration
}

// Serving is the number of requests being served.
func (h *Handler) Serving() int { return len(h.slots) }

// Post serves POST /studies and POST /studies/{study}. Errors other than *Refusal
// do not occur; the caller answers a refusal with its status.
func (h *Handler) Post(c echo.Context) error {
	start := time.Now()
	record := Transaction{Failed: map[Reason]int{}}
	err := h.post(c, &record)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		if record.StatusCode = refusal.StatusCode; record.StatusCode == http.StatusServiceUnavailable {
			c.Response().Header().Set("Retry-After", retryAfterSeconds)
		}
	}
	record.Duration = time.Since(start)
	h.Observe(record)
	failed := 0
	for _, n := range record.Failed {
		failed += n
	}
	attrs := []any{
		"request_id", requestID(c), "status", record.StatusCode, "stored", record.Stored, "failed", failed,
		"warnings", record.Warnings, "bytes", record.Bytes, "duration_ms", record.Duration.Milliseconds(),
		"remote", c.RealIP(), "client_dn", c.Request().Header.Get("X-Client-DN"),
	}
	if refusal != nil {
		attrs = append(attrs, "refusal", refusal.Detail)
	}
	h.Audit.InfoContext(c.Request().Context(), "store transaction", attrs...)
	return err
}

func (h *Handler) post(c echo.Context, record *Transaction) error {
	r, w := c.Request(), c.Response()
	framing, responseType, err := h.accept(r, c.Param("study"))
	if err != nil {
		return err
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return refuse(http.StatusServiceUnavailable, "%d requests are being served, which is the limit; try again later", cap(h.slots))
	}

	// A client that leaves harms only the instance it was sending: the others are stored.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	defer context.AfterFunc(h.Stop, cancel)()

	t := &transaction{
		handler: h, ctx: ctx, requestID: requestID(c), study: c.Param("study"),
		framing: framing, length: r.ContentLength, body: h.newBody(h.Stop, w, r, framing.gzip),
		base: &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path}, uploads: map[string]*s3store.Upload{},
	}
	if framing.gzip {
		t.length = -1 // Content-Length is that of the compressed body
	}
	defer context.AfterFunc(h.Stop, t.body.wire.interrupt)()
	bodyErr := t.run()
	record.Bytes = t.body.read
	if bodyErr != nil {
		t.body.wire.abandon()
		w.Header().Set("Connection", "close")
	}
	if len(t.outcomes) == 0 {
		return emptyBody(bodyErr)
	}

	module, count := report(t.outcomes, h.Config.WADOURL)
	record.StatusCode = count.status(bodyErr)
	record.Stored, record.Warnings = count.stored, count.warnings
	for _, o := range t.outcomes {
		if o.reason != 0 {
			record.Failed[o.reason]++
		}
	}
	delay(r.Context(), h.Config.ResponseDelay)
	if record.StatusCode == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfterSeconds)
	}
	describe(w.Header(), module, count, t.outcomes)
	payload, err := module.Marshal(responseType)
	if err != nil {
		return err
	}
	return c.Blob(record.StatusCode, responseType, payload)
}

const retryAfterSeconds = "10"

// accept is step 1: everything that can be refused by the headers alone.
func (h *Handler) accept(r *http.Request, study string) (framing, string, error) {
	if err := acceptStudy(study); err != nil {
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

// requestID is the one that the server's middleware has given the answer.
func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }
