// Package server runs the service: the Echo routes of STOW-RS on one address,
// a status page, health and metrics on another, and a graceful stop.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"stowrs-to-s3/app/commitment"
	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/stow"
	"stowrs-to-s3/app/trace"
)

const (
	// headerTimeout for a request's header; its body has the limits of package stow.
	headerTimeout = 15 * time.Second
	// maxHeaderBytes of a request; net/http answers 431 to a longer one.
	maxHeaderBytes = 16 << 10
	// idleTimeout of an idle connection: longer than the 350 s after which a
	// Network Load Balancer drops a TLS connection, so that it never uses a closed one.
	idleTimeout = 400 * time.Second
	// cutTimeout is the time to abort the uploads in flight after the time to stop is
	// over: STOPTIMEOUT and this end within Fargate's 120 s.
	cutTimeout = 8 * time.Second
	// processOverhead is the memory of the process besides its buffers; the Go heap is limited to both together.
	processOverhead = 48 << 20
)

// ErrCut says that the service was stopped before all requests in flight were finished.
var ErrCut = errors.New("stopped before all requests were finished; their uploads were aborted")

// Process is what Run needs from its process.
type Process struct {
	Version string
	Log     io.Writer // JSON records
	// Stop ends when the service should stop: it finishes the requests in flight, for at most STOPTIMEOUT.
	Stop context.Context //nolint:containedctx // two different ends
	// Cut ends when the service should stop at once.
	Cut context.Context //nolint:containedctx // two different ends
	// Listening is called with the addresses as soon as requests are served; it may be nil.
	Listening func(stow, admin net.Addr)
}

// Run serves until p.Stop ends and all requests in flight are finished, or until it
// is cut off (ErrCut). Other errors are those of the start: an address that is in use, an
// AWS configuration that cannot be read. It is not an error if S3 cannot be reached;
// the service waits for it, and reports this in /readyz and the log. An error is the last record of the log.
func Run(c config.Config, p Process) error {
	records := newLogQueue(p.Log)
	defer records.Close()
	log := newLog(records.failures(), level(c.LogLevel))
	err := run(c, p, log, records)
	if err != nil {
		log.Log(p.Stop, levelCritical, "the service has ended", "error", err.Error())
	}
	return err
}

func run(c config.Config, p Process, log *slog.Logger, records *logQueue) error {
	audit := newLog(records, slog.LevelInfo)
	debug.SetMemoryLimit(int64(c.MemoryBudget) + processOverhead)
	client, err := s3store.NewClient(p.Stop, c.ThreadCount)
	if err != nil {
		return err
	}
	traces, err := trace.New(config.Environment(), p.Version, log)
	if err != nil {
		return err //nolint:wrapcheck // it names OTEL_RESOURCE_ATTRIBUTES or the exporter
	}
	measured := newMetrics(p.Version)
	ledger := memory.New(c.BufferBytes(), c.ReserveBytes(), int64(c.MetadataLimit))
	store := s3store.New(storeConfig(c, measured), client, ledger, log)

	uploads, cutUploads := context.WithCancel(context.Background())
	defer cutUploads()
	past := newHistory()
	handler := stow.NewHandler(stow.Handler{
		Config: stowConfig(c), Store: store, Ledger: ledger, Log: log, Audit: audit, Traces: traces, Stop: uploads,
		Observe: func(t stow.Transaction) { measured.transaction(t); past.transaction(t) },
	})
	committer := &commitment.Handler{Stow: handler, Store: store, Log: log, Audit: audit, Observe: measured.commitment}
	state := &health{
		ask: store.Probe, stored: store.Health, starve: ledger.Stalled, log: log, now: time.Now,
	}
	measured.gauges(state, handler)
	measured.traces(traces)
	measured.log(records)
	page := &statusPage{
		version: p.Version, started: time.Now(), config: c, health: state, history: past,
		load: func() load { return load{handler.Serving(), store.Slots(), ledger.Usage(), heapBytes()} },
	}

	stowListener, err := listen("LISTENADDRESS", c.ListenAddress)
	if err != nil {
		return err
	}
	adminListener, err := listen("ADMINADDRESS", c.AdminAddress)
	if err != nil {
		return errors.Join(err, stowListener.Close())
	}
	x := exchange{answer: answerTimeout, linger: lingerTimeout, stall: lingerStall, minRate: int64(c.MinRate), stop: p.Stop}
	limit := connectionLimit(c.MaxRequests, c.ThreadCount, openFiles())
	if missing := c.MaxRequests + spareConnections - limit; missing > 0 {
		log.WarnContext(p.Stop, "the process may open too few files for MAXREQUESTS and THREADCOUNT: raise its limit (ulimit -n, LimitNOFILE)", "missing", missing, "connections", limit)
	}
	stowServer := newServer(newEcho(c, handler, committer, x, log), &connections{limit: limit}, log)
	adminServer := newServer(newAdmin(c, state, measured, page), &connections{limit: adminConnections, anybody: true}, log)
	failed := make(chan error, 2)
	go func() { failed <- stowServer.Serve(listener{stowListener}) }()
	go func() { failed <- adminServer.Serve(adminListener) }()
	defer adminServer.Close()

	background, endBackground := context.WithCancel(p.Stop)
	defer endBackground()
	go state.probe(background)
	go store.Tidy(background, c.SweepAge)

	log.InfoContext(p.Stop, "serving", "version", p.Version, "listen_address", stowListener.Addr().String(),
		"admin_address", adminListener.Addr().String(), "bucket", c.BucketName, "prefix", c.Prefix)
	if p.Listening != nil {
		p.Listening(stowListener.Addr(), adminListener.Addr())
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-p.Stop.Done():
	}
	state.stop()
	return stop(p.Cut, stowServer, store, traces, c.StopTimeout, cutUploads, log)
}

// stop lets the server finish within timeout, unless cut ends before; then the
// uploads are cut off and aborted. Aborts that S3 has refused are retried while there is time.
func stop(cut context.Context, server *http.Server, store *s3store.Store, traces *trace.Tracer, timeout time.Duration, cutUploads func(), log *slog.Logger) error {
	log.Info("stopping", "timeout", timeout.String())
	graceful, cancel := context.WithTimeout(cut, timeout)
	defer cancel()
	stopped := server.Shutdown(graceful) == nil
	cutUploads()
	aborting, cancel := context.WithTimeout(context.Background(), cutTimeout)
	defer cancel()
	defer traces.Close(aborting) //nolint:contextcheck // cut has ended
	defer store.Settle(aborting) //nolint:contextcheck // cut has ended
	if stopped {
		log.Info("stopped")
		return nil
	}
	if err := server.Shutdown(aborting); err != nil { //nolint:contextcheck // cut has ended
		return errors.Join(ErrCut, err, server.Close())
	}
	return ErrCut
}

func listen(variable, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address) //nolint:noctx // at once
	if err != nil {
		return nil, fmt.Errorf("%s=%q: %w", variable, address, err)
	}
	return listener, nil
}

func newServer(handler http.Handler, bound *connections, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		IdleTimeout:       idleTimeout,
		ConnState:         bound.track,
		ConnContext:       bound.context,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // clients' broken connections

		DisableGeneralOptionsHandler: true, // else "OPTIONS *" passes the limits of exchange and headerConn by
	}
}

func storeConfig(c config.Config, m *metrics) s3store.Config {
	return s3store.Config{
		Bucket: c.BucketName, Prefix: c.Prefix, Suffix: c.ObjectSuffix,
		Threads: c.ThreadCount, RetryTime: c.RetryTime, LargestPartBytes: s3store.LargestPartBytes(int64(c.MemoryBudget)),
		MaxInstanceBytes: int64(c.MaxInstanceSize), RejectDuplicates: c.OnDuplicate == "reject",
		KMSKeyID: c.KMSKeyID, StorageClass: c.StorageClass, Observe: m.s3Request,
	}
}

func stowConfig(c config.Config) stow.Config {
	return stow.Config{
		Prefix: c.Prefix, Suffix: c.ObjectSuffix, WADOURL: c.WADOURL,
		HeadWindowBytes: int64(c.HeadWindow), MinRateBytes: int64(c.MinRate), MaxRequestBytes: int64(c.MaxRequestSize),
		MaxRequests: c.MaxRequests, ResponseDelay: time.Duration(c.ResponseDelay), StrictAccept: c.StrictAccept, Commitment: c.Commits(),
	}
}
