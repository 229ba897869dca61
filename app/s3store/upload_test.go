package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
)

const (
	chunkBytes = memory.ChunkBytes
	partBytes  = 2 * chunkBytes
	headBytes  = 4 * partBytes // the reserve
)

// small are S3's sizes, scaled down, with a short retry time.
func small() s3store.Config {
	return s3store.Config{Bucket: "dicom", Threads: 4, PartBytes: partBytes, LargestPartBytes: partBytes, RetryTime: time.Second}
}

// testStore is a store with memory for 12 parts.
type testStore struct {
	*s3store.Store
	ledger *memory.Ledger
}

func newStore(t *testing.T, server *s3test.Server, config s3store.Config) *testStore {
	t.Helper()
	return newStoreThrough(t, server, config, func(client s3.HTTPClient) s3.HTTPClient { return client })
}

// newStoreThrough returns a store whose requests to the server go through the HTTP client that through makes of another.
func newStoreThrough(t *testing.T, server *s3test.Server, config s3store.Config, through func(s3.HTTPClient) s3.HTTPClient) *testStore {
	t.Helper()
	options, ledger := server.Client(t).Options(), memory.New(12*partBytes, headBytes, 0)
	options.HTTPClient = through(options.HTTPClient)
	return &testStore{s3store.New(config, s3.New(options), ledger, slog.New(slog.DiscardHandler)), ledger}
}

// failing is a source that ends with err instead of io.EOF.
type failing struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

func pseudoRandom(size int) []byte {
	data := make([]byte, size)
	random := rand.New(rand.NewPCG(1, uint64(size)))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

// put sends an instance whose head is headBytes long.
func put(ctx context.Context, store *testStore, key string, source s3store.Source, headBytes int) error {
	line := store.ledger.Line()
	defer line.End()
	upload := store.Begin(ctx, line, source)
	if _, err := upload.Head().ReadAt(make([]byte, headBytes), 0); err != nil {
		upload.Discard()
		return err
	}
	if err := upload.Store(key, s3store.Metadata{RequestID: "r1", SOPClassUID: "1.2", TransferSyntaxUID: "1.3"}); err != nil {
		return errors.Join(err, upload.Wait())
	}
	return upload.Wait()
}

func reader(data []byte) s3store.Source {
	return s3store.Source{Reader: bytes.NewReader(data), DeclaredBytes: -1}
}

func wantNothing(t *testing.T, server *s3test.Server, store *testStore) {
	t.Helper()
	if keys := server.Keys(); len(keys) > 0 {
		t.Errorf("objects are stored: %v", keys)
	}
	wantClean(t, server, store)
}

// wantClean checks promise 5, and that no buffer is lost.
func wantClean(t *testing.T, server *s3test.Server, store *testStore) {
	t.Helper()
	if open := server.OpenUploads(); len(open) > 0 {
		t.Errorf("multipart uploads are open: %v", open)
	}
	if held := store.ledger.InUseBytes(); held != 0 {
		t.Errorf("%d bytes of buffers are held", held)
	}
}

// Promise 2: byte-exact, at every size around those of buffers and parts, with
// and without a known length, and with heads of all lengths.
func TestInstanceIsStoredByteExact(t *testing.T) {
	sizes := []int{1, chunkBytes - 1, chunkBytes, chunkBytes + 1, partBytes - 1, partBytes, partBytes + 1, 2 * partBytes, 2*partBytes + 1, 9 * partBytes, 20*partBytes + 17}
	for _, tls := range []bool{false, true} {
		start := s3test.Start
		if tls {
			start = s3test.StartTLS
		}
		server := start(t, "dicom")
		store := newStore(t, server, small())
		for _, size := range sizes {
			data := pseudoRandom(size)
			for _, head := range []int{1, chunkBytes, partBytes + 1, 4 * partBytes} {
				for name, declared := range map[string]int64{"unknown": -1, "exact": int64(size), "a lie": 1 << 40} {
					src := reader(data)
					src.DeclaredBytes = declared
					config := small()
					config.LargestPartBytes = 1 << 30
					if name == "a lie" {
						store = newStore(t, server, config)
					}
					if err := put(t.Context(), store, "1/2/3", src, min(head, size)); err != nil {
						t.Fatalf("%d bytes, head %d, length %s: %v", size, head, name, err)
					}
					got, meta, _ := server.Object("1/2/3")
					if !bytes.Equal(got, data) {
						t.Fatalf("%d bytes, head %d, length %s: got %d other bytes", size, head, name, len(got))
					}
					if diff := cmp.Diff(map[string]string{"request-id": "r1", "sop-class": "1.2", "transfer-syntax": "1.3"}, meta); diff != "" {
						t.Fatalf("metadata differs (-want +got):\n%s", diff)
					}
					wantClean(t, server, store)
				}
			}
		}
	}
}

// An instance smaller than a part is one PutObject; a larger one is a multipart upload. Each has a CRC64NVME.
func TestRequestsToS3(t *testing.T) {
	tests := map[string]struct {
		size int
		want []string
	}{
		"less than a part":  {partBytes - 1, []string{"PutObject"}},
		"one byte more":     {partBytes + 1, []string{"CreateMultipartUpload", "UploadPart", "UploadPart", "CompleteMultipartUpload"}},
		"exactly two parts": {2 * partBytes, []string{"CreateMultipartUpload", "UploadPart", "UploadPart", "CompleteMultipartUpload"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			if err := put(t.Context(), newStore(t, server, small()), "1/2/3", reader(pseudoRandom(test.size)), 1); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range server.Requests() {
				got = append(got, r.Operation)
				if r.Header.Get("x-amz-checksum-crc64nvme") == "" && r.Operation != "CreateMultipartUpload" {
					t.Errorf("%s has no CRC64NVME: %v", r.Operation, r.Header)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("requests differ (-want +got):\n%s", diff)
			}
		})
	}
}

// Promises 1 and 5: after any fault of S3, the instance fails, and nothing of it is left.
func TestFailureLeavesNothing(t *testing.T) {
	tests := map[string]struct {
		fault s3test.Fault
		size  int
		want  error // nil: any
	}{
		"put refused":           {s3test.Fault{Operation: "PutObject", Status: http.StatusForbidden, Code: "AccessDenied"}, 10, nil},
		"put overloaded":        {s3test.Fault{Operation: "PutObject", Status: http.StatusServiceUnavailable, Code: "SlowDown"}, 10, s3store.ErrSlowDown},
		"put cut":               {s3test.Fault{Operation: "PutObject", Cut: true}, 10, nil},
		"put corrupted":         {s3test.Fault{Operation: "PutObject", Corrupt: true}, 10, nil},
		"create refused":        {s3test.Fault{Operation: "CreateMultipartUpload", Status: http.StatusForbidden, Code: "AccessDenied"}, 20 * partBytes, nil},
		"part refused":          {s3test.Fault{Operation: "UploadPart", Skip: 3, Status: http.StatusForbidden, Code: "AccessDenied"}, 20 * partBytes, nil},
		"part overloaded":       {s3test.Fault{Operation: "UploadPart", Skip: 3, Status: http.StatusServiceUnavailable, Code: "SlowDown"}, 20 * partBytes, s3store.ErrSlowDown},
		"part cut":              {s3test.Fault{Operation: "UploadPart", Skip: 5, Cut: true}, 20 * partBytes, nil},
		"part corrupted":        {s3test.Fault{Operation: "UploadPart", Skip: 2, Corrupt: true}, 20 * partBytes, nil},
		"last part corrupted":   {s3test.Fault{Operation: "UploadPart", Skip: 1, Corrupt: true}, partBytes + 1, nil},
		"complete refused":      {s3test.Fault{Operation: "CompleteMultipartUpload", Status: http.StatusForbidden, Code: "AccessDenied"}, 20 * partBytes, nil},
		"complete fails inside": {s3test.Fault{Operation: "CompleteMultipartUpload", Status: http.StatusInternalServerError, Code: "InternalError"}, 20 * partBytes, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			server.Inject(test.fault)
			store := newStore(t, server, small())
			err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(test.size)), 1)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			wantNothing(t, server, store)
		})
	}
}

// After a temporary fault, the request is repeated, and the instance is stored.
func TestPassingFaultIsRetried(t *testing.T) {
	faults := []s3test.Fault{{Status: http.StatusServiceUnavailable, Code: "SlowDown"}, {Status: http.StatusInternalServerError, Code: "InternalError"}, {Cut: true},
		{Status: http.StatusBadRequest, Code: "IncompleteBody"}} // damaged on the way
	for _, operation := range []string{"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"} {
		for _, fault := range faults {
			server := s3test.Start(t, "dicom")
			patient := small()
			patient.RetryTime = 10 * time.Second
			store := newStore(t, server, patient)
			fault.Operation, fault.Times = operation, 2
			server.Inject(fault)
			size := 3 * partBytes
			if operation == "PutObject" {
				size = partBytes - 1
			}
			data := pseudoRandom(size)
			if err := put(t.Context(), store, "1/2/3", reader(data), 1); err != nil {
				t.Errorf("%+v: %v", fault, err)
			}
			if got, _, _ := server.Object("1/2/3"); !bytes.Equal(got, data) {
				t.Errorf("%+v: other bytes are stored", fault)
			}
			wantClean(t, server, store)
		}
	}
}

// A client that leaves, at any byte, leaves nothing behind.
func TestBrokenSourceLeavesNothing(t *testing.T) {
	cut := errors.New("connection reset")
	for _, size := range []int{10, partBytes, partBytes + 1, 20*partBytes + 5} {
		server := s3test.Start(t, "dicom")
		store := newStore(t, server, small())
		src := reader(pseudoRandom(size))
		src.Reader = failing{src.Reader, cut}
		if err := put(t.Context(), store, "1/2/3", src, 10); !errors.Is(err, cut) {
			t.Errorf("%d bytes: got error %v, want %v", size, err, cut)
		}
		wantNothing(t, server, store)
	}
}

// A truncated body may end with an error that wraps io.EOF. It is still not the end of an instance.
func TestWrappedEOFIsNotTheEnd(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStore(t, server, small())
	src := reader(pseudoRandom(100))
	src.Reader = failing{src.Reader, errors.Join(errors.New("truncated"), io.EOF)}
	if err := put(t.Context(), store, "1/2/3", src, 10); err == nil {
		t.Error("got no error")
	}
	wantNothing(t, server, store)
}

func TestContextEndsUploads(t *testing.T) {
	server := s3test.Start(t, "dicom")
	hold := make(chan struct{})
	defer close(hold)
	server.Inject(s3test.Fault{Operation: "UploadPart", Hold: hold})
	store := newStore(t, server, small())
	ctx, cancel := context.WithCancel(t.Context())
	reading, writing := io.Pipe()
	go func() {
		_, _ = writing.Write(pseudoRandom(3 * partBytes)) // two parts wait in S3
		cancel()
		_ = writing.CloseWithError(errors.New("gone"))
	}()
	if err := put(ctx, store, "1/2/3", s3store.Source{Reader: reading, DeclaredBytes: -1}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	wantNothing(t, server, store)
}

// When the service is cut, this is the cause, even if something else fails as well: the sender is asked to repeat the request.
func TestTheEndOfTheContextIsTheCause(t *testing.T) {
	server := s3test.Start(t, "dicom")
	ctx, cancel := context.WithCancel(t.Context())
	server.Inject(s3test.Fault{Operation: "CreateMultipartUpload", Status: 403, Code: "AccessDenied", OnHit: func(s3test.Request) { cancel() }})
	store := newStore(t, server, small())
	if err := put(ctx, store, "1/2/3", reader(pseudoRandom(3*partBytes)), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	wantNothing(t, server, store)
}

// Promise 3: the pool is the limit, for any number and size of instances.
func TestMemoryIsBounded(t *testing.T) {
	server := s3test.Start(t, "dicom")
	config := small()
	var mu sync.Mutex
	var most int64
	var store *testStore
	watch := func() {
		mu.Lock()
		defer mu.Unlock()
		most = max(most, store.ledger.InUseBytes())
	}
	store = newStore(t, server, config)
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			data := pseudoRandom((i + 1) * partBytes)
			src := reader(data)
			src.Reader = io.TeeReader(src.Reader, writerFunc(watch))
			key := "1/2/" + strings.Repeat("3", i+1)
			if err := put(t.Context(), store, key, src, min(len(data), 10+i%2*2*partBytes)); err != nil { // every other one has a long head
				t.Error(err)
			}
			if got, _, _ := server.Object(key); !bytes.Equal(got, data) {
				t.Errorf("%s: other bytes are stored", key)
			}
		})
	}
	all.Wait()
	if most == 0 || most > 12*partBytes {
		t.Errorf("buffers held %d bytes, the budget is %d", most, 12*partBytes)
	}
	if got := server.MaxInFlight(); got > config.Threads {
		t.Errorf("%d S3 requests at once, THREADCOUNT is %d", got, config.Threads)
	}
	wantClean(t, server, store)
}

type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) { f(); return len(p), nil }

func TestSizeLimit(t *testing.T) {
	tests := map[string]struct {
		size     int
		declared int64
		want     error
	}{
		"at the limit":                       {3 * partBytes, -1, nil},
		"one byte over":                      {3*partBytes + 1, -1, s3store.ErrTooLarge},
		"far over":                           {30 * partBytes, -1, s3store.ErrTooLarge},
		"declared over, refused at its head": {30 * partBytes, 30 * partBytes, s3store.ErrTooLarge},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			config := small()
			config.MaxInstanceBytes = 3 * partBytes
			store := newStore(t, server, config)
			src := reader(pseudoRandom(test.size))
			src.DeclaredBytes = test.declared
			err := put(t.Context(), store, "1/2/3", src, 1)
			if !errors.Is(err, test.want) {
				t.Fatalf("got error %v, want %v", err, test.want)
			}
			if test.want != nil {
				wantNothing(t, server, store)
			}
			if test.declared > 0 && len(server.Requests()) > 0 {
				t.Error("S3 was asked although the declared length is over the limit")
			}
		})
	}
}

func TestDiscardFreesItsBuffers(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStore(t, server, small())
	line := store.ledger.Line()
	defer line.End()
	upload := store.Begin(t.Context(), line, reader(pseudoRandom(10*partBytes)))
	if _, err := upload.Head().ReadAt(make([]byte, 3*partBytes), 0); err != nil {
		t.Fatal(err)
	}
	upload.Discard()
	wantNothing(t, server, store)
}
