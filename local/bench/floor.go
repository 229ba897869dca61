package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/crc64nvme"

	"stowrs-to-s3/app/s3store"
)

// floor is the process that shows the minimal cost of receiving and putting: it reads the bodies of a workload with
// net/http into one buffer for each instance or part, and puts the buffers with net/http. It knows the lengths of the parts, and does not identify,
// check, sign or repeat anything, so it works only with the stand-in for S3. With SDK it puts as the service does: checksum, signature, metadata.
type floor struct {
	Workload string `required:""`
	Listen   string `required:""`
	Parallel int    `required:""`
	SDK      bool   `name:"sdk"`

	w       workload
	to      putter // with SDK
	plain   *http.Client
	slots   chan struct{}
	buffers sync.Pool
	count   atomic.Int64
}

// Run serves until ctx ends.
func (f *floor) Run(ctx context.Context) (err error) {
	if f.w, err = findWorkload(f.Workload); err != nil {
		return err
	}
	f.to = putter{bucket: os.Getenv("BUCKETNAME"), parallel: f.Parallel}
	if f.to.client, err = s3store.NewClient(ctx, f.Parallel); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	if f.plain, err = plainClient(f.Parallel); err != nil {
		return err
	}
	f.slots = make(chan struct{}, f.Parallel)
	f.buffers.New = func() any { return bytes.NewBuffer(make([]byte, 0, min(f.w.sizeBytes, partBytes))) }
	server := &http.Server{Addr: f.Listen, Handler: f, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("floor: %w", err)
	}
	return nil
}

// plainClient is a client of net/http for S3, over TLS with the authorities of AWS_CA_BUNDLE.
func plainClient(parallel int) (*http.Client, error) {
	authorities := x509.NewCertPool()
	if bundle := os.Getenv("AWS_CA_BUNDLE"); bundle != "" {
		certificates, err := os.ReadFile(bundle) //nolint:gosec // of this run
		if err != nil {
			return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
		}
		authorities.AppendCertsFromPEM(certificates)
	}
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: parallel, WriteBufferSize: 64 << 10, TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
	}}, nil
}

// ServeHTTP implements http.Handler. A GET is answered at once, to show that it serves.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		return
	}
	body := bufio.NewReaderSize(r.Body, 128<<10)
	err := f.receive(r.Context(), body, r.ContentLength)
	_, _ = io.Copy(io.Discard, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// receive puts the instances of a body of lengthBytes, while it reads them.
func (f *floor) receive(ctx context.Context, body *bufio.Reader, lengthBytes int64) error {
	var puts sync.WaitGroup
	defer puts.Wait()
	var failed atomic.Pointer[error]
	for left := lengthBytes; left > int64(len(bodyEnd)); left -= int64(len(partHeader)) + f.w.sizeBytes + 2 {
		if _, err := body.Discard(len(partHeader)); err != nil {
			return fmt.Errorf("read body: %w", err)
		}
		key := strconv.FormatInt(f.count.Add(1), 10)
		if f.w.sizeBytes > partBytes {
			if err := f.to.multipart(ctx, key, f.w.sizeBytes, func(_, n int64) (piece, error) { return f.read(body, n) }); err != nil {
				return err
			}
		} else {
			whole, err := f.read(body, f.w.sizeBytes)
			if err != nil {
				return err
			}
			f.slots <- struct{}{}
			puts.Go(func() {
				defer func() { <-f.slots; whole.free() }()
				if err := f.put(ctx, key, whole); err != nil {
					failed.Store(&err)
				}
			})
		}
		if _, err := body.Discard(len("\r\n")); err != nil {
			return fmt.Errorf("read body: %w", err)
		}
	}
	puts.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// read reads n bytes into a buffer.
func (f *floor) read(body io.Reader, n int64) (piece, error) {
	b, _ := f.buffers.Get().(*bytes.Buffer)
	b.Reset()
	if _, err := io.CopyN(b, body, n); err != nil {
		return piece{}, fmt.Errorf("read body: %w", err)
	}
	return piece{
		body: bytes.NewReader(b.Bytes()), sizeBytes: n,
		crc64: func() uint64 { return crc64nvme.Checksum(b.Bytes()) },
		free:  func() { f.buffers.Put(b) },
	}, nil
}

func (f *floor) put(ctx context.Context, key string, whole piece) error {
	if f.SDK {
		return f.to.object(ctx, key, whole)
	}
	url := os.Getenv("AWS_ENDPOINT_URL_S3") + "/" + f.to.bucket + "/" + key
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, url, io.NopCloser(whole.body)) //nolint:gosec // the stand-in of this run
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	r.ContentLength = whole.sizeBytes
	answer, err := f.plain.Do(r) //nolint:gosec // the stand-in of this run
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		return fmt.Errorf("put: %s: %s", answer.Status, text) //nolint:err113 // only printed
	}
	return nil
}
