package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// With as many S3 requests as MEMORYBUDGET allows, all of them in use, the memory stays within its limit: the memory
// of S3 requests besides the budget is proportional to their number.
func TestMemoryWithTheMostThreads(t *testing.T) {
	long(t)
	s3 := startS3(t)
	s3.discard()
	s3.setLatency(300 * time.Millisecond)
	s := serveReady(t, binaries.stowrs, s3, "MEMORYBUDGET=128MiB", "THREADCOUNT=512", "MAXREQUESTS=1024", "LOGLEVEL=CRITICAL")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}}
	end := time.Now().Add(15 * time.Second)
	var mu sync.Mutex
	answers := map[int]int{}
	var running sync.WaitGroup
	for n := range 700 {
		instances := []instance{{serial: int64(n), pixelBytes: 512 << 10}}
		if n%2 == 0 {
			for i := range 20 {
				instances = append(instances, instance{serial: int64(1000 + 20*n + i), pixelBytes: 8 << 10})
			}
		}
		content := whole(t, instances...)
		running.Go(func() {
			for time.Now().Before(end) {
				r, err := client.Post("http://"+s.address+"/studies", contentType, strings.NewReader(content))
				status := 0
				if err == nil {
					status = r.StatusCode
					r.Body.Close()
				}
				mu.Lock()
				answers[status]++
				mu.Unlock()
			}
		})
	}
	running.Wait()
	t.Logf("answers by status: %v", answers)
	if answers[http.StatusOK] == 0 || answers[0] > 0 {
		t.Errorf("answers by status: %v", answers)
	}
	s.wantPeakMemory(t, 128*mib)
}
