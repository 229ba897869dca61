package s3store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
)

// S3's 10,000 parts: the last one is stored, one byte more fails.
func TestTenThousandParts(t *testing.T) {
	config := small()
	config.Threads, config.PartBytes, config.LargestPartBytes, config.RetryTime = 16, chunkBytes, chunkBytes, time.Minute // as by default: a busy machine is no outage
	const total = 10_000 * chunkBytes
	for name, test := range map[string]struct {
		size int64
		want error
	}{"exactly": {total, nil}, "one byte more": {total + 1, s3store.ErrTooLarge}} {
		t.Run(name, func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			store := newStore(t, server, config)
			data := pseudoRandom(int(test.size))
			if err := put(t.Context(), store, "1/2/3", reader(data), 1); !errors.Is(err, test.want) {
				t.Fatalf("got error %v, want %v", err, test.want)
			}
			if test.want != nil {
				wantNothing(t, server, store)
				return
			}
			if got, _, _ := server.Object("1/2/3"); sha256.Sum256(got) != sha256.Sum256(data) {
				t.Error("other bytes are stored")
			}
			parts := 0
			for _, r := range server.Requests() {
				if r.Operation == "UploadPart" {
					parts = max(parts, r.PartNumber)
				}
			}
			if parts != 10_000 {
				t.Errorf("got %d parts, want 10000", parts)
			}
		})
	}
}

// ONDUPLICATE=reject: the same bytes always succeed; others fail, and leave the stored object as it was.
func TestRejectDuplicates(t *testing.T) {
	for name, size := range map[string]int{"one put": 100, "multipart": 5 * partBytes} {
		t.Run(name, func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			config := small()
			config.RejectDuplicates = true
			store := newStore(t, server, config)
			data := pseudoRandom(size)
			other := append(bytes.Clone(data[:size-1]), data[size-1]+1)
			for _, again := range []struct {
				data []byte
				want error
			}{{data, nil}, {data, nil}, {other, s3store.ErrDuplicate}, {data[:size-1], s3store.ErrDuplicate}, {data, nil}} {
				if err := put(t.Context(), store, "1/2/3", reader(again.data), 1); !errors.Is(err, again.want) {
					t.Errorf("got error %v, want %v", err, again.want)
				}
				if got, _, _ := server.Object("1/2/3"); !bytes.Equal(got, data) {
					t.Fatal("the stored object was changed")
				}
				wantClean(t, server, store)
			}
			server.Put("1/2/4", data) // by another program, without a checksum: nothing can be compared
			if err := put(t.Context(), store, "1/2/4", reader(data), 1); !errors.Is(err, s3store.ErrDuplicate) {
				t.Errorf("object without CRC64NVME: got error %v, want %v", err, s3store.ErrDuplicate)
			}
			wantClean(t, server, store)
		})
	}
}

func TestConditionalConflicts(t *testing.T) {
	conflict := s3test.Fault{Status: http.StatusConflict, Code: "ConditionalRequestConflict", Times: 1}
	data := pseudoRandom(5 * partBytes)
	rejecting := small()
	rejecting.RejectDuplicates = true

	t.Run("put is repeated", func(t *testing.T) {
		server := s3test.Start(t, "dicom")
		conflict.Operation = "PutObject"
		server.Inject(conflict)
		rejecting.RetryTime = 10 * time.Second
		if err := put(t.Context(), newStore(t, server, rejecting), "1/2/3", reader(data[:10]), 1); err != nil {
			t.Error(err)
		}
	})
	for name, test := range map[string]struct {
		stored []byte
		want   error
	}{
		"complete, the winner wrote the same": {data, nil},
		"complete, the winner wrote other":    {data[1:], s3store.ErrDuplicate},
		"complete, nobody won":                {nil, s3store.ErrSlowDown},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			store := newStore(t, server, rejecting)
			if test.stored != nil {
				if err := put(t.Context(), store, "1/2/3", reader(test.stored), 1); err != nil {
					t.Fatal(err)
				}
			}
			conflict.Operation = "CompleteMultipartUpload"
			server.Inject(conflict)
			if err := put(t.Context(), store, "1/2/3", reader(data), 1); !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			wantClean(t, server, store)
		})
	}
}

// The operator's text says what to correct.
func TestProbeExplains(t *testing.T) {
	tests := map[string]struct {
		fault s3test.Fault
		want  string
	}{
		"bucket missing": {s3test.Fault{Status: http.StatusNotFound, Code: "NoSuchBucket"}, "does not exist"},
		"access denied":  {s3test.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}, "grant s3:ListBucket"},
		"other region":   {s3test.Fault{Status: http.StatusMovedPermanently, Code: "PermanentRedirect"}, "AWS_REGION"},
		"unreachable":    {s3test.Fault{Cut: true}, "cannot be reached"},
		"proxy":          {s3test.Fault{Cut: true}, "HTTPS_PROXY"},                                              // it refuses CONNECT
		"password":       {s3test.Fault{Status: http.StatusProxyAuthRequired, Code: "Required"}, "HTTPS_PROXY"}, // RFC 9110 §15.5.8, without TLS
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			test.fault.Operation = "HeadBucket"
			server.Inject(test.fault)
			store := newStore(t, server, small())
			if err := store.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one that says %q", err, test.want)
			}
			if !store.Health().LastAnswer.IsZero() {
				t.Error("a failed probe counts as an answer")
			}
		})
	}
}

// KMS and storage class reach S3 in both kinds of upload.
func TestEncryptionAndStorageClass(t *testing.T) {
	server := s3test.Start(t, "dicom")
	config := small()
	config.KMSKeyID, config.StorageClass = "alias/dicom", "STANDARD_IA"
	store := newStore(t, server, config)
	for _, size := range []int{10, 3 * partBytes} {
		if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(size)), 1); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for _, r := range server.Requests() {
		if r.Operation != "PutObject" && r.Operation != "CreateMultipartUpload" {
			continue
		}
		seen++
		for name, want := range map[string]string{
			"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "alias/dicom", "x-amz-storage-class": "STANDARD_IA",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", r.Operation, name, got, want)
			}
		}
	}
	if seen != 2 {
		t.Errorf("got %d requests, want one of each kind", seen)
	}
}

// NewClient uses the AWS environment; a custom endpoint is addressed path-style.
func TestClientFromEnvironment(t *testing.T) {
	server := s3test.StartTLS(t, "dicom")
	for _, variable := range server.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	client, err := s3store.NewClient(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	ledger := memory.New(12*partBytes, headBytes, 0)
	store := &testStore{s3store.New(small(), client, ledger, slog.New(slog.DiscardHandler)), ledger}
	data := pseudoRandom(3 * partBytes)
	if err := put(t.Context(), store, "1/2/3", reader(data), 1); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := server.Object("1/2/3"); !bytes.Equal(got, data) {
		t.Error("other bytes are stored")
	}
}

// No deadlock: with more concurrent heads than there is memory for, they use the reserve in turn.
func TestLongHeadsTakeTurns(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStore(t, server, small())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			src := reader(pseudoRandom(4*partBytes + i))
			src.Reader = io.MultiReader(io.LimitReader(src.Reader, partBytes/2), src.Reader)
			key := "1/2/" + strings.Repeat("1", i+1)
			if err := put(ctx, store, key, src, 3*partBytes); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := len(server.Keys()); got != 32 {
		t.Errorf("got %d objects, want 32", got)
	}
	wantClean(t, server, store)
}

// late is an HTTP client of a server whose clock is late.
type late struct {
	s3.HTTPClient
	by time.Duration
}

func (l late) Do(r *http.Request) (*http.Response, error) {
	answer, err := l.HTTPClient.Do(r)
	if err == nil {
		answer.Header.Set("Date", time.Now().Add(-l.by).UTC().Format(http.TimeFormat))
	}
	return answer, err
}

// S3 refuses signatures that are more than 15 minutes old or young (RequestTimeTooSkewed), and the answer to a HeadBucket has no code.
func TestProbeExplainsTheClock(t *testing.T) {
	for by, want := range map[time.Duration]string{5 * time.Hour: "the clock of this machine is 5h0m0s off", -20 * time.Minute: "is -20m0s off", 10 * time.Minute: "grant s3:ListBucket"} {
		server := s3test.Start(t, "dicom")
		server.Inject(s3test.Fault{Operation: "HeadBucket", Status: http.StatusForbidden})
		store := newStoreThrough(t, server, small(), func(client s3.HTTPClient) s3.HTTPClient { return late{client, by} })
		if err := store.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("late by %s: got error %v, want one that says %q", by, err, want)
		}
	}
}
