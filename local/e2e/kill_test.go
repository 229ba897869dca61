package e2e

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load sends instances continuously, and records what the service reported as stored.
type load struct {
	url    string
	serial atomic.Int64

	mu     sync.Mutex
	stored []string // keys of the instances that an answer named in ReferencedSOPSequence
}

// send posts instances until ctx ends. The outcome of a request does not
// matter, only what its answer reports.
func (l *load) send(ctx context.Context, contentType string, next func() (body io.Reader, lengthBytes int64)) {
	for ctx.Err() == nil {
		body, lengthBytes := next()
		_, module, err := postAs(ctx, l.url, contentType, body, lengthBytes)
		if err != nil {
			select { // the service is being restarted
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

// reported returns the number of instances reported as stored.
func (l *load) reported() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stored)
}

// reportedOf returns the number of those of one kind.
func (l *load) reportedOf(kind func(instance) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for _, key := range l.stored {
		if i, err := instanceOf(key); err == nil && kind(i) {
			count++
		}
	}
	return count
}

// isLarge: it needs a multipart upload.
func (i instance) isLarge() bool { return i.pixelBytes == largeBytes }

// nextSmall is a request with ten instances of up to 64 KiB, chunked or not.
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

// nextLarge is a request with one large instance, so slow that many kills happen during its
// multipart upload.
func (l *load) nextLarge() (io.Reader, int64) {
	body, _ := multipart(instance{serial: l.serial.Add(1), pixelBytes: largeBytes})
	return &paced{source: body, blockBytes: mib, pause: 10 * time.Millisecond}, -1
}

// firstComposed is the first serial of instances that are sent as metadata and bulkdata.
const firstComposed = serials / 2

// isComposed: the service builds the stored instance.
func (i instance) isComposed() bool { return i.serial >= firstComposed }

// nextComposed is a request with three images of 16 bits, as metadata and bulkdata.
func (l *load) nextComposed(random *rand.Rand) (io.Reader, int64) {
	var metadata []string
	var bulk []bodyPart
	for range 3 {
		columns := 1 + random.IntN(400)
		i := instance{serial: firstComposed + l.serial.Add(1), pixelBytes: int64(2 * 64 * columns)}
		metadata = append(metadata, jsonOf(i.uid(), grey16(64, columns), reference("7FE00010", "OW", i.uid())))
		bulk = append(bulk, bulkPart(octetStream, i.uid(), i.pixels()))
	}
	body := composed(append([]bodyPart{jsonPart(metadata...)}, bulk...)...)
	return strings.NewReader(body), []int64{-1, int64(len(body))}[random.IntN(2)]
}

// pixels are the instance's noise, in memory.
func (i instance) pixels() string {
	b := make([]byte, i.pixelBytes)
	(&noise{seed: uint64(i.number()), left: i.pixelBytes}).Read(b)
	return string(b)
}

// isBuilt says whether the content is the instance as the service builds it: a PS3.10 file
// with its UIDs and its pixels.
func (i instance) isBuilt(content string) bool {
	return strings.HasPrefix(content, string(make([]byte, 128))+"DICM") && strings.HasSuffix(content, native(i.pixels())) &&
		strings.Contains(content, string(le.UI(0x00080018, i.uid()))) &&
		strings.Contains(content, string(le.UI(0x0020000D, studyInstanceUID))) && strings.Contains(content, string(le.UI(0x0020000E, seriesInstanceUID)))
}

// kills is how often the service is killed: 20 times, or E2E_KILLS.
func kills(t *testing.T) int {
	t.Helper()
	value := os.Getenv("E2E_KILLS")
	if value == "" {
		return 20
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatal(err)
	}
	return n
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

// Killing the process at any moment loses nothing that was acknowledged, and leaves no
// partial object, with an S3 that fails at random; the uploads that it leaves open are aborted.
func TestWhatWasReportedStoredSurvivesKills(t *testing.T) {
	long(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := startFrontedGateway(t)
	foreign := "backup/2026/photos.tar" // not a key of the service
	b.createUpload(t, foreign)

	addresses := []string{"LISTENADDRESS=" + freeAddress(t), "ADMINADDRESS=" + freeAddress(t)}
	s := startService(t, b, addresses...)
	l := &load{url: s.url()}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	for range 3 {
		own := rand.New(rand.NewPCG(random.Uint64(), 0))
		clients.Go(func() { l.send(ctx, contentType, func() (io.Reader, int64) { return l.nextSmall(own) }) })
	}
	for range 2 {
		clients.Go(func() { l.send(ctx, contentType, l.nextLarge) })
		own := rand.New(rand.NewPCG(random.Uint64(), 0))
		clients.Go(func() { l.send(ctx, relatedJSON, func() (io.Reader, int64) { return l.nextComposed(own) }) })
	}
	eventually(t, 20*time.Second, "a large and a composed instance are reported stored", func() bool {
		return l.reportedOf(instance.isLarge) > 0 && l.reportedOf(instance.isComposed) > 0
	})
	weather := rand.New(rand.NewPCG(random.Uint64(), 0))
	clients.Go(func() {
		b.storm(ctx, weather, append(weatherOfS3(), fault{operation: "PutObject", flip: true, times: 2})...)
	})
	for range kills(t) {
		before := l.reported()
		eventually(t, 30*time.Second, "an instance is reported stored", func() bool { return l.reported() > before })
		<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
		s.kill()
		s = startService(t, b, addresses...)
	}
	s.kill()
	stop()
	clients.Wait()

	b.wantWhole(t, l.stored)
	leftOver := b.uploads(t)
	t.Logf("%d instances reported stored, %d of them large, %d composed; %d multipart uploads left by the kills",
		l.reported(), l.reportedOf(instance.isLarge), l.reportedOf(instance.isComposed), len(leftOver)-1)
	if len(leftOver) < 2 { // all kills happened between uploads
		b.createUpload(t, instance{serial: l.serial.Add(1), pixelBytes: largeBytes}.key())
	}
	startService(t, b, append(addresses, "SWEEPAGE=1s")...)
	eventually(t, 20*time.Second, "the sweep has taken back what the kills left", func() bool {
		return len(b.uploads(t)) <= 1
	})
	if diff := cmp.Diff([]string{foreign}, b.uploads(t)); diff != "" {
		t.Errorf("multipart uploads after the sweep (-want +got):\n%s", diff)
	}
	b.wantWhole(t, l.stored)
}

// wantWhole checks that every object is a complete instance, and that these are among them.
func (b *bucket) wantWhole(t *testing.T, stored []string) {
	t.Helper()
	keys := b.keys(t)
	for _, key := range keys {
		i, err := instanceOf(key)
		if err != nil {
			t.Error(err)
			continue
		}
		if !i.isComposed() {
			b.wantObject(t, i)
		} else if content, err := os.ReadFile(b.path(key)); err != nil || !i.isBuilt(string(content)) {
			t.Errorf("%s (%d bytes, %v) is not what the metadata and bulkdata of it make", key, len(content), err)
		}
	}
	slices.Sort(keys)
	for _, key := range stored {
		if _, found := slices.BinarySearch(keys, key); !found {
			t.Errorf("%s was reported stored, and is not in the bucket", key)
		}
	}
}
