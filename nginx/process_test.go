package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// process is a child process of the tests.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr output
	exited         chan struct{}
}

// shared processes are ended after the last test.
var shared []*process

// launch runs the binary with only these variables in its environment.
func launch(t testing.TB, stderr *os.File, environment []string, binary string, arguments ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(binary, arguments...), exited: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "AWS_EC2_METADATA_DISABLED=true"}, environment...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if stderr != nil {
		p.cmd.Stderr = stderr
	}
	endWithTests(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		p.cmd.Wait()
		close(p.exited)
	}()
	return p
}

// start runs the binary until the end of one test.
func start(t testing.TB, environment []string, binary string, arguments ...string) *process {
	t.Helper()
	return startWith(t, nil, environment, binary, arguments...)
}

// startWith starts it with this file as stderr; nil: its stderr is collected.
func startWith(t testing.TB, stderr *os.File, environment []string, binary string, arguments ...string) *process {
	t.Helper()
	p := launch(t, stderr, environment, binary, arguments...)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %v\nstdout:\n%s\nstderr:\n%s", binary, arguments, p.stdout.tail(), p.stderr.tail())
		}
		if strings.Contains(p.stderr.String(), "DATA RACE") {
			t.Errorf("%s has a data race:\n%s", binary, p.stderr.String())
		}
	})
	return p
}

// kill sends SIGKILL, and returns when the process has ended.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// exitCode waits until the process ends by itself; -1: a signal ended it.
func (p *process) exitCode(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		t.Fatalf("%s has not ended within %s\n%s", p.cmd.Path, within, p.stderr.tail())
	}
	return p.cmd.ProcessState.ExitCode()
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

// record waits for a record with this message and all these words.
func (p *process) record(t testing.TB, message string, words ...string) map[string]any {
	t.Helper()
	var found map[string]any
	eventually(t, 10*time.Second, fmt.Sprintf("a record %q with %q", message, words), func() bool {
		for _, record := range p.records(message) {
			line, err := json.Marshal(record)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(words, func(word string) bool { return !bytes.Contains(line, []byte(word)) }) {
				found = record
				return true
			}
		}
		return false
	})
	return found
}

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
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
func eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
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

// freeAddress is a loopback address that nobody listens on, with a port below
// those that systems give to outgoing connections.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// writeFile returns the path of a file with this content.
func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
