package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	testTimeout   = 30 * time.Second // of nginx -t
	reloadTimeout = 30 * time.Second // until the new workers answer
	answerTimeout = 10 * time.Second // of one question which files nginx serves; it may wait behind a thousand handshakes
	liveTimeout   = 2 * time.Second  // of one question whether nginx lives
)

// nginx is the program and, after start, its process.
type nginx struct {
	program string
	folder  string // RUN_FOLDER
	records io.Writer
	log     *slog.Logger
	refused *sampler // for records that strangers can cause

	before  []worker                   // the workers that ran before the last reload
	process atomic.Pointer[os.Process] // nil until it is started
	exited  chan struct{}              // closed when it has ended, with the exit status in code
	code    int
}

// version is the version of the program, such as 1.28.0.
func (n *nginx) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	output, err := exec.CommandContext(ctx, n.program, "-v").CombinedOutput() //nolint:gosec // the program is configured
	if err != nil {
		return "", fmt.Errorf("run %s -v: %w; install nginx, or set NGINX_PROGRAM to the program", n.program, err)
	}
	_, version, found := strings.Cut(strings.TrimSpace(string(output)), "nginx/")
	if !found {
		return "", fmt.Errorf("nginx -v says %q, which has no version", output)
	}
	return version, nil
}

// arguments are those of nginx. -e: until it has read its configuration, nginx writes to the
// error log that was chosen at build time, which this user may not write.
func (n *nginx) arguments(folder string, more ...string) []string {
	return append([]string{"-e", "stderr", "-p", n.folder, "-c", filepath.Join(n.folder, folder, "nginx.conf")}, more...)
}

// test lets nginx read a generation without serving it. The error contains nginx's message.
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

// childEnvironment is the environment without the AWS credentials, which nginx does not need, and
// without NGINX, in which nginx would look for inherited sockets.
func childEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "AWS_") || strings.HasPrefix(variable, "NGINX=")
	})
}

// start starts nginx with the current generation. Its output becomes records.
func (n *nginx) start() error {
	access, accessWriter, err := os.Pipe() // a pipe of this user, so that nginx may open it as /dev/stdout
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	errorLog, errorWriter, err := messagePipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	cmd := exec.Command(n.program, n.arguments(currentName)...) //nolint:gosec,noctx // the program is configured; it ends by signals
	cmd.Stdout, cmd.Stderr = accessWriter, errorWriter
	cmd.Env, cmd.SysProcAttr = childEnvironment(), processAttributes()
	n.exited = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is sent when the thread of the fork ends, so this thread must live
		err := cmd.Start()
		_, _ = accessWriter.Close(), errorWriter.Close() // nginx has its own copies
		started <- err
		if err != nil {
			return
		}
		var copies sync.WaitGroup
		copies.Go(func() { n.copyAccess(access) })
		copies.Go(func() { n.copyErrors(errorLog) })
		err = cmd.Wait()
		// If the master was killed, its workers would continue and occupy the ports.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // it fails if there are none, which is the normal case
		copies.Wait()
		n.code = exitCode(cmd.ProcessState, err)
		close(n.exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start nginx: %w", err)
	}
	n.process.Store(cmd.Process)
	return nil
}

// exitCode is the exit code as a shell reports it: 128 plus the number of the signal, if one ended the process.
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

// copyAccess passes on the records of requests, which nginx writes in their final form. Refusals are sampled.
func (n *nginx) copyAccess(r io.ReadCloser) {
	defer r.Close()
	reader := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := reader.ReadBytes('\n')
		if refusal, is := bytes.CutPrefix(line, []byte("refused ")); is {
			n.addRefusal(refusal)
		} else if json.Valid(line) {
			_, _ = n.records.Write(line) // lines.Write never fails
		} else if len(line) > 0 {
			n.refused.add(sample{kind{slog.LevelWarn, "nginx"}, "", "a record that cannot be read"})
		}
		if err != nil {
			return
		}
	}
}

// copyErrors reads the error log. Each read returns exactly one message, even if strangers put line ends into it.
func (n *nginx) copyErrors(r io.ReadCloser) {
	defer r.Close()
	message := make([]byte, 4<<10) // a message of nginx has at most 2 KiB: NGX_MAX_ERROR_STR
	for {
		size, err := r.Read(message)
		if record := parseErrorLine(string(message[:size])); record.text != "" {
			n.addError(record)
		}
		if err != nil {
			return
		}
	}
}

// addRefusal samples a line of the log format "refusals".
func (n *nginx) addRefusal(line []byte) {
	var r struct {
		Remote, Reason, TLS string
		ClientDN            string `json:"client_dn"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		r.Reason = "unknown"
	}
	n.refused.add(sample{kind{slog.LevelWarn, refused}, r.Remote, r.Reason}, "tls", r.TLS, "client_dn", r.ClientDN)
}

// addError samples a line of the error log. Of lines below WARN, only refused connections are logged.
func (n *nginx) addError(line errorLine) {
	switch reason, is := connectionRefusal(line); {
	case is:
		n.refused.add(sample{kind{slog.LevelWarn, refused}, line.client, reason})
	case line.level >= slog.LevelWarn:
		n.refused.add(sample{kind{line.level, "nginx"}, line.client, line.text})
	}
}

// kill ends nginx and its workers at once, even if they hang.
func (n *nginx) kill() { _ = syscall.Kill(-n.process.Load().Pid, syscall.SIGKILL) } // nginx has its own process group

// signal sends a signal to nginx: SIGHUP to reload, SIGQUIT to finish the requests in flight and end, SIGTERM to end at once.
func (n *nginx) signal(s os.Signal) {
	if err := n.process.Load().Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		n.log.Error("nginx cannot be signalled", "signal", s.String(), "error", err)
	}
}

// reload makes nginx read the current generation, and waits until nginx serves it and no old worker takes connections.
// Requests in flight continue in the old workers, which then end.
func (n *nginx) reload(ctx context.Context, generation int) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	before, _ := n.workers() // with an error, no workers are known
	n.signal(syscall.SIGHUP)
	if err := n.await(ctx, generation); err != nil {
		return err
	}
	n.before = before
	return n.until(ctx, func() bool {
		now, err := n.workers()
		return err != nil || !slices.ContainsFunc(now, func(w worker) bool { return !w.old && n.isOfBefore(w) })
	}, "the workers of before have not been told within %s to take no more connections")
}

// await waits until nginx serves the generation.
func (n *nginx) await(ctx context.Context, generation int) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	return n.until(ctx, func() bool {
		served, err := n.serving(ctx, answerTimeout)
		return err == nil && served == generation
	}, "nginx does not serve the new files within %s; its records say why")
}

// until waits for a condition, as long as nginx runs. late is the text of the error if ctx ends before.
func (n *nginx) until(ctx context.Context, condition func() bool, late string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-n.exited:
			return errors.New("nginx has ended")
		case <-ctx.Done():
			return fmt.Errorf(late, reloadTimeout)
		}
	}
	return nil
}

// serving asks nginx for the generation that it serves. If it answers, nginx is alive.
func (n *nginx) serving(ctx context.Context, within time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
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
