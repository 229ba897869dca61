package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"
)

// cutWithin is the time within which a client is cut that does not deliver enough for what it holds: a minute
// without what it delivered first, and up to half a minute in which the rest of its body is read, so that it reads the answer.
const cutWithin = 115 * time.Second

// greed is a way to use much memory with few bytes.
type greed struct {
	name      string
	variables []string
	begin     func(t *testing.T, ctx context.Context, s *service) []*rawClient
	served    time.Duration // how long an honest client may wait at the same time
	mayStay   bool          // it delivers MINRATE and holds little, so it need not be cut
}

// dripping begins so many chunked requests, each with the same beginning, and then
// sends the block after each pause.
func dripping(count int, contentType, beginning, block string, pause time.Duration) func(*testing.T, context.Context, *service) []*rawClient {
	return func(t *testing.T, ctx context.Context, s *service) []*rawClient {
		var clients []*rawClient
		for range count {
			c := s.beginChunked(t, contentType)
			clients = append(clients, c)
			go func() { // ends with ctx or the connection
				if c.chunk(beginning) == nil {
					c.drip(ctx, block, pause)
				}
			}()
		}
		return clients
	}
}

// declaring begins so many requests with a Content-Length of lengthBytes.
func declaring(count int, lengthBytes int64, beginning, block string, pause time.Duration) func(*testing.T, context.Context, *service) []*rawClient {
	return func(t *testing.T, ctx context.Context, s *service) []*rawClient {
		var clients []*rawClient
		for range count {
			c := s.dial(t, true)
			clients = append(clients, c)
			fmt.Fprintf(c, "POST /studies HTTP/1.1\r\nHost: e2e\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, lengthBytes, beginning)
			go c.drip(ctx, block, pause)
		}
		return clients
	}
}

// No client can hold more memory, or a slot, than its delivered bytes justify, and
// one slow client harms only itself.
func TestGreedyClientsHarmOnlyThemselves(t *testing.T) {
	long(t)
	t.Parallel()
	longHead := partHeader + "DICM" + string(le.UI(0x00020010, "1.2.840.10008.1.2.1")) + string(le.Header(0x00090010, "OB", 31*mib))
	begunInstance := partHeader + string(instance{serial: 1, pixelBytes: 1 * gib}.beginning()) + string(instance{serial: 1, pixelBytes: 1 * gib}.middle())
	const seconds = time.Second
	for _, g := range []greed{
		{name: "a length of 600 GiB, then nothing", begin: declaring(12, 600<<30, begunInstance, "", time.Hour), served: 5 * seconds},
		{name: "a length of 600 GiB, then 20 bytes a second", begin: declaring(12, 600<<30, begunInstance, strings.Repeat("x", 20), time.Second), served: 5 * seconds},
		{name: "a part with a Content-Length of 600 GiB", begin: dripping(12, contentType, strings.Replace(begunInstance, "\r\n\r\n", "\r\nContent-Length: 644245094400\r\n\r\n", 1), "x", time.Second), served: 5 * seconds},
		{name: "an interlaced PNG at 24 kB a second", begin: dripping(1, relatedJSON, interlacedPNG(), emptyIDAT(), 80*time.Millisecond), served: 5 * seconds, mayStay: true},
		{name: "interlaced PNGs at 200 bytes a second", begin: dripping(20, relatedJSON, interlacedPNG(), emptyIDAT()[:200], time.Second), served: 5 * seconds},
		{name: "heads that begin and then come slowly", begin: dripping(60, contentType, longHead+strings.Repeat("\x00", 256<<10), strings.Repeat("\x00", 200), time.Second), served: 5 * seconds},
		// These have delivered what they hold, and keep to MINRATE: they may stay until others wait for memory, and then for a minute.
		{name: "heads of 8 MiB that then come slowly", begin: dripping(40, contentType, longHead+strings.Repeat("\x00", 8*mib), strings.Repeat("\x00", 2000), 80*time.Millisecond), served: cutWithin, mayStay: true},
		{name: "7 MiB of a part that then comes slowly", begin: dripping(60, contentType, begunInstance+pattern(7*mib), strings.Repeat("x", 2000), 80*time.Millisecond), served: cutWithin, mayStay: true},
		{name: "many short parts", begin: dripping(40, contentType, "", partHeader+"DICM\x02\r\n", 4*time.Second), served: 5 * seconds},
		{name: "20 bytes a second in the preamble", begin: dripping(40, contentType, "", strings.Repeat("x", 20), time.Second), served: 5 * seconds},
		{name: "20 bytes a second in the epilogue", begin: dripping(40, contentType, parts("x"), strings.Repeat("x", 20), time.Second), served: 5 * seconds},
		{name: "20 bytes a second in a part's header", begin: dripping(40, contentType, "--e2e-boundary\r\nX: ", strings.Repeat("x", 20), time.Second), served: 5 * seconds},
		{name: "20 bytes a second in metadata", begin: dripping(40, relatedJSON, "--e2e-boundary\r\nContent-Type: application/dicom+json\r\n\r\n[", strings.Repeat(" ", 20), time.Second), served: 5 * seconds},
		{name: "20 bytes a second, and a slot each", variables: []string{"MAXREQUESTS=4"}, begin: dripping(4, contentType, "", strings.Repeat("x", 20), time.Second), served: cutWithin},
		// With few threads all of it fits into the memory: who waits for some is judged when he has got it.
		{name: "5 MiB each and then next to nothing", variables: []string{"THREADCOUNT=16"}, begin: dripping(40, contentType, begunInstance+pattern(5*mib), "x", 10*time.Second), served: cutWithin},
	} {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s3 := startS3(t)
			s := startService(t, s3, g.variables...)
			clients := g.begin(t, ctx, s)
			<-time.After(3 * time.Second) // until the clients hold as much as they can
			s.wantServed(t, g.served)
			if g.mayStay {
				s.wantServed(t, g.served)
				return
			}
			wantEnded(t, clients)
			s.wantServed(t, 5*time.Second)
		})
	}
}

// wantEnded checks that the service ends all these connections in time.
func wantEnded(t *testing.T, clients []*rawClient) {
	t.Helper()
	staying, longest := 0, time.Duration(0)
	for _, c := range clients {
		select {
		case <-c.ended:
		case <-time.After(time.Until(c.begun.Add(cutWithin))):
			staying++
		}
		longest = max(longest, time.Since(c.begun))
	}
	if staying > 0 {
		t.Errorf("%d of %d connections are still open after %s", staying, len(clients), cutWithin)
		return
	}
	t.Logf("the last of %d connections is ended after %s", len(clients), longest.Round(time.Second))
}

// An answer that is not read occupies a slot no longer than a body that does not arrive.
func TestAnswersThatAreNotReadHoldNoSlot(t *testing.T) {
	long(t)
	t.Parallel()
	s3 := startS3(t)
	s := startService(t, s3, "MAXREQUESTS=2", "LOGLEVEL=ERROR")
	for range 2 {
		c := s.dial(t, false)
		go func() { // ends with the connection; the answer is some 30 MB, which no system buffers
			fmt.Fprintf(c, "POST /studies/2.25.9 HTTP/1.1\r\nHost: e2e\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", contentType)
			chunked := httputil.NewChunkedWriter(c)
			failingParts(99_000)(chunked)
			chunked.Close()
			io.WriteString(c, "\r\n")
		}()
	}
	<-time.After(5 * time.Second)
	s.wantServed(t, cutWithin)
	s.transactions(t, 2+3)
}

// interlacedPNG is a request up to the picture's data: the decoder must keep the whole picture in memory.
func interlacedPNG() string {
	size := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 4900), 4900)
	header := append(size, 8, 2, 0, 0, 1) // RGB of 8 bits, interlaced
	beginning := composed(jsonPart(jsonOf("2.25.7", reference("7FE00010", "OW", "p"))), bulkPart("image/png", "p", "HERE"))
	beginning, _, _ = strings.Cut(beginning, "HERE")
	return beginning + "\x89PNG\r\n\x1a\n" + pngChunk("IHDR", header) + pngChunk("IDAT", []byte{0x78, 0x01})
}

// emptyIDAT is data that decompress to nothing: empty stored blocks (RFC 1951 §3.2.4).
func emptyIDAT() string {
	return pngChunk("IDAT", bytes.Repeat([]byte{0, 0, 0, 0xFF, 0xFF}, 400))
}

func pngChunk(kind string, data []byte) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return string(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:])))
}

// A slow client harms only itself, also when it is honest: while its part fills, at 1 Mbit/s for a minute, others do not wait for it, though all of
// them hold a part of a part and need more memory.
func TestOthersDoNotWaitForSlowClients(t *testing.T) {
	long(t)
	t.Parallel()
	s3 := startS3(t)
	s3.discard()
	s := serveReady(t, binaries.stowrs, s3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	slow := instance{serial: 1, pixelBytes: 1 * gib}
	dripping(4, contentType, partHeader+string(slow.beginning())+string(slow.middle()), strings.Repeat("x", 12_500), 100*time.Millisecond)(t, ctx, s)
	<-time.After(time.Second)
	var clients sync.WaitGroup
	for n := range 40 {
		clients.Go(func() {
			took, err := s.storeWithin(ctx, 30*slowness*time.Second, instance{serial: int64(100 + n), pixelBytes: 64 * mib})
			if err != nil {
				t.Errorf("a quick client after %s: %v", took, err)
			}
		})
	}
	clients.Wait()
}

// A small instance whose length is declared does not wait for slow clients either, though these fill a part within a minute and hold all of the memory: it needs
// less than is left of the reserve.
func TestSmallInstanceDoesNotWaitForManySlowClients(t *testing.T) {
	long(t)
	t.Parallel()
	s3 := startS3(t)
	s3.discard()
	s := serveReady(t, binaries.stowrs, s3, "MEMORYBUDGET=32MiB", "METADATALIMIT=2MiB", "MAXREQUESTS=256", "HEADWINDOW=8MiB")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	slow := instance{serial: 1, pixelBytes: 1 * gib}
	dripping(200, contentType, partHeader+string(slow.beginning())+string(slow.middle()), strings.Repeat("x", 20_000), 100*time.Millisecond)(t, ctx, s)
	<-time.After(5 * time.Second)
	for n := range 5 {
		if took, err := s.storeWithin(ctx, 5*slowness*time.Second, instance{serial: int64(100 + n), pixelBytes: 500_000}); err != nil {
			t.Errorf("after %s: %v", took, err)
		}
	}
}
