package main

import (
	"bufio"
	"bytes"
	"context"
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
)

// floor is the process that shows the minimal cost of receiving and putting: it reads the bodies of a workload with
// net/http into one buffer for each instance, and puts the buffers with net/http. It knows the lengths of the parts, and does not identify,
// check, sign or repeat anything, so it works only with the stand-in for S3.
type floor struct {
	Workload string `required:""`
	Listen   string `required:""`
	Parallel int    `required:""`

	w       workload
	client  *http.Client
	slots   chan struct{}
	buffers sync.Pool
	count   atomic.Int64
}

// Run serves until ctx ends.
func (f *floor) Run(ctx context.Context) (err error) {
	if f.w, err = findWorkload(f.Workload); err != nil {
		return err
	}
	f.slots = make(chan struct{}, f.Parallel)
	f.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: f.Parallel, WriteBufferSize: 64 << 10}}
	f.buffers.New = func() any { return bytes.NewBuffer(make([]byte, 0, f.w.sizeBytes)) }
	server := &http.Server{Addr: f.Listen, Handler: f, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("floor: %w", err)
	}
	return nil
}

// ServeHTTP implements http.Handler. A GET is answered at once, to show that it serves.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		return
	}
	ctx := r.Context()
	var puts sync.WaitGroup
	var failed atomic.Pointer[error]
	body := bufio.NewReaderSize(r.Body, 128<<10)
	for left := r.ContentLength; left > int64(len(bodyEnd)); left -= int64(len(partHeader)) + f.w.sizeBytes + 2 {
		instance, _ := f.buffers.Get().(*bytes.Buffer)
		instance.Reset()
		_, err := body.Discard(len(partHeader))
		if err == nil {
			_, err = io.CopyN(instance, body, f.w.sizeBytes)
		}
		if err == nil {
			_, err = body.Discard(len("\r\n"))
		}
		if err != nil {
			failed.Store(&err)
			break
		}
		f.slots <- struct{}{}
		puts.Go(func() {
			defer func() { <-f.slots; f.buffers.Put(instance) }()
			if err := f.put(ctx, instance.Bytes()); err != nil {
				failed.Store(&err)
			}
		})
	}
	puts.Wait()
	_, _ = io.Copy(io.Discard, body)
	if err := failed.Load(); err != nil {
		http.Error(w, (*err).Error(), http.StatusInternalServerError)
	}
}

func (f *floor) put(ctx context.Context, instance []byte) error {
	url := os.Getenv("AWS_ENDPOINT_URL_S3") + "/" + os.Getenv("BUCKETNAME") + "/" + strconv.FormatInt(f.count.Add(1), 10)
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(instance)) //nolint:gosec // the stand-in of this run
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	answer, err := f.client.Do(r) //nolint:gosec // the stand-in of this run
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		return fmt.Errorf("put: %s: %s", answer.Status, text) //nolint:err113 // only printed
	}
	return nil
}
