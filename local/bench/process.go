package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// startTimeout limits the start of a process, and stopTimeout its end.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 15 * time.Second
)

// process is a process that serves while others send. Call stop.
type process struct {
	command *exec.Cmd
	ended   chan struct{} // closed when it has ended, for any reason
	err     error         // valid after ended is closed
}

// start starts a process and waits until ready says that it serves.
func start(ctx context.Context, command *exec.Cmd, ready func(context.Context) bool) (*process, error) {
	if command.Stderr == nil {
		command.Stderr = os.Stderr
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Path, err)
	}
	p := &process{command: command, ended: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !ready(ctx) {
		select {
		case <-p.ended:
			return nil, fmt.Errorf("%s ended at once: %w", command.Path, p.err)
		case <-ctx.Done():
			p.stop()
			return nil, fmt.Errorf("%s does not serve: %w", command.Path, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return p, nil
}

// stop ends the process with SIGTERM and, after stopTimeout, with SIGKILL.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		_ = p.command.Process.Kill() // it may have ended
		<-p.ended
	}
}

// cpuSeconds is the processor time of p and of its living descendants, in user and kernel mode.
func (p *process) cpuSeconds() (float64, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	seconds, family := 0.0, map[int]bool{p.command.Process.Pid: true}
	for _, proc := range all { // children follow their parents
		stat, err := proc.Stat()
		if err != nil || !family[stat.PID] && !family[stat.PPID] {
			continue // it has ended, or is not a descendant
		}
		family[stat.PID] = true
		seconds += stat.CPUTime()
	}
	return seconds, nil
}

// peakBytes is the peak resident memory of p.
func (p *process) peakBytes() (uint64, error) {
	proc, err := procfs.NewProc(p.command.Process.Pid)
	if err != nil {
		return 0, fmt.Errorf("peak memory: %w", err)
	}
	status, err := proc.NewStatus()
	if err != nil {
		return 0, fmt.Errorf("peak memory: %w", err)
	}
	return status.VmHWM, nil
}

// bench is a command that runs this program with another subcommand.
func bench(ctx context.Context, environment []string, arguments ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	command := exec.CommandContext(ctx, self, arguments...) //nolint:gosec // this program itself
	command.Env = append(os.Environ(), environment...)
	return command, nil
}

// send runs a sending process to its end.
func send(ctx context.Context, environment []string, arguments ...string) (sent, error) {
	command, err := bench(ctx, environment, arguments...)
	if err != nil {
		return sent{}, err
	}
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, os.Stderr
	if err := command.Run(); err != nil {
		return sent{}, fmt.Errorf("bench %v: %w", arguments, err)
	}
	var result sent
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		return sent{}, fmt.Errorf("bench %v: %w", arguments, err)
	}
	return result, nil
}

// answers tells whether a GET of url is answered with 200.
func answers(ctx context.Context, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_ = response.Body.Close() // only the status matters
	return response.StatusCode == http.StatusOK
}

// freeAddress is a loopback address on which nobody listens at the moment.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	address := listener.Addr().String()
	return address, listener.Close() //nolint:wrapcheck // cannot fail
}
