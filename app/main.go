// Command stowrs receives DICOM over STOW-RS (PS3.18 §10.5) and stores every
// instance in Amazon S3. Its subcommands are the service and its tools.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alexflint/go-arg"

	"stowrs-to-s3/app/client"
	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/server"
	"stowrs-to-s3/app/trace"
)

// version is stamped at build time: -ldflags "-X main.version=1.2.3".
var version = "dev"

// Exit codes besides 0.
const (
	exitFailed        = 1
	exitConfiguration = 2
)

type commands struct {
	Serve  *serve  `arg:"subcommand:serve" help:"run the service (the default); it is configured by the environment: see stowrs check"`
	Send   *send   `arg:"subcommand:send" help:"send DICOM files to a STOW-RS service"`
	Verify *verify `arg:"subcommand:verify" help:"ask a service which instances it has stored"`
	Health *health `arg:"subcommand:health" help:"ask the service on this machine whether it is ready; exit 0 when it is"`
	Check  *check  `arg:"subcommand:check" help:"validate the environment of the service and print the effective configuration; with --url, show how a service answers, and what would be sent to it"`
}

// Description implements arg.Described.
func (commands) Description() string { return "STOW-RS in, Amazon S3 out." }

// Epilogue implements arg.Epilogued.
func (commands) Epilogue() string {
	return `Exit codes of stowrs send:
  0    all instances are stored
  1    some instances failed, or there were none, or the journal or the report could not be written
  2    the command cannot be used as it is; nothing was sent
  3    the service was not reached for --max-wait, or refuses everything
  130  interrupted; the summary says how to continue. A second Ctrl-C ends at once
Exit codes of stowrs verify:
  0    all instances are stored
  1    some instances are missing, unverified or different, or could not be checked, or there were none
  2, 3, 130 as for send; 3 also if the service has no storage commitment
Exit codes of stowrs check --url: 0; 1 if some files cannot be sent; 2; 3 if the service was not reached or refuses.
All of them use the proxies in HTTPS_PROXY, HTTP_PROXY and NO_PROXY.`
}

// Version implements arg.Versioned.
func (commands) Version() string { return version }

func main() {
	log.SetOutput(io.Discard) // net/http writes to it what follows an answer, which may name an object, and waits until stderr is read
	var c commands
	parser, err := arg.NewParser(arg.Config{Program: "stowrs"}, &c)
	if err != nil {
		panic(err) // the tags of commands are wrong
	}
	parser.MustParse(os.Args[1:]) // ends the process after --help, --version, or an error, which it prints
	err = run(parser.Subcommand())
	if err == nil {
		return
	}
	var code exitCode
	if !errors.As(err, &code) {
		fmt.Fprintln(os.Stderr, "stowrs:", err)
		code = exitFailed
	}
	os.Exit(int(code))
}

func run(command any) error {
	switch command := command.(type) {
	case *send:
		return command.run()
	case *verify:
		return command.run()
	case *health:
		return command.run()
	case *check:
		return command.run()
	}
	return serve{}.run()
}

// exitCode is the exit code of the process; its reason has already been printed.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

type serve struct{}

// run serves until SIGTERM, SIGINT or SIGHUP; a second signal cuts what is in flight.
func (serve) run() error {
	c, err := config.Load(config.Environment())
	if err != nil {
		printViolations(os.Stderr, err)
		return exitCode(exitConfiguration)
	}
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log may go away
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		signal.Notify(signals, syscall.SIGHUP) // its terminal is gone
	}
	stopContext, stop := context.WithCancel(context.Background())
	cutContext, cut := context.WithCancel(context.Background())
	defer stop()
	defer cut()
	go func() {
		<-signals
		stop()
		<-signals
		cut()
	}()
	if server.Run(c, server.Process{Version: version, Log: os.Stderr, Stop: stopContext, Cut: cutContext}) != nil {
		return exitCode(exitFailed) // the reason is in the log
	}
	return nil
}

type send struct{ client.Options }

// run sends. The first SIGINT or SIGTERM ends it with a summary, the second at once.
func (s send) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	debug.SetGCPercent(50)       // little memory is in use, but for a long time: collecting it more often costs little
	context.AfterFunc(ctx, stop) // so that the next signal is not caught
	s.Command = os.Args
	summary, err := client.Send(ctx, s.Options, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stowrs:", err)
	}
	if code := client.ExitCode(summary, err); code != 0 {
		return exitCode(code)
	}
	return nil
}

type health struct {
	Live bool `arg:"--live" help:"ask only whether the process is live. Use this for a container's health check, because a service without S3 must not be killed while uploads are in flight."`
}

// run asks ADMINADDRESS of this machine.
func (h health) run() error {
	c, _ := config.Load(config.Environment()) // only ADMINADDRESS is used
	host, port, err := net.SplitHostPort(c.AdminAddress)
	if err != nil {
		return fmt.Errorf("ADMINADDRESS=%q: %w", c.AdminAddress, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	path := "/readyz"
	if h.Live {
		path = "/livez"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return fmt.Errorf("ADMINADDRESS=%q: %w", c.AdminAddress, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("the service does not answer: %w", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, io.LimitReader(response.Body, 4<<10)); err != nil {
		return fmt.Errorf("the service does not answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return exitCode(exitFailed)
	}
	return nil
}

type check struct{ client.CheckOptions }

// run asks the service of --url, or prints the effective configuration or every violation.
func (o check) run() error {
	if o.URL != "" {
		return o.ask()
	}
	if len(o.Paths) > 0 {
		fmt.Fprintln(os.Stderr, "stowrs: check looks at files only with --url")
		return exitCode(exitConfiguration)
	}
	c, err := config.Load(config.Environment())
	c.Print(os.Stdout)
	if _, awsErr := s3store.NewClient(context.Background(), c.ThreadCount); awsErr != nil {
		err = errors.Join(err, awsErr)
	}
	if err != nil {
		printViolations(os.Stderr, err)
		return exitCode(exitConfiguration)
	}
	known, unknown := s3store.MaxInstanceBytes(int64(c.MemoryBudget))
	fmt.Printf("\nlargest instance: %s when its length is declared, %s when it is not\n", config.ByteSize(known), config.ByteSize(unknown))
	printAWS(os.Stdout)
	trace.Print(os.Stdout, config.Environment())
	return nil
}

func (o check) ask() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	summary, err := client.Check(ctx, o.CheckOptions, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stowrs:", err)
	}
	if code := client.ExitCode(summary, err); code != 0 {
		return exitCode(code)
	}
	return nil
}

// printAWS prints what the AWS SDK reads by itself, with secrets masked.
func printAWS(w io.Writer) {
	for _, name := range []string{
		"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL",
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	} {
		value, set := os.LookupEnv(name)
		switch {
		case !set:
			continue
		case name == "AWS_SECRET_ACCESS_KEY", name == "AWS_SESSION_TOKEN":
			value = "****"
		case name == "AWS_ACCESS_KEY_ID" && len(value) > 4:
			value = "****" + value[len(value)-4:]
		case strings.HasPrefix(name, "AWS_ENDPOINT_URL"):
			if endpoint, err := url.Parse(value); err == nil {
				value = endpoint.Redacted()
			}
		}
		fmt.Fprintf(w, "%-21s %s\n", name, value)
	}
}

func printViolations(w io.Writer, err error) {
	fmt.Fprintf(w, "stowrs: the configuration cannot be used:\n%s\n", err)
}
