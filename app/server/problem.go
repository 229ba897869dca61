package server

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

// problem is an error outside of the response module (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Retry  bool   `json:"retry"` // the same request may succeed later (PS3.18 §8.5: temporary or permanent)
}

// answerError writes the answer to a request that failed as a whole.
func answerError(err error, c echo.Context, log *slog.Logger) {
	if c.Response().Committed {
		return
	}
	status, detail := http.StatusInternalServerError, ""
	var refusal *stow.Refusal
	var http1 *echo.HTTPError
	switch {
	case errors.As(err, &refusal):
		status, detail = refusal.StatusCode, refusal.Detail
	case errors.As(err, &http1):
		status = http1.Code
		detail = routeDetail(status)
	default:
		logFailure(log, c, err)
	}
	retry := status == http.StatusServiceUnavailable || status == http.StatusRequestTimeout || status == http.StatusInternalServerError
	if status == http.StatusServiceUnavailable && c.Response().Header().Get(echo.HeaderRetryAfter) == "" {
		c.Response().Header().Set(echo.HeaderRetryAfter, "10")
	}
	body, _ := json.Marshal(problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Retry: retry}) // it never fails
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))                                                        // the answer ends before the exchange does
	if err := c.Blob(status, "application/problem+json", body); err != nil {
		log.DebugContext(c.Request().Context(), "answer not delivered", "error", err)
	}
}

// logFailure records what should never happen, above all a panic.
func logFailure(log *slog.Logger, c echo.Context, err error) {
	attrs := []any{"request_id", c.Response().Header().Get(echo.HeaderXRequestID), "error", storeresponse.Printable(err.Error())}
	var panicked *panicError
	if errors.As(err, &panicked) {
		attrs = append(attrs, "stack", string(panicked.stack))
	}
	log.ErrorContext(c.Request().Context(), "request failed", attrs...)
}

func routeDetail(status int) string {
	if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		return "instances are stored by POST /studies or POST /studies/{study}, and asked for by POST /commitment-requests/{transactionUID} unless COMMITMENT is off; there is no search and no retrieve here"
	}
	return ""
}
