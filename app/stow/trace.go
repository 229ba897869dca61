package stow

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/trace"
)

// route is the template of a request's path, which has no UID in it.
func route(c echo.Context) string {
	if c.Param("study") != "" {
		return "/studies/{study}"
	}
	return "/studies"
}

// trace ends the span of a request with what is in its record. That the client is to blame is no error of the service
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status).
func (r *Transaction) trace(span trace.Span) {
	span.Set("http.response.status_code", int64(r.StatusCode))
	span.Set("stowrs.stored", int64(r.Stored))
	span.Set("stowrs.failed", int64(r.failed()))
	span.Set("stowrs.warnings", int64(r.Warnings))
	span.Set("stowrs.bytes", r.Bytes)
	if r.StatusCode < http.StatusInternalServerError {
		span.End("")
		return
	}
	span.End(strconv.Itoa(r.StatusCode))
}

// failedType is the word of a trace for what is wrong with an instance, or the body: its Failure Reason.
func failedType(err error) string {
	if err == nil {
		return ""
	}
	return situationOf(err).reason.Hex()
}

// refusedType is that for a refusal: its status.
func refusedType(err error) string {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return strconv.Itoa(refusal.StatusCode)
	}
	return ""
}
