// Command local runs the whole system on one machine: the STOW-RS service, and an
// S3 server over a folder with a web console. It needs no AWS account.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/server"
	"stowrs-to-s3/local/gateway"
)

type flags struct {
	Listen        string `default:"127.0.0.1:8080" help:"Address of STOW-RS."`
	AdminListen   string `default:"127.0.0.1:9090" help:"Address of the status page, health and metrics."`
	S3Listen      string `default:"127.0.0.1:9000" name:"s3-listen" help:"Address of the S3 server."`
	ConsoleListen string `default:"127.0.0.1:9001" help:"Address of the web console of the S3 server; empty: no console."`
	Data          string `default:"./data" type:"path" help:"Folder that holds the bucket; made if it is missing."`
}

// The one account of the S3 server. It is meant to be known: the server listens on this machine only.
const (
	accessKey = "stowrs"
	secretKey = "stowrs-local-secret" //nolint:gosec // meant to be known
	bucket    = "dicom"
)

func main() {
	var f flags
	kong.Parse(&f, kong.Name("local"), kong.Description(
		"STOW-RS in, S3 out, on this machine. The service takes its other settings from the same variables as stowrs serve, such as PREFIX or LOGLEVEL."))
	if err := f.run(); err != nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

func (f flags) run() error {
	if err := f.checkAddresses(); err != nil {
		return err
	}
	folder := displayed(f.Data) // the S3 server will change the working directory
	s3 := gateway.Config{Dir: f.Data, Listen: f.S3Listen, Console: f.ConsoleListen, Bucket: bucket, AccessKey: accessKey, SecretKey: secretKey}
	if name := os.Getenv("BUCKETNAME"); name != "" {
		s3.Bucket = name
	}
	folder = folder + "/s3/" + s3.Bucket
	for _, variable := range gateway.Environ(s3) { // the service is configured as in production: by its environment
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	environment := config.Environment()
	environment["LISTENADDRESS"], environment["ADMINADDRESS"] = f.Listen, f.AdminListen
	c, err := config.Load(environment)
	if err != nil {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}

	stopContext, stop := context.WithCancel(context.Background())
	defer stop()
	cutContext, cut := context.WithCancel(context.Background())
	defer cut()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		<-signals
		cut()
	}()

	// The S3 server ends after the service, which finishes what is in flight.
	s3Context, stopS3 := context.WithCancel(context.Background())
	defer stopS3()
	s3Ready, s3Done := make(chan struct{}), make(chan error, 1)
	go func() {
		s3Done <- gateway.Run(s3Context, s3, func() { close(s3Ready) })
		stop()
	}()
	select {
	case <-s3Ready:
	case err := <-s3Done:
		return err
	case <-stopContext.Done():
		stopS3()
		return <-s3Done
	}
	err = server.Run(c, server.Process{
		Version: "local", Log: os.Stderr, Stop: stopContext, Cut: cutContext,
		Listening: func(stow, admin net.Addr) { banner(s3, folder, stow, admin) },
	})
	stopS3()
	return errors.Join(err, <-s3Done)
}

// checkAddresses names the flag of an address that cannot be listened on, before anything is started.
func (f flags) checkAddresses() error {
	var violations []error
	for _, address := range []struct{ flag, value string }{
		{"--listen", f.Listen}, {"--admin-listen", f.AdminListen}, {"--s3-listen", f.S3Listen}, {"--console-listen", f.ConsoleListen},
	} {
		if address.value == "" {
			continue
		}
		listener, err := net.Listen("tcp", address.value) //nolint:noctx // at once
		if err == nil {
			err = listener.Close()
		}
		if err != nil {
			violations = append(violations, fmt.Errorf("%s %s: %w; stop what uses it, or give another address", address.flag, address.value, err))
		}
	}
	return errors.Join(violations...)
}

// displayed is the path for the output: relative if it is below the working directory.
func displayed(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if relative, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(relative) {
		return "./" + relative
	}
	return path
}

func banner(s3 gateway.Config, folder string, stow, admin net.Addr) {
	fmt.Printf(`
STOW-RS    http://%s/studies
status     http://%s/   also /readyz and /metrics
S3         http://%s   bucket %s, in %s
`, stow, admin, s3.Listen, s3.Bucket, folder)
	if s3.Console != "" {
		fmt.Printf("console    http://%s\n", s3.Console)
	}
	fmt.Printf(`login      access key %s   secret key %s

Send the samples from another terminal:

    make send

Ctrl-C stops.
`, s3.AccessKey, s3.SecretKey)
}
