package e2e

import (
	"sync"
	"testing"
	"time"
)

// Clients that hold buffers and hardly send, and heads that are longer than their buffers,
// share the smallest budgets: all of them end, and all instances are stored.
func TestTricklingClientsAndLongHeadsDoNotLockEachOther(t *testing.T) {
	b := startGateway(t)
	s := serveReady(t, binaries.stowrs, b, "MEMORYBUDGET=64MiB", "MINRATE=1")
	const trickling, longHeads = 64, 32
	all := make([]instance, 0, trickling+longHeads)
	var clients sync.WaitGroup
	for n := range trickling {
		i := instance{serial: int64(n), pixelBytes: 4000}
		all = append(all, i)
		clients.Go(func() {
			body, lengthBytes := multipart(i)
			if n%2 == 0 {
				lengthBytes = -1 // chunked: it needs a whole buffer of 8 MiB
			}
			// about 45 blocks: about three seconds
			s.wantAllStored(t, &paced{source: body, blockBytes: 100, pause: 70 * time.Millisecond}, lengthBytes, i)
		})
	}
	for n := range longHeads {
		i := instance{serial: int64(trickling + n), pixelBytes: 4000, earlyBytes: 20_000_000}
		all = append(all, i)
		clients.Go(func() {
			body, lengthBytes := multipart(i)
			if n%2 == 0 {
				lengthBytes = -1
			}
			s.wantAllStored(t, body, lengthBytes, i)
		})
	}
	ended := make(chan struct{})
	go func() {
		clients.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		s.kill()
		<-ended
		t.Fatal("the requests have not ended within two minutes")
	}
	s.wantPeakMemory(t, 64*mib)
	b.wantExactly(t, all...)
	b.wantNoUploads(t)
}
