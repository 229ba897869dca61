package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// answerTimeout is the time that a client has to read its answer, in addition to the time for its length at MINRATE.
	answerTimeout = time.Minute
	// leastAnswerRate is used if MINRATE is less: an answer that nobody reads must end.
	leastAnswerRate = 1 << 10
	// A client that sends its whole body before it reads would lose an early answer, because the connection
	// is closed after it (RFC 9112 §9.6). So the rest of the body is read, and dropped, for
	// at most lingerTimeout, and only until lingerStall passes without a byte of it.
	lingerTimeout = 30 * time.Second
	lingerStall   = 5 * time.Second
)

// exchange ends requests that a client does not end by itself. The answer must be
// read within the time answer plus the time that its Content-Length takes at minRate bytes
// per second. After the answer, the rest of a body that the handler has not read is read for
// at most linger, and not after the service stops; then the connection is closed.
//
// A connection with doubtful framing is closed, too, so that a
// request hidden in the body is never served (RFC 9112 §6.1). This applies to each request with
// Transfer-Encoding, because net/http removes its Content-Length before we see it, and
// to each of HTTP/1.0, where net/http removes the Transfer-Encoding.
type exchange struct {
	answer, linger, stall time.Duration
	minRate               int64
	stop                  context.Context //nolint:containedctx // of the service
}

// bound is the middleware.
func (x exchange) bound(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		original, w := c.Request(), c.Response()
		received(original)
		body := &trackedBody{ReadCloser: original.Body}
		body.ended.Store(original.Body == http.NoBody)
		r := original.WithContext(original.Context()) // net/http looks at the type of its own request's body
		r.Body = body
		c.SetRequest(r)
		connection := http.NewResponseController(w)
		w.Before(func() {
			unread := !body.ended.Load()
			if unread || len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
				w.Header().Set("Connection", "close")
			}
			if unread {
				_ = connection.SetReadDeadline(time.Now().Add(x.stall)) // no error matters: the connection may be gone
			}
			if unread || r.Method != http.MethodPost { // nothing is lost with this answer
				answered(r.Context())
			}
			length, _ := strconv.ParseInt(w.Header().Get(echo.HeaderContentLength), 10, 64) // none: a short answer
			reading := time.Duration(length/max(x.minRate, leastAnswerRate)) * time.Second
			_ = connection.SetWriteDeadline(time.Now().Add(x.answer + reading)) // no error matters: the connection may be gone
		})
		if err := next(c); err != nil {
			c.Error(err)
		}
		asked := strings.EqualFold(r.Header.Get("Expect"), "100-continue") && !body.begun.Load() // then the client does not send the body
		if !body.ended.Load() && !asked && connection.Flush() == nil {
			x.readOn(body, connection)
		}
		return nil
	}
}

// readOn reads and drops the rest of the body.
func (x exchange) readOn(body io.Reader, connection *http.ResponseController) {
	end := time.Now().Add(x.linger)
	defer context.AfterFunc(x.stop, func() { _ = connection.SetReadDeadline(time.Unix(1, 0)) })()
	for dropped := make([]byte, 16<<10); time.Now().Before(end); {
		if connection.SetReadDeadline(time.Now().Add(x.stall)) != nil || x.stop.Err() != nil {
			return
		}
		if _, err := body.Read(dropped); err != nil {
			return
		}
	}
}

// trackedBody records whether a request body was read, and whether to its end.
type trackedBody struct {
	io.ReadCloser
	begun, ended atomic.Bool
}

// Read implements io.Reader.
func (b *trackedBody) Read(p []byte) (int, error) {
	b.begun.Store(true)
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended.Store(true)
	}
	return n, err
}

// panicError is a panic of a handler.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// recoverPanics makes an error from a panic, and closes the connection after the answer. An
// answer that has begun is broken off, so that it does not look complete.
func recoverPanics(log func(echo.Context, error)) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			defer func() {
				value := recover()
				if value == nil {
					return
				}
				if abort, ok := value.(error); ok && errors.Is(abort, http.ErrAbortHandler) {
					panic(value)
				}
				err = &panicError{value, debug.Stack()}
				if c.Response().Committed {
					log(c, err)
					panic(http.ErrAbortHandler)
				}
				c.Response().Header().Set("Connection", "close")
			}()
			return next(c)
		}
	}
}
