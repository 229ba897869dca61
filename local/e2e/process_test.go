package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// process is a child process that ends with its test.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *output
	exited         chan struct{}
}

// start runs the binary with only these variables in its environment.
func start(t *testing.T, environment []string, binary string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(binary, args...), stdout: &output{}, stderr: &output{}, exited: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true"}, environment...)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	dieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %v\nstdout:\n%s\nstderr:\n%s", binary, args, p.stdout.tail(), p.stderr.tail())
		}
		if strings.Contains(p.stderr.String(), "DATA RACE") {
			t.Errorf("%s has a data race:\n%s", binary, p.stderr)
		}
	})
	return p
}

// run runs the binary until it ends.
func run(t *testing.T, environment []string, binary string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, environment, binary, args...)
	code = p.exitCode(t, time.Minute)
	return code, p.stdout.String(), p.stderr.String()
}

// kill sends SIGKILL, and returns when the process has ended.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) signal(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// exitCode waits until the process ends by itself; -1: a signal ended it.
func (p *process) exitCode(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		t.Fatalf("%s has not ended within %s", p.cmd.Path, within)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// records returns the JSON records on stderr with this message.
func (p *process) records(message string) []map[string]any {
	var found []map[string]any
	for line := range strings.Lines(p.stderr.String()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil && record["msg"] == message {
			found = append(found, record)
		}
	}
	return found
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	left bool
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left {
		return 0, io.ErrClosedPipe // exec.Cmd closes the pipe
	}
	return o.buf.Write(p)
}

// leave makes the reader of the output go away, when there is something to read.
func (o *output) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left = true
}

// hang makes the reader of the output hang until goOn is called.
func (o *output) hang(t *testing.T) (goOn func()) {
	o.mu.Lock()
	goOn = sync.OnceFunc(o.mu.Unlock)
	t.Cleanup(goOn) // runs before the cleanup of start, which waits for the reader
	return goOn
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// tail is the end of the output, enough to see why a test failed.
func (o *output) tail() string {
	const most = 8 << 10
	s := o.String()
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// eventually waits for a condition, and fails the test if it does not become true in time.
func eventually(t *testing.T, within time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(12000)) } //nolint:gochecknoinits // a start that differs between processes

// freeAddress is a loopback address that nobody listens on. Its port is below
// those that systems give to outgoing connections, so it stays free
// while the service is restarted, and no other test gets it.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+nextPort.Add(1)%12000)
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}
