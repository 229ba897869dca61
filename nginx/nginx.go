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
	answerTimeout = 10 * time.Second // of one question which files nginx serves, which may wait behind a thousand handshakes
	liveTimeout   = 2 * time.Second  // of one question whether nginx lives
)

// nginx is the program, and its process once it is started.
type nginx struct {
	program string
	folder  string // RUN_FOLDER
	records io.Writer
	log     *slog.Logger
	refused *sampler // what strangers cause

	before  []worker                   // the workers of before the last reload
	process atomic.Pointer[os.Process] // nil until it is started
	exited  chan struct{}              // closed when it has ended, with the exit status in code
	code    int
}

// version of the program, such as 1.28.0.
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
	n.process.Store(cmd.Process)
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

// copyAccess passes the records of requests on: nginx writes them as they shall be. Refusals are sampled.
func (n *nginx) copyAccess(r io.ReadCloser) {
	defer r.Close()
	reader := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := reader.ReadBytes('\n')
		if refusal, is := bytes.CutPrefix(line, []byte("refused ")); is {
			n.addRefusal(refusal)
		} else if json.Valid(line) {
			_, _ = n.records.Write(line) // it never fails
		} else if len(line) > 0 {
			n.refused.add(sample{kind{slog.LevelWarn, "nginx"}, "", "a record that cannot be read"})
		}
		if err != nil {
			return
		}
	}
}

// copyErrors reads the error log, of which a read gets one message, whatever strangers put into it.
func (n *nginx) copyErrors(r io.ReadCloser) {
	defer r.Close()
	message := make([]byte, 4<<10) // those of nginx have 2 KiB at most: NGX_MAX_ERROR_STR
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

// addError samples a line of the error log. Of what is of no more than INFO, only refused handshakes are told.
func (n *nginx) addError(line errorLine) {
	switch reason, is := connectionRefusal(line); {
	case is:
		n.refused.add(sample{kind{slog.LevelWarn, refused}, line.client, reason})
	case line.level >= slog.LevelWarn:
		n.refused.add(sample{kind{line.level, "nginx"}, line.client, line.text})
	}
}

// kill ends nginx and its workers whatever they do.
func (n *nginx) kill() { _ = syscall.Kill(-n.process.Load().Pid, syscall.SIGKILL) } // it has a group of its own

// signal tells nginx: SIGHUP to reload, SIGQUIT to finish what is in flight and end, SIGTERM to end.
func (n *nginx) signal(s os.Signal) {
	if err := n.process.Load().Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		n.log.Error("nginx cannot be signalled", "signal", s.String(), "error", err)
	}
}

// reload makes nginx read the current generation, and waits until it serves it, and no worker of before takes connections.
// Requests in flight go on in those, which end after them.
func (n *nginx) reload(ctx context.Context, generation int) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	before, _ := n.workers() // none are known
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

// until waits for a condition, as long as nginx runs. late is the error when ctx ends before.
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

// serving asks nginx for the generation that it serves: it lives when it answers.
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
