package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// archive writes so many small instances into folders of 100 files.
func archive(t *testing.T, count int) (folder string, instances []instance) {
	t.Helper()
	folder = t.TempDir()
	for n := range count {
		i := instance{serial: int64(n), pixelBytes: int64(2 * (100 + n%1000))}
		path := filepath.Join(folder, fmt.Sprintf("%03d", n/100), i.uid()+".dcm")
		content, err := io.ReadAll(i.reader())
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		instances = append(instances, i)
	}
	return folder, instances
}

// journalled returns the number of lines of a journal for each outcome. An incomplete last line is ignored.
func journalled(t *testing.T, path string) map[string]int {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		return nil // it is not yet begun
	}
	outcomes := make(map[string]int)
	for line := range strings.Lines(string(content)) {
		var record struct{ Outcome string }
		if json.Unmarshal([]byte(line), &record) == nil && strings.HasSuffix(line, "\n") {
			outcomes[record.Outcome]++
		}
	}
	return outcomes
}

// If a service is down for some seconds, this costs time, but no instances.
func TestSendRidesOutAnOutage(t *testing.T) {
	long(t)
	const count = 2000
	folder, instances := archive(t, count)
	b := startGateway(t)
	addresses := []string{"LISTENADDRESS=" + freeAddress(t), "ADMINADDRESS=" + freeAddress(t)}
	s := startService(t, b, addresses...)
	journal := filepath.Join(t.TempDir(), "journal")
	p := start(t, nil, binaries.stowrsRace, "send", "--url", s.url(), "--journal", journal, "--batch", "20", "--max-wait", "1m", folder)
	eventually(t, 20*time.Second, "some are stored", func() bool { return journalled(t, journal)["stored"] > 100 })
	s.kill()
	<-time.After(4 * time.Second)
	startService(t, b, addresses...)
	if code := p.exitCode(t, time.Minute); code != 0 {
		t.Fatalf("stowrs send: exit %d", code)
	}
	b.wantExactly(t, instances...)
	stderr := p.stderr.String()
	for _, words := range []string{"everything waits until the service is back", "the service is back after"} {
		if n := strings.Count(stderr, words); n != 1 {
			t.Errorf("%q is told %d times, want once:\n%s", words, n, stderr)
		}
	}
}

// After Ctrl-C the output says what is stored and how to continue, without secrets.
func TestSendInterrupted(t *testing.T) {
	const count = 2000
	folder, instances := archive(t, count)
	b := startGateway(t)
	s := startService(t, b)
	journal := filepath.Join(t.TempDir(), "journal")
	args := []string{"send", "--url", s.url(), "--journal", journal, "--batch", "10", "--header", "X-Secret: hunter2", folder}
	p := start(t, nil, binaries.stowrsRace, append(args, "--bwlimit", "500kB")...)
	eventually(t, 20*time.Second, "some are stored", func() bool { return journalled(t, journal)["stored"] > 100 })
	p.signal(t, os.Interrupt)
	if code := p.exitCode(t, 10*time.Second); code != 130 {
		t.Errorf("exit %d, want 130", code)
	}
	stdout := p.stdout.String()
	summary := fmt.Sprintf("%d instances stored, 0 failed", journalled(t, journal)["stored"])
	for _, words := range []string{"stopped before the end: interrupted", "to go on: ", "--journal " + journal, "'X-Secret: …'", summary} {
		if !strings.Contains(strings.ReplaceAll(stdout, ",", ""), strings.ReplaceAll(words, ",", "")) {
			t.Errorf("the summary lacks %q:\n%s", words, stdout)
		}
	}
	if strings.Contains(stdout+p.stderr.String(), "hunter2") {
		t.Error("the output tells the value of a header")
	}
	if code, stdout, stderr := run(t, nil, binaries.stowrsRace, args...); code != 0 {
		t.Fatalf("to go on: exit %d\n%s%s", code, stdout, stderr)
	}
	b.wantExactly(t, instances...)
}

// A second Ctrl-C ends the process at once.
func TestSendInterruptedTwice(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if output, err := exec.Command("mkfifo", pipe).CombinedOutput(); err != nil {
		t.Skipf("mkfifo: %v %s", err, output)
	}
	// Nothing is written into the list, so sending hangs in a read that no context ends.
	p := start(t, nil, binaries.stowrsRace, "send", "--url", "http://"+freeAddress(t), "--files-from", pipe)
	<-time.After(300 * time.Millisecond)
	p.signal(t, os.Interrupt)
	<-time.After(300 * time.Millisecond)
	if p.hasExited() {
		t.Fatal("it has ended at the first signal: the test does not show what it should")
	}
	p.signal(t, os.Interrupt)
	p.exitCode(t, 2*time.Second)
}
