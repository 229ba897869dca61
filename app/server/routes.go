package server

import (
	"log/slog"
	"net/http"
	"net/http/pprof"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stowrs-to-s3/app/commitment"
	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/stow"
)

// newEcho defines the routes of LISTENADDRESS. Middleware runs in the order written here.
func newEcho(c config.Config, handler *stow.Handler, committer *commitment.Handler, x exchange, log *slog.Logger) *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = func(err error, ctx echo.Context) { answerError(err, ctx, log) }
	e.IPExtractor = clientAddress
	e.Pre(
		recoverPanics(func(ctx echo.Context, err error) { logFailure(log, ctx, err) }),
		x.bound,
		cleanPath,
		believeOnly(c.TrustedPrefixes()),
		middleware.RequestID(),
	)
	if len(c.CORSOrigins) > 0 {
		e.Use(middleware.CORSWithConfig(middleware.CORSConfig{
			Skipper: func(c echo.Context) bool {
				header := c.Request().Header
				isPreflight := header.Get(echo.HeaderAccessControlRequestMethod) != "" &&
					len(header.Get(echo.HeaderAccessControlRequestHeaders)) <= maxEchoedBytes
				return c.Request().Method == http.MethodOptions && !isPreflight // it asks for the capabilities
			},
			AllowOrigins: c.CORSOrigins, AllowMethods: []string{http.MethodPost, http.MethodOptions},
			ExposeHeaders: []string{echo.HeaderXRequestID, echo.HeaderRetryAfter, "Warning", echo.HeaderLocation, "Content-Location"},
		}))
	}
	e.POST("/studies", handler.Post)
	e.POST("/studies/:study", handler.Post)
	for _, path := range []string{"/", "/studies", "/studies/:study"} {
		e.OPTIONS(path, handler.Options)
	}
	e.Any("/studies/:study/*", echo.NotFoundHandler) // otherwise a study could be everything that follows
	if commitments := "/commitment-requests/:transaction"; c.Commits() {
		e.POST(commitments, committer.Post)
		e.GET(commitments, committer.Result)
		e.OPTIONS(commitments, handler.Options)
		e.Any(commitments+"/*", echo.NotFoundHandler)
	}
	return e
}

// maxEchoedBytes limits the list of headers in a pre-flight, which its answer repeats.
const maxEchoedBytes = 300

// newAdmin defines the routes of ADMINADDRESS.
func newAdmin(c config.Config, h *health, m *metrics, page *statusPage) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page)
	mux.HandleFunc("GET /status.css", serveStyle)
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
