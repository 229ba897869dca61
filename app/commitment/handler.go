// Package commitment is the Storage Commitment Service as origin server (PS3.18 §13): it answers which of the instances
// in a request are in the bucket. It lists their series, stores nothing, and answers at once.
package commitment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/commitment/references"
	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

const (
	// maxBodyBytes of a request: 100,000 references take about 45 MB in XML, including the indentation of pretty printers.
	maxBodyBytes = 64 << 20
	// lookTime limits the listing, so that the answer comes before a load balancer ends the silent connection after 350 s.
	lookTime = 5 * time.Minute
)

// Handler serves the Request and the Result Check transactions. It is safe for concurrent use.
type Handler struct {
	Stow  *stow.Handler // its rules for requests apply here, too
	Store *s3store.Store
	Log   *slog.Logger // failures
	Audit *slog.Logger // one record for each request, at every log level
	// Observe is called for every request that was answered. It must be safe for concurrent use.
	Observe func(Transaction)

	// LookTime is for tests. Zero: five minutes.
	LookTime time.Duration
}

// Transaction is the record of one request, for metrics.
type Transaction struct {
	StatusCode        int
	Committed, Failed int // instances; none if the request was refused
	Duration          time.Duration

	bytes    int64
	searches int
}

var errPanic = errors.New("a panic")

// Post serves POST /commitment-requests/{transactionUID} (PS3.18 §13.4). Echo's HTTPErrorHandler answers a
// *stow.Refusal with its status; other errors are faults of the service.
func (h *Handler) Post(c echo.Context) error {
	if err := h.recorded(c); err != nil {
		c.Error(err)
	}
	return nil
}

// recorded writes one audit record for every request, even after a panic. It contains no UID.
func (h *Handler) recorded(c echo.Context) (err error) {
	start, record := time.Now(), Transaction{}
	requestID := c.Response().Header().Get(echo.HeaderXRequestID)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
			h.Log.ErrorContext(c.Request().Context(), "panic", "request_id", requestID, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		record.Duration = time.Since(start)
		attrs := []any{"request_id", requestID}
		var refusal *stow.Refusal
		if errors.As(err, &refusal) {
			record.StatusCode, record.Committed, record.Failed = refusal.StatusCode, 0, 0
		} else if err != nil {
			record.StatusCode, record.Committed, record.Failed = http.StatusInternalServerError, 0, 0
		}
		attrs = append(attrs, "status", record.StatusCode, "committed", record.Committed, "failed", record.Failed, "searches", record.searches,
			"bytes", record.bytes, "duration_ms", record.Duration.Milliseconds(),
			"remote", c.RealIP(), "client_dn", storeresponse.Printable(c.Request().Header.Get("X-Client-DN")))
		if refusal != nil {
			attrs = append(attrs, "refusal", refusal.Detail)
		}
		h.Observe(record)
		h.Audit.InfoContext(c.Request().Context(), "commitment", attrs...)
	}()
	return h.post(c, requestID, &record)
}

func (h *Handler) post(c echo.Context, requestID string, record *Transaction) error {
	transaction := c.Param("transaction")
	if err := acceptTransaction(transaction); err != nil {
		return err
	}
	x, err := h.Stow.Exchange(c, maxBodyBytes)
	if err != nil {
		return err //nolint:wrapcheck // a Refusal
	}
	defer x.Close()
	module, err := references.Read(x, x.MediaType, x.Keep)
	record.bytes = x.ReadBytes()
	if err != nil {
		return refuse(x, err)
	}
	if module.TransactionUID != "" && module.TransactionUID != transaction {
		return stow.Refuse(http.StatusBadRequest, "the Transaction UID (0008,1195) of the body is not that of the URL")
	}
	if len(module.All) == 0 {
		return stow.Refuse(http.StatusBadRequest, "the request names no instance: neither in a Referenced Study Sequence (0008,1110) nor in a Referenced SOP Sequence (0008,1199)")
	}
	ctx, cancel := context.WithTimeoutCause(x.Context, cmp.Or(h.LookTime, lookTime), errLookTime)
	defer cancel()
	l := look{store: h.Store}
	all, err := l.up(ctx, module)
	record.searches = int(l.searches.Load())
	if errors.Is(err, errPanic) {
		panic(err)
	}
	if err != nil {
		if ctx.Err() == nil {
			h.Log.ErrorContext(ctx, "commitment failed", "request_id", requestID, "error", err.Error())
		} else {
			err = context.Cause(ctx)
		}
		return refuse(x, err)
	}
	record.StatusCode = http.StatusOK
	for _, r := range all {
		if r.FailureReason == 0 {
			record.Committed++
		} else {
			record.Failed++
		}
	}
	describe(c.Response().Header(), all)
	references.Sort(all)
	return x.Answer(http.StatusOK, func(w io.Writer, mediaType string) error { return references.Write(w, mediaType, all) }) //nolint:wrapcheck // a fault
}

// errLookTime ends a request that names too many series.
var errLookTime = errors.New("listing takes too long")

// refuse returns the refusal of a request for the error that ended it.
func refuse(x *stow.Exchange, err error) error {
	switch {
	case errors.Is(err, references.ErrTooMany):
		return stow.Refuse(http.StatusRequestEntityTooLarge, "%s", err)
	case errors.Is(err, references.ErrSyntax):
		return stow.Refuse(http.StatusBadRequest, "%s", storeresponse.Printable(err.Error()))
	case errors.Is(err, errLookTime):
		return stow.Refuse(http.StatusServiceUnavailable, "the series that the request names could not be listed in time: name fewer of them in one request")
	}
	return x.Refuse(err) //nolint:wrapcheck // a Refusal
}

// Result serves GET /commitment-requests/{transactionUID}, the Result Check transaction (PS3.18 §13.5). There is never a result: a
// request is answered at once, never with 202, and its result is not kept (Table 13.5.3-1: 404).
func (h *Handler) Result(c echo.Context) error {
	if err := acceptTransaction(c.Param("transaction")); err != nil {
		return err
	}
	return stow.Refuse(http.StatusNotFound, "results are not kept, since each request is answered at once: POST the request again, which asks for what is stored now")
}

func acceptTransaction(uid string) error {
	if !dicom.ValidUID(uid) {
		return stow.Refuse(http.StatusBadRequest, "the transaction in the URL is not a UID: digits and dots, 64 characters at most (PS3.5 §9.1)")
	}
	return nil
}
