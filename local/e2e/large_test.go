package e2e

import (
	"os"
	"testing"
)

const (
	gib = 1 << 30
	mib = 1 << 20
	// processBytes is the memory that the service may use besides MEMORYBUDGET.
	processBytes = 128 * mib
)

// wantPeakMemory checks that the service never used more than its budget and processBytes.
func (s *service) wantPeakMemory(t *testing.T, budgetBytes int64) {
	t.Helper()
	peak := s.peakMemoryBytes(t)
	t.Logf("peak memory of the service: %d MiB of %d MiB", peak/mib, (budgetBytes+processBytes)/mib)
	if peak > budgetBytes+processBytes {
		t.Errorf("peak memory %d MiB, want at most %d MiB", peak/mib, (budgetBytes+processBytes)/mib)
	}
}

// An instance that is larger than any buffer, and of unknown length, needs no more memory than a small one.
func TestThreeGiBInstanceIsStoredWithinTheMemoryBudget(t *testing.T) {
	long(t)
	b := startGateway(t)
	s := serveReady(t, binaries.stowrs, b) // without the race detector, which needs additional memory
	large := instance{serial: 1, pixelBytes: 3 * gib}
	t.Cleanup(func() { os.Remove(b.path(large.key())) })
	body, _ := multipart(large)
	s.wantAllStored(t, body, -1, large)
	s.wantPeakMemory(t, 256*mib)
	b.wantExactly(t, large)
	b.wantNoUploads(t)
}
