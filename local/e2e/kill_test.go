package e2e

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load sends instances without pause, and keeps what the service reported as stored.
type load struct {
	url    string
	serial atomic.Int64

	mu     sync.Mutex
	stored []string // keys of instances that any answer named in ReferencedSOPSequence
}

// send posts instances until ctx ends. What becomes of a request does not
// matter, only what its answer claims.
func (l *load) send(ctx context.Context, next func() (body io.Reader, lengthBytes int64)) {
	for ctx.Err() == nil {
		body, lengthBytes := next()
		_, module, err := post(ctx, l.url, body, lengthBytes)
		if err != nil {
			select { // the service is being started again
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		l.mu.Lock()
		for _, stored := range module.Referenced {
			l.stored = append(l.stored, studyInstanceUID+"/"+seriesInstanceUID+"/"+stored.SOPInstanceUID)
		}
		l.mu.Unlock()
	}
}

// reported is the number of instances reported as stored.
func (l *load) reported() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stored)
}

// reportedLarge is the number of those that took a multipart upload.
func (l *load) reportedLarge() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for _, key := range l.stored {
		if i, err := instanceOf(key); err == nil && i.pixelBytes == largeBytes {
			count++
		}
	}
	return count
}

// nextSmall is a request with ten instances of up to 64 KiB; chunked or not.
func (l *load) nextSmall(random *rand.Rand) (io.Reader, int64) {
	var instances []instance
	for range 10 {
		instances = append(instances, instance{serial: l.serial.Add(1), pixelBytes: 2 * random.Int64N(32<<10)})
	}
	body, lengthBytes := multipart(instances...)
	if random.IntN(2) == 0 {
		lengthBytes = -1
	}
	return body, lengthBytes
}

// largeBytes is the size of instances that need three parts.
const largeBytes = 20 * mib

// nextLarge is a request with one of them, slow enough that many kills meet its
// multipart upload.
func (l *load) nextLarge() (io.Reader, int64) {
	body, _ := multipart(instance{serial: l.serial.Add(1), pixelBytes: largeBytes})
	return &paced{source: body, blockBytes: mib, pause: 10 * time.Millisecond}, -1
}

// paced is a client on a slow line: it pauses after each block.
type paced struct {
	source     io.Reader
	blockBytes int
	pause      time.Duration
	read       int // of the block
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	if p.read == p.blockBytes {
		<-time.After(p.pause)
		p.read = 0
	}
	n, err := p.source.Read(b[:min(len(b), p.blockBytes-p.read)])
	p.read += n
	return n, err
}

func TestWhatWasReportedStoredSurvivesKills(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := startGateway(t)
	foreign := "backup/2026/photos.tar" // not of the service's shape
	b.createUpload(t, foreign)

	addresses := []string{"LISTENADDRESS=" + freeAddress(t), "ADMINADDRESS=" + freeAddress(t)}
	s := startService(t, b, addresses...)
	l := &load{url: s.url()}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	for range 4 {
		own := rand.New(rand.NewPCG(random.Uint64(), 0))
		clients.Go(func() { l.send(ctx, func() (io.Reader, int64) { return l.nextSmall(own) }) })
	}
	for range 2 {
		clients.Go(func() { l.send(ctx, l.nextLarge) })
	}
	eventually(t, 20*time.Second, "a large instance is reported stored", func() bool { return l.reportedLarge() > 0 })
	for range 20 {
		before := l.reported()
		eventually(t, 20*time.Second, "an instance is reported stored", func() bool { return l.reported() > before })
		<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
		s.kill()
		s = startService(t, b, addresses...)
	}
	s.kill()
	stop()
	clients.Wait()

	b.wantWhole(t, l.stored)
	leftOver := b.uploads(t)
	t.Logf("%d instances reported stored, %d of them large; %d multipart uploads left by the kills", l.reported(), l.reportedLarge(), len(leftOver)-1)
	if len(leftOver) < 2 { // all kills met the pauses between uploads
		b.createUpload(t, instance{serial: l.serial.Add(1), pixelBytes: largeBytes}.key())
	}
	startService(t, b, append(addresses, "SWEEPAGE=1ms")...)
	eventually(t, 20*time.Second, "the sweep has taken back what the kills left", func() bool {
		return len(b.uploads(t)) <= 1
	})
	if diff := cmp.Diff([]string{foreign}, b.uploads(t)); diff != "" {
		t.Errorf("multipart uploads after the sweep (-want +got):\n%s", diff)
	}
	b.wantWhole(t, l.stored)
}

// wantWhole: every object is a whole instance, and these are among them.
func (b *bucket) wantWhole(t *testing.T, stored []string) {
	t.Helper()
	keys := b.keys(t)
	for _, key := range keys {
		i, err := instanceOf(key)
		if err != nil {
			t.Error(err)
			continue
		}
		b.wantObject(t, i)
	}
	slices.Sort(keys)
	for _, key := range stored {
		if _, found := slices.BinarySearch(keys, key); !found {
			t.Errorf("%s was reported stored, and is not in the bucket", key)
		}
	}
}
