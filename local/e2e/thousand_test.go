package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// sender is one of many clients on slow lines. It keeps its connection.
type sender struct {
	content   string // of a request with one instance
	bytesRate int    // per second
	chunked   bool
}

// send posts the instance so many times, at its rate, and reports each time
// from the last byte to the answer. It connects again if the service closes the
// connection, which may happen after a chunked body.
func (c *sender) send(ctx context.Context, address string, times int, stored func(time.Duration)) error {
	for times > 0 {
		n, err := c.sendOn(ctx, address, times, stored)
		if err != nil {
			return err
		}
		times -= n
	}
	return nil
}

// sendOn is send on one connection. It returns how many instances were stored.
func (c *sender) sendOn(ctx context.Context, address string, times int, stored func(time.Duration)) (int, error) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	connection.(*net.TCPConn).SetWriteBuffer(32 << 10) // so that the client, not the kernel, holds what the service does not read
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	reader := bufio.NewReader(connection)
	const step = 100 * time.Millisecond
	block := c.bytesRate / int(time.Second/step)
	tick := time.NewTicker(step)
	defer tick.Stop()
	for n := range times {
		header := fmt.Sprintf("POST /studies HTTP/1.1\r\nHost: e2e\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, len(c.content))
		if c.chunked {
			header = chunkedBeginning(contentType)
		}
		if _, err := io.WriteString(connection, header); err != nil {
			return n, err
		}
		for rest := c.content; rest != ""; {
			select {
			case <-tick.C: // time that was lost is not made up for, as on a slow line
			case <-ctx.Done():
				return n, ctx.Err()
			}
			now := rest[:min(block, len(rest))]
			rest = rest[len(now):]
			if c.chunked {
				now = chunkOf(now)
				if rest == "" {
					now += "0\r\n\r\n"
				}
			}
			if _, err := io.WriteString(connection, now); err != nil {
				return n, err
			}
		}
		sent := time.Now()
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return n, err
		}
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			return n, err
		}
		if response.StatusCode != http.StatusOK {
			return n, fmt.Errorf("status %d: %.300s", response.StatusCode, answer)
		}
		stored(time.Since(sent))
		if response.Close {
			return n + 1, nil
		}
	}
	return times, nil
}

// 1,000 clients with 1 Mbit/s each are served at the same time, within the memory limit:
// none is refused, and none waits for the end of another. Their total rate
// depends on the machine, and is printed.
func TestThousandSlowSendersAreServedAtOnce(t *testing.T) {
	long(t)
	if raceDetector {
		t.Skip("the race detector is too slow for so many")
	}
	const clients, bytesRate, pixelBytes = 1000, 1_000_000 / 8, 512 << 10 // an instance takes 4.2 s
	each := 3
	if fullScale {
		each = 15
	}
	s3 := startS3(t)
	s3.discard()
	s := serveReady(t, binaries.stowrs, s3, "MAXREQUESTS=1024", "LOGLEVEL=WARNING")
	begin := time.Now()
	var mu sync.Mutex
	var waits []time.Duration
	failed := map[string]int{}
	var running sync.WaitGroup
	for n := range clients {
		c := &sender{content: whole(t, instance{serial: int64(n), pixelBytes: pixelBytes}), bytesRate: bytesRate, chunked: n%2 == 0}
		running.Go(func() {
			time.Sleep(3 * time.Second * time.Duration(n) / clients) // all have begun before the first has sent its instance
			err := c.send(t.Context(), s.address, each, func(took time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				waits = append(waits, took)
			})
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[err.Error()]++
			}
		})
	}
	s.wantMetric(t, fmt.Sprintf("stowrs_requests_in_flight %d", clients))
	running.Wait()
	for what, count := range failed {
		t.Errorf("%d clients failed: %s", count, what)
	}
	if len(waits) != clients*each {
		t.Fatalf("%d instances are stored, want %d", len(waits), clients*each)
	}
	slices.Sort(waits)
	took := time.Since(begin)
	t.Logf("%d instances of 512 KiB in %s: %.1f MB/s of %.1f; from the last byte to the answer %s (median), %s (99 %%), %s (most)",
		len(waits), took.Round(time.Second), float64(len(waits))*pixelBytes/took.Seconds()/1e6, clients*float64(bytesRate)/1e6,
		waits[len(waits)/2].Round(time.Millisecond), waits[len(waits)*99/100].Round(time.Millisecond), waits[len(waits)-1].Round(time.Millisecond))
	s.wantPeakMemory(t, 256*mib)
}
