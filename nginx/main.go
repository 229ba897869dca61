// Command certsync is the entry point of the TLS sidecar: it gets the certificates,
// checks them, starts nginx over them, and reloads it when they change. It ends
// with nginx, and with its exit status.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/caarlos0/env/v11"
)

// version is stamped at build time: -ldflags "-X main.version=1.2.3".
var version = "dev"

// Exit codes besides 0 and those of nginx.
const (
	exitFailed        = 1
	exitConfiguration = 2
)

const usage = `certsync runs nginx with certificates that it fetches and checks.

  certsync           run; the environment configures it: see "Sidecar" in docs/operations.md
  certsync health    ask the certsync of this machine whether it is live; exit 0 when it is
  certsync version   print the version
`

func main() {
	c, err := loadSettings(env.ToMap(os.Environ()))
	switch arguments := os.Args[1:]; {
	case len(arguments) == 1 && arguments[0] == "health":
		os.Exit(health(c)) // only HEALTH_ADDRESS matters here
	case len(arguments) == 1 && arguments[0] == "version":
		fmt.Println(version)
		return
	case len(arguments) > 0:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(exitConfiguration)
	}
	records := &lines{w: os.Stderr}
	log := newLog(records)
	if err != nil {
		log.Error("the configuration cannot be used", "error", err)
		os.Exit(exitConfiguration)
	}
	code, err := run(c, records, log)
	if err != nil {
		log.Error("certsync cannot run", "error", err)
	}
	os.Exit(code)
}

// run returns when nginx has ended, with its exit status, or when it cannot be started.
func run(c settings, records io.Writer, log *slog.Logger) (int, error) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	k, err := newKeeper(ctx, c, records, log)
	if err != nil {
		return exitFailed, err
	}
	if err := k.begin(ctx); err != nil {
		return exitFailed, err
	}
	listener, err := net.Listen("tcp", c.HealthAddress) //nolint:noctx // at once
	if err != nil {
		return exitFailed, fmt.Errorf("HEALTH_ADDRESS=%q: %w", c.HealthAddress, err)
	}
	health := newHealth(c, k.nginx, k.status, k.status.metrics)
	go func() {
		if err := health.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("health is not served", "error", err)
		}
	}()
	defer health.Close()

	looked := make(chan struct{})
	go func() {
		k.refresh(ctx)
		close(looked)
	}()
	select {
	case <-looked:
	case <-signals:
		cancel()
		<-looked
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
		"health_address", c.HealthAddress, "nginx_version", k.version.String())
	return attend(ctx, k, signals, log), nil
}

// newKeeper puts the parts together, in an empty RUN_FOLDER.
func newKeeper(ctx context.Context, c settings, records io.Writer, log *slog.Logger) (*keeper, error) {
	if err := c.prepareRunFolder(); err != nil {
		return nil, err
	}
	n := &nginx{program: c.Nginx, folder: c.RunFolder, records: records, log: log}
	nginxVersion, err := n.version(ctx)
	if err != nil {
		return nil, err
	}
	k := &keeper{settings: c, nginx: n, version: nginxVersion, log: log}
	switch c.CertMode {
	case modeFromS3:
		if k.source, err = newBucket(ctx, c.CertBucketName); err != nil {
			return nil, err
		}
	case modeLocal:
		k.source = folder(c.CertFolder)
	}
	k.status = &status{log: log, metrics: newMetrics(version), always: k.source != nil}
	return k, nil
}

// attend waits for the end of nginx. The first signal lets it finish what is in
// flight, the second ends it.
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
		return k.nginx.code
	case s := <-signals:
		log.Info("stopping: no new connections, requests in flight are finished", "signal", s.String())
	}
	cancel()
	<-kept // no reload from here on
	k.nginx.signal(syscall.SIGQUIT)
	select {
	case <-k.nginx.exited:
	case s := <-signals:
		log.Warn("stopping at once: requests in flight are cut", "signal", s.String())
		k.nginx.signal(syscall.SIGTERM)
		<-k.nginx.exited
	}
	log.Info("stopped", "exit_status", k.nginx.code)
	return k.nginx.code
}
