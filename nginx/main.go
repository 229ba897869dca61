// Command certsync is the entry point of the TLS sidecar: it fetches the certificates,
// checks them, starts nginx with them, and reloads nginx when they change. It ends
// when nginx ends, with the exit status of nginx.
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/pires/go-proxyproto"
)

// version is stamped at build time: -ldflags "-X main.version=1.2.3".
var version = "dev"

// Exit codes besides 0 and those of nginx.
const (
	exitFailed        = 1
	exitConfiguration = 2
)

// cutTimeout is how long nginx may take to end after SIGTERM.
const cutTimeout = 3 * time.Second

const usage = `certsync runs nginx with certificates that it fetches and checks.

  certsync           run; the environment configures it: see "Sidecar" in docs/operations.md
  certsync health    ask the certsync of this machine whether it is live; exit 0 when it is
  certsync kick      look at the certificates now, and end the requests that began before their last change;
                     SIGHUP to certsync looks at them, and ends nothing
  certsync version   print the version
`

func main() {
	c, err := loadSettings(env.ToMap(os.Environ()))
	switch arguments := os.Args[1:]; {
	case len(arguments) == 1 && arguments[0] == "health":
		os.Exit(health(c)) // only HEALTH_ADDRESS matters here
	case len(arguments) == 1 && arguments[0] == "kick":
		os.Exit(kick(c)) // only RUN_FOLDER matters here
	case len(arguments) == 1 && arguments[0] == "version":
		fmt.Println(version)
		return
	case len(arguments) > 0:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(exitConfiguration)
	}
	signal.Ignore(syscall.SIGPIPE) // the reader of the log may end
	records := newLines(os.Stderr)
	log := newLog(records)
	code := exitConfiguration
	if err != nil {
		log.Error("the configuration cannot be used", "error", err)
	} else if code, err = run(c, records, log); err != nil {
		log.Error("certsync cannot run", "error", err)
	}
	records.close()
	os.Exit(code)
}

// run returns when nginx has ended, with its exit status, or when it cannot be started.
func run(c settings, records *lines, log *slog.Logger) (int, error) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	looks, kicks := make(chan os.Signal, 1), make(chan os.Signal, 1) // signals that arrive together count as one
	signal.Notify(looks, syscall.SIGHUP)
	signal.Notify(kicks, kickSignal)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	k, err := newKeeper(ctx, c, records, log)
	if err != nil {
		return exitFailed, err
	}
	doorListener, err := k.door.listen(ctx, c.RunFolder)
	if err != nil {
		return exitFailed, err
	}
	doorServer := &http.Server{Handler: k.door, ReadHeaderTimeout: 5 * time.Second}
	go serve(doorServer, doorListener, log)
	defer doorServer.Close()
	go k.nginx.refused.run(ctx)
	defer k.nginx.refused.flush(true)
	listener, err := net.Listen("tcp", c.HealthAddress) //nolint:noctx // at once
	if err != nil {
		return exitFailed, fmt.Errorf("HEALTH_ADDRESS=%q: %w", c.HealthAddress, err)
	}
	health := newHealth(c, k.nginx, k.status, k.status.metrics)
	if c.ProxyProtocol == on { // the health checks of a load balancer also have the header; for other clients it is optional
		listener = &proxyproto.Listener{Listener: listener, ReadHeaderTimeout: 5 * time.Second}
	}
	go serve(health, listener, log)
	defer health.Close()
	go k.ask(ctx, looks, kicks)

	looked := make(chan error)
	go func() {
		err := k.begin(ctx)
		if err == nil {
			k.refresh(ctx)
		}
		looked <- err
	}()
	select {
	case err := <-looked:
		if err != nil {
			return exitFailed, err
		}
	case <-signals:
		cancel()
		<-looked //nolint:errcheck // its error is only that of the stop
		return 0, nil
	}
	if err := k.nginx.start(); err != nil {
		return exitFailed, err
	}
	if err := k.nginx.await(ctx, k.generation); err != nil {
		k.nginx.signal(syscall.SIGTERM)
		<-k.nginx.exited
		return max(k.nginx.code, exitFailed), fmt.Errorf("start nginx: %w", err)
	}
	log.Info("serving", "version", version, "auth_mode", c.AuthMode, "cert_mode", c.CertMode, "tls_address", c.TLSAddress,
		"health_address", c.HealthAddress, "nginx_version", k.version)
	return attend(ctx, k, signals, log), nil
}

// newKeeper makes the keeper and everything that it uses, and empties RUN_FOLDER.
func newKeeper(ctx context.Context, c settings, records *lines, log *slog.Logger) (*keeper, error) {
	lock, err := c.prepareRunFolder()
	if err != nil {
		return nil, err
	}
	n := &nginx{program: c.Nginx, folder: c.RunFolder, records: records, log: log, refused: &sampler{log: newLog(records.refusals()), now: time.Now}}
	nginxVersion, err := n.version(ctx)
	if err != nil {
		return nil, err
	}
	allowed, err := parseClients(c.AllowedClients)
	if err != nil {
		return nil, fmt.Errorf("ALLOWED_CLIENTS: %w", err)
	}
	k := &keeper{settings: c, nginx: n, version: nginxVersion, log: log, lock: lock, wanted: make(chan request), newest: map[string]*x509.RevocationList{}, door: &door{allowed: allowed, log: log, now: time.Now}}
	switch c.CertMode {
	case modeFromS3:
		if k.source, err = newBucket(ctx, c.CertBucketName); err != nil {
			return nil, err
		}
	case modeLocal:
		k.source = newFolder(c.CertFolder)
	}
	m := newMetrics(version)
	m.watch(n)
	n.refused.counter = m.refusals
	k.status = &status{log: log, metrics: m, always: k.source != nil, old: 5*c.CertRefresh + 5*time.Minute}
	return k, nil
}

// serve returns when the server is closed.
func serve(s *http.Server, l net.Listener, log *slog.Logger) {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Error("a port is not served", "address", l.Addr().String(), "error", err)
	}
}

// ask turns signals into requests to the keeper. Each signal has its own channel, so that many looks cannot delay a kick.
func (k *keeper) ask(ctx context.Context, looks, kicks <-chan os.Signal) {
	for {
		var asked request
		select {
		case <-ctx.Done():
			return
		case <-looks:
		case <-kicks:
			asked.kick = true
		}
		select {
		case k.wanted <- asked:
		case <-ctx.Done():
			return
		}
	}
}

// attend waits for the end of nginx, and returns the exit code. After the first signal nginx finishes the requests in
// flight, for at most STOP_TIMEOUT; the second signal ends it at once. If nginx ends without a signal, this is a failure.
func attend(ctx context.Context, k *keeper, signals <-chan os.Signal, log *slog.Logger) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kept := make(chan struct{})
	go func() {
		k.keep(ctx)
		close(kept)
	}()
	select {
	case <-k.nginx.exited:
		log.Error("nginx has ended by itself", "exit_status", k.nginx.code)
		return max(k.nginx.code, exitFailed)
	case s := <-signals:
		log.Info("stopping: no new connections, requests in flight are finished", "signal", s.String())
	}
	cancel()
	<-kept // from here on there is no reload
	k.nginx.signal(syscall.SIGQUIT)
	if why := k.drain(signals); why != "" {
		log.Warn("stopping at once: requests in flight are cut", "reason", why)
		k.nginx.signal(syscall.SIGTERM)
		select {
		case <-k.nginx.exited:
		case <-time.After(cutTimeout):
			k.nginx.kill()
			<-k.nginx.exited
		}
	}
	log.Info("stopped", "exit_status", k.nginx.code)
	return k.nginx.code
}

// drain waits until nginx has finished the requests in flight. It returns why they must be cut; empty: nginx has ended.
func (k *keeper) drain(signals <-chan os.Signal) string {
	over := time.After(k.settings.StopTimeout)
	for {
		select {
		case <-k.nginx.exited:
			return ""
		case s := <-signals:
			return s.String()
		case <-over:
			return "STOP_TIMEOUT is over"
		case asked := <-k.wanted:
			if asked.kick { // all requests in flight began before it
				return "kicked"
			}
		}
	}
}
