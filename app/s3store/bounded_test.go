package s3store_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
)

// Promise 3: answers of any server in place of S3 need little memory, and do not fill the log.
func TestAnswersAreBounded(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		status       int
		front        string
		pages        int // of 1 MiB behind that
		headersBytes int
	}{
		"an endless error":    {http.StatusServiceUnavailable, "<Error><Code>SlowDown</Code>", 256, 0},
		"a long message":      {http.StatusForbidden, "<Error><Code>AccessDenied</Code><Message>" + strings.Repeat("x\u009b", 10_000) + "</Message></Error>", 0, 0},
		"an endless success":  {http.StatusOK, "<CreateMultipartUploadResult>", 256, 0},
		"endless headers":     {http.StatusForbidden, "", 0, 8 * mib},
		"success and headers": {http.StatusOK, "", 0, 8 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			var sent, asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				asked.Add(1)
				for n := 0; n < test.headersBytes; n += 4096 {
					w.Header().Add("X-More", strings.Repeat("x", 4096))
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.front)
				for range test.pages {
					n, err := io.WriteString(w, strings.Repeat("x", mib))
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			}))
			defer server.Close()
			for variable, value := range map[string]string{"AWS_ENDPOINT_URL_S3": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_CA_BUNDLE": ""} {
				t.Setenv(variable, value)
			}
			client, err := s3store.NewClient(t.Context(), 4)
			if err != nil {
				t.Fatal(err)
			}
			ledger := memory.New(12*partBytes, headBytes, 0)
			store := &testStore{s3store.New(small(), client, ledger, slog.New(slog.DiscardHandler)), ledger}
			err = put(t.Context(), store, "1/2/3", reader(pseudoRandom(3*partBytes)), 1)
			if err == nil || len(err.Error()) > 3000 || strings.Contains(err.Error(), "\u009b") {
				t.Errorf("the error has %d bytes: %.300q", len(err.Error()), err)
			}
			if failure := store.Health().Failure; failure == nil || len(failure.Error()) > 3000 {
				t.Errorf("readiness has %.300v", failure)
			}
			if most := asked.Load() * 32 * mib; sent.Load() > most { // the capacity of the sockets
				t.Errorf("%d bytes were taken of %d answers, want at most %d", sent.Load(), asked.Load(), most)
			}
		})
	}
}

// Promise 3: reading an answer takes many times its length if its elements are nested, so those that can be short are read only as far as S3 would
// send. A list of 1,000 uploads may be long, and few lists are read at the same time.
func TestNestedAnswersNeedLittleMemory(t *testing.T) {
	nested := []byte(strings.Repeat("<a>", 10<<20/3))
	for _, operation := range []string{"CreateMultipartUpload", "CompleteMultipartUpload"} {
		t.Run(operation, func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			var asked atomic.Int64
			config := small()
			config.RetryTime = 300 * time.Millisecond
			store := newStoreThrough(t, server, config, func(client s3.HTTPClient) s3.HTTPClient {
				return s3store.Bounded(deep{client, operation == "CompleteMultipartUpload", nested, &asked})
			})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(3*partBytes)), 1); err == nil {
				t.Error("an answer that does not end counts as a success")
			}
			runtime.ReadMemStats(&after)
			if got, most := (after.TotalAlloc-before.TotalAlloc)>>20, uint64(16*asked.Load()); got > most {
				t.Errorf("%d answers took %d MiB of memory, want at most %d", asked.Load(), got, most)
			}
		})
	}
}

// deep is an HTTP client that gets nested elements in answer to the creation or, with end, to the completion of an upload.
type deep struct {
	s3.HTTPClient
	end    bool
	nested []byte
	asked  *atomic.Int64
}

func (d deep) Do(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || r.URL.Query().Has("uploadId") != d.end {
		return d.HTTPClient.Do(r)
	}
	d.asked.Add(1)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(bytes.NewReader(d.nested))}, nil
}

// silent is an HTTP client whose CompleteMultipartUpload is answered with success, but without information about the bytes.
type silent struct{ s3.HTTPClient }

func (s silent) Do(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || !r.URL.Query().Has("uploadId") {
		return s.HTTPClient.Do(r)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(`<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>`))}, nil
}

// A server that has acknowledged checksums must also do so at the end: otherwise the answer is not that of S3, and the object may not exist.
func TestCompleteWithoutChecksum(t *testing.T) {
	server := s3test.Start(t, "dicom")
	store := newStoreThrough(t, server, small(), func(client s3.HTTPClient) s3.HTTPClient { return silent{client} })
	if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(3*partBytes)), 1); err == nil {
		t.Error("an instance that is nowhere is reported as stored")
	}
	if store.Health().Failure == nil {
		t.Error("readiness knows of no failure")
	}
	wantClean(t, server, store)
}

// At the end of the service, an upload that S3 has begun although we got no answer is aborted, as soon as no other process can have begun it.
func TestSettleEndsSuspects(t *testing.T) {
	server := s3test.Start(t, "dicom")
	config := small()
	config.RetryTime = 300 * time.Millisecond
	store := newStore(t, server, config)
	server.Inject(s3test.Fault{Operation: "CreateMultipartUpload", CutAfter: true, Times: 1})
	if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(3*partBytes)), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	store.Settle(ctx)
	wantClean(t, server, store)
}
