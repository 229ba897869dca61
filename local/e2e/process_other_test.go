//go:build !linux

package e2e

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// dieWithParent is not available here; t.Cleanup ends the process.
func dieWithParent(*exec.Cmd) {}

// peakMemoryBytes is the present resident size, because the peak is not available.
func (p *process) peakMemoryBytes(t *testing.T) int64 {
	t.Helper()
	output, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(p.cmd.Process.Pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	kib, err := strconv.ParseInt(strings.TrimSpace(string(output)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
