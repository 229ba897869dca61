package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	testTimeout   = 30 * time.Second // of nginx -t
	reloadTimeout = 30 * time.Second // until the new workers answer
	liveTimeout   = 2 * time.Second  // of one question whether nginx lives
)

// nginxVersion is that of the program: certsync serves several.
type nginxVersion struct{ major, minor, patch int }

// hasHTTP2Directive: since 1.25.1, "http2 on" replaces a parameter of "listen",
// which is warned about.
func (v nginxVersion) hasHTTP2Directive() bool {
	if v.major != 1 || v.minor != 25 {
		return v.major > 1 || v.minor > 25
	}
	return v.patch >= 1
}

var versionSyntax = regexp.MustCompile(`nginx/(\d+)\.(\d+)\.(\d+)`)

func (v nginxVersion) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

func parseVersion(output string) (nginxVersion, error) {
	match := versionSyntax.FindStringSubmatch(output)
	if match == nil {
		return nginxVersion{}, fmt.Errorf("nginx -v says %q, which has no version", output)
	}
	var v nginxVersion
	for i, field := range []*int{&v.major, &v.minor, &v.patch} {
		*field, _ = strconv.Atoi(match[i+1]) // digits
	}
	return v, nil
}

// nginx is the program, and its process once it is started.
type nginx struct {
	program string
	folder  string // RUN_FOLDER
	records io.Writer
	log     *slog.Logger

	process *os.Process
	exited  chan struct{} // closed when it has ended, with the exit status in code
	code    int
}

func (n *nginx) version(ctx context.Context) (nginxVersion, error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	output, err := exec.CommandContext(ctx, n.program, "-v").CombinedOutput() //nolint:gosec // the program is configured
	if err != nil {
		return nginxVersion{}, fmt.Errorf("run %s -v: %w; install nginx, or set NGINX_PROGRAM to the program", n.program, err)
	}
	return parseVersion(string(output))
}

// arguments of nginx. -e: until it has read the configuration it would write to the
// error log that its packager has chosen, which this user may not.
func (n *nginx) arguments(folder string, more ...string) []string {
	return append([]string{"-e", "stderr", "-p", n.folder, "-c", filepath.Join(n.folder, folder, "nginx.conf")}, more...)
}

// test lets nginx read a generation, without serving it. The error has nginx's words.
func (n *nginx) test(ctx context.Context, generation int) error {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, n.program, n.arguments(generationName(generation), "-t", "-q")...) //nolint:gosec // the program is configured
	cmd.Env = childEnvironment()
	output, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	var words []string
	for line := range strings.Lines(string(output)) {
		if record := parseErrorLine(line); record.level >= slog.LevelError && !strings.HasSuffix(record.text, "test failed") {
			words = append(words, record.text)
		}
	}
	return fmt.Errorf("nginx -t: %w: %s", err, strings.Join(words, "; "))
}

// childEnvironment is without the credentials, which nginx does not need, and
// without NGINX, in which it would look for sockets.
func childEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "AWS_") || strings.HasPrefix(variable, "NGINX=")
	})
}

// start starts nginx over the current generation. What it writes becomes records.
func (n *nginx) start() error {
	access, accessWriter, err := os.Pipe() // as a pipe of this user, nginx may open it by its name /dev/stdout
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	errorLog, errorWriter, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	cmd := exec.Command(n.program, n.arguments(currentName)...) //nolint:gosec,noctx // the program is configured; it ends by signals
	cmd.Stdout, cmd.Stderr = accessWriter, errorWriter
	cmd.Env, cmd.SysProcAttr = childEnvironment(), processAttributes()
	n.exited = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // that of the fork: nginx is told when it ends
		err := cmd.Start()
		_, _ = accessWriter.Close(), errorWriter.Close() // nginx has its own
		started <- err
		if err != nil {
			return
		}
		var copies sync.WaitGroup
		copies.Go(func() { n.copyAccess(access) })
		copies.Go(func() { n.copyErrors(errorLog) })
		err = cmd.Wait()
		// A master that was killed leaves its workers, who would go on and hold the ports.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // none, as a rule
		copies.Wait()
		n.code = exitCode(cmd.ProcessState, err)
		close(n.exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start nginx: %w", err)
	}
	n.process = cmd.Process
	return nil
}

// exitCode as a shell has it: 128 and the number of the signal that ended the process.
func exitCode(state *os.ProcessState, err error) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 1
	}
	return state.ExitCode()
}

// copyAccess passes the records of requests on: nginx writes them as they shall be.
func (n *nginx) copyAccess(r io.ReadCloser) {
	defer r.Close()
	reader := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 {
			_, _ = n.records.Write(line) // to the container's log; there is nowhere to report that it fails
		}
		if err != nil {
			return
		}
	}
}

func (n *nginx) copyErrors(r io.ReadCloser) {
	defer r.Close()
	reader := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := reader.ReadString('\n')
		if record := parseErrorLine(line); record.text != "" {
			attrs := []any{"text", record.text}
			if record.client != "" {
				attrs = append(attrs, "client", record.client)
			}
			n.log.Log(context.Background(), record.level, "nginx", attrs...)
		}
		if err != nil {
			return
		}
	}
}

// signal tells nginx: SIGHUP to reload, SIGQUIT to finish what is in flight and end, SIGTERM to end.
func (n *nginx) signal(s os.Signal) {
	if err := n.process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		n.log.Error("nginx cannot be signalled", "signal", s.String(), "error", err)
	}
}

// reload makes nginx read the current generation, and waits until it serves it.
// Requests in flight go on in the old workers, which end after them.
func (n *nginx) reload(ctx context.Context, generation int) error {
	n.signal(syscall.SIGHUP)
	return n.await(ctx, generation)
}

// await waits until nginx serves the generation.
func (n *nginx) await(ctx context.Context, generation int) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		served, err := n.serving(ctx)
		if err == nil && served == generation {
			return nil
		}
		select {
		case <-tick.C:
		case <-n.exited:
			return errors.New("nginx has ended")
		case <-ctx.Done():
			return fmt.Errorf("nginx does not serve the new files within %s; its records say why", reloadTimeout)
		}
	}
}

// serving asks nginx for the generation that it serves: it lives when it answers.
func (n *nginx) serving(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	var dialer net.Dialer
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", filepath.Join(n.folder, socketName))
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://nginx/", nil)
	if err != nil {
		return 0, fmt.Errorf("ask nginx: %w", err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, fmt.Errorf("ask nginx: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64))
	if err != nil {
		return 0, fmt.Errorf("ask nginx: %w", err)
	}
	generation, err := strconv.Atoi(string(body))
	if err != nil {
		return 0, fmt.Errorf("nginx answers %d %q, which is no generation", response.StatusCode, body)
	}
	return generation, nil
}
