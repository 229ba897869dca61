package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"regexp"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/stow"
)

// newEcho lays out the routes of LISTENADDRESS. Middleware runs in the order written here.
func newEcho(c config.Config, handler *stow.Handler, log *slog.Logger) *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = func(err error, ctx echo.Context) { answerError(err, ctx, log) }
	trusted := c.TrustedPrefixes()
	e.IPExtractor = func(r *http.Request) string { return clientAddress(r, trusted) }

	e.Pre(boundBody)
	e.Pre(middleware.RemoveTrailingSlash())
	e.Pre(believeOnly(trusted))
	e.Use(middleware.RequestID())
	e.Use(middleware.RecoverWithConfig(middleware.RecoverConfig{
		LogErrorFunc: func(ctx echo.Context, err error, stack []byte) error {
			log.ErrorContext(ctx.Request().Context(), "panic", "request_id", ctx.Response().Header().Get(echo.HeaderXRequestID), "error", err, "stack", string(stack))
			return err
		},
	}))
	if len(c.CORSOrigins) > 0 {
		e.Use(middleware.CORSWithConfig(middleware.CORSConfig{
			Skipper: func(c echo.Context) bool { // OPTIONS that is not a pre-flight asks for the capabilities
				return c.Request().Method == http.MethodOptions && c.Request().Header.Get(echo.HeaderAccessControlRequestMethod) == ""
			},
			AllowOrigins: c.CORSOrigins, AllowMethods: []string{http.MethodPost, http.MethodOptions},
			ExposeHeaders: []string{echo.HeaderXRequestID, echo.HeaderRetryAfter},
		}))
	}
	e.POST("/studies", handler.Post)
	e.POST("/studies/:study", handler.Post)
	for _, path := range []string{"/", "/studies", "/studies/:study"} {
		e.OPTIONS(path, handler.Options)
	}
	return e
}

// unreadTimeout bounds a body that nobody reads: that of a refused request, which
// net/http reads to its end, if it is short, before it answers.
const unreadTimeout = time.Minute

// boundBody gives every request a read deadline. Whoever reads the body sets its own.
func boundBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(unreadTimeout)); err != nil {
			return fmt.Errorf("set read deadline: %w", err)
		}
		return next(c)
	}
}

// newAdmin lays out the routes of ADMINADDRESS.
func newAdmin(c config.Config, h *health, m *metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", h.livez)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	if c.PProf {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// The headers that only a trusted proxy may set.
var proxyHeaders = []string{"X-Client-DN", echo.HeaderXRealIP, echo.HeaderXRequestID}

var requestIDSyntax = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// believeOnly drops the headers of a trusted proxy from all other requests, and a
// request id that could not stand in a log record or in an object's metadata.
func believeOnly(trusted []netip.Prefix) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if !isTrusted(r, trusted) {
				for _, name := range proxyHeaders {
					r.Header.Del(name)
				}
			}
			if !requestIDSyntax.MatchString(r.Header.Get(echo.HeaderXRequestID)) {
				r.Header.Del(echo.HeaderXRequestID)
			}
			return next(c)
		}
	}
}

func isTrusted(r *http.Request, trusted []netip.Prefix) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, prefix := range trusted {
		if prefix.Contains(peer.Addr().Unmap()) {
			return true
		}
	}
	return false
}

func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	if claimed := r.Header.Get(echo.HeaderXRealIP); claimed != "" && isTrusted(r, trusted) {
		if _, err := netip.ParseAddr(claimed); err == nil {
			return claimed
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

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
		log.ErrorContext(c.Request().Context(), "request failed", "request_id", c.Response().Header().Get(echo.HeaderXRequestID), "error", err)
	}
	retry := status == http.StatusServiceUnavailable || status == http.StatusRequestTimeout || status == http.StatusInternalServerError
	if status == http.StatusServiceUnavailable && c.Response().Header().Get(echo.HeaderRetryAfter) == "" {
		c.Response().Header().Set(echo.HeaderRetryAfter, "10")
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
	body := problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Retry: retry}
	if err := c.JSON(status, body); err != nil {
		log.DebugContext(c.Request().Context(), "answer not delivered", "error", err)
	}
}

func routeDetail(status int) string {
	if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		return "instances are stored by POST /studies or POST /studies/{study}; there is no search and no retrieve here"
	}
	return ""
}
