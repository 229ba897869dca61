package stow

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/related"
	"stowrs-to-s3/app/storeresponse"
)

// Exchange is a request that is served beside Store transactions, under the same rules: it has one of the slots of MAXREQUESTS,
// its body must arrive at MINRATE and within its limit, its memory is counted in the ledger, and its answer must be read in time.
// It continues after its body has arrived, when the rule of progress no longer applies. So all Exchanges together have at most an eighth of the
// slots, and three quarters of the memory that requests may keep. Close it.
type Exchange struct {
	// Context ends when the client leaves, after the body was read to its end, and when the service is cut off.
	Context context.Context //nolint:containedctx // of the request
	// MediaType of the body: storeresponse.MediaTypeJSON or MediaTypeXML.
	MediaType string

	handler      *Handler
	kept         *memory.RequestMemory
	body         *limitedBody
	response     http.ResponseWriter
	responseType string
	end          []func()
}

// exchangesShare: one of this many slots is for Exchanges.
const exchangesShare = 8

// Exchange begins to serve a request whose body is one DICOM JSON or Native DICOM Model document of maxBytes at most. Its error is a *Refusal.
func (h *Handler) Exchange(c echo.Context, maxBytes int64) (*Exchange, error) {
	r := c.Request()
	if limit := h.Config.MaxRequestBytes; limit > 0 {
		maxBytes = min(maxBytes, limit)
	}
	mediaType, err := acceptDocument(r.Header)
	if err = cmp.Or(acceptHost(r), err); err != nil {
		return nil, err
	}
	responseType, err := acceptResponse(r, h.Config.StrictAccept)
	if err != nil {
		return nil, err
	}
	if r.ContentLength > maxBytes {
		return nil, refuse(http.StatusRequestEntityTooLarge, "the request has %d bytes, at most %d are accepted", r.ContentLength, maxBytes)
	}
	if err := h.exchanges.enter("requests for storage commitment"); err != nil {
		return nil, err
	}
	if err := h.slots.enter("requests"); err != nil {
		h.exchanges.leave()
		return nil, err
	}
	ctx, cancel := context.WithCancel(r.Context())
	x := &Exchange{Context: ctx, MediaType: mediaType, kept: h.Ledger.KeepBeside(), handler: h, response: c.Response(), responseType: responseType}
	x.body = h.body(c, func() int64 { return slotBytes + x.kept.HeldBytes() }, maxBytes)
	x.body.short = func() bool { return h.exchanges.short() || h.short() }
	stopCut, stopInterrupt := context.AfterFunc(h.Stop, cancel), context.AfterFunc(h.Stop, x.body.interrupt)
	x.end = []func(){h.exchanges.leave, h.slots.leave, x.kept.Close, cancel, func() { stopCut() }, func() { stopInterrupt() }}
	return x, nil
}

// Close ends the exchange, and gives back all that it holds.
func (x *Exchange) Close() {
	for _, end := range slices.Backward(x.end) {
		end()
	}
}

// Read implements io.Reader for the body. Before an answer with a success, the body must be read to its end.
func (x *Exchange) Read(p []byte) (int, error) { return x.body.Read(p) }

// ReadBytes is how much of the body was read.
func (x *Exchange) ReadBytes() int64 { return x.body.read }

// Keep counts n more bytes that the request keeps, before they are made; n < 0 gives some back. With an error nothing is counted.
func (x *Exchange) Keep(n int64) error {
	if n < 0 {
		x.kept.Release(-n)
		return nil
	}
	err := x.kept.Take(n)
	if errors.Is(err, memory.ErrBusy) {
		x.handler.exchanges.refuse()
	}
	return err //nolint:wrapcheck // Refuse knows it
}

// Answer writes the output of encode, which it calls twice: the first call only counts the length.
func (x *Exchange) Answer(status int, encode func(w io.Writer, mediaType string) error) error {
	return answer(x.response, status, encode, x.responseType, x.handler.reader(x.response, x.body.holds(), x.body.short))
}

// Refuse returns the refusal of a request because of err, an error of the body, the ledger or the context; any other error is one of the storage.
func (x *Exchange) Refuse(err error) error {
	switch {
	case errors.Is(err, errRequestTooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "the body has more than the %d bytes that are accepted", x.body.limit)
	case errors.Is(err, context.Canceled) && x.handler.Stop.Err() == nil:
		return refuse(http.StatusRequestTimeout, "the client has left")
	}
	s := situationOf(err)
	return refuse(s.status, "%s", strings.ReplaceAll(s.words, "send it again", "ask again"))
}

// Refuse is a refusal that is made elsewhere.
func Refuse(statusCode int, format string, args ...any) error {
	return refuse(statusCode, format, args...)
}

// Quotable returns text in a form that is allowed in the quoted-string of a header.
func Quotable(text string) string { return quotable(text) }

// acceptDocument returns the media type of a body that is one document; the general types of XML and JSON are accepted for those of DICOM.
func acceptDocument(header http.Header) (string, error) {
	if encoding := strings.Join(header.Values("Content-Encoding"), ","); !isIdentity(encoding) {
		return "", refuse(http.StatusUnsupportedMediaType, "Content-Encoding %q is not supported; send the body as it is", storeresponse.Printable(encoding))
	}
	if err := acceptWhole(header); err != nil {
		return "", err
	}
	value := header.Get("Content-Type")
	switch related.ParseMediaType(value).Name {
	case storeresponse.MediaTypeJSON, "application/json":
		return storeresponse.MediaTypeJSON, nil
	case storeresponse.MediaTypeXML, "application/xml", "text/xml":
		return storeresponse.MediaTypeXML, nil
	}
	return "", refuse(http.StatusUnsupportedMediaType, "Content-Type %q is not supported; send %s or %s",
		storeresponse.Printable(value), storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML)
}
