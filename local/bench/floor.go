package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
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

	"github.com/aws/aws-sdk-go-v2/aws"
	s3api "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/crc64nvme"

	"stowrs-to-s3/app/s3store"
)

// floor is the process that shows the minimal cost of receiving and putting: it reads the bodies of a workload with
// net/http into one buffer for each instance, and puts the buffers with net/http. It knows the lengths of the parts, and does not identify,
// check, sign or repeat anything, so it works only with the stand-in for S3. With SDK it puts as the service does: checksum, signature, metadata.
type floor struct {
	Workload string `required:""`
	Listen   string `required:""`
	Parallel int    `required:""`
	SDK      bool   `name:"sdk"`

	w       workload
	put     func(ctx context.Context, key string, instance []byte) error
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
	f.put, err = f.plainly()
	if f.SDK {
		f.put, err = f.withSDK(ctx)
	}
	if err != nil {
		return err
	}
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
			if err := f.put(ctx, strconv.FormatInt(f.count.Add(1), 10), instance.Bytes()); err != nil {
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

// plainly puts with net/http.
func (f *floor) plainly() (func(context.Context, string, []byte) error, error) {
	authorities := x509.NewCertPool()
	if bundle := os.Getenv("AWS_CA_BUNDLE"); bundle != "" {
		certificates, err := os.ReadFile(bundle) //nolint:gosec // of this run
		if err != nil {
			return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
		}
		authorities.AppendCertsFromPEM(certificates)
	}
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: f.Parallel, WriteBufferSize: 64 << 10, TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
	}}
	folder := os.Getenv("AWS_ENDPOINT_URL_S3") + "/" + os.Getenv("BUCKETNAME") + "/"
	return func(ctx context.Context, key string, instance []byte) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPut, folder+key, bytes.NewReader(instance)) //nolint:gosec // the stand-in of this run
		if err != nil {
			return fmt.Errorf("put: %w", err)
		}
		answer, err := client.Do(r) //nolint:gosec // the stand-in of this run
		if err != nil {
			return fmt.Errorf("put: %w", err)
		}
		defer answer.Body.Close()
		if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
			return fmt.Errorf("put: %s: %s", answer.Status, text) //nolint:err113 // only printed
		}
		return nil
	}, nil
}

// withSDK puts with the client of the service.
func (f *floor) withSDK(ctx context.Context) (func(context.Context, string, []byte) error, error) {
	client, err := s3store.NewClient(ctx, f.Parallel)
	if err != nil {
		return nil, fmt.Errorf("put: %w", err)
	}
	bucket, unsigned := os.Getenv("BUCKETNAME"), putter{}.options
	return func(ctx context.Context, key string, instance []byte) error {
		sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(instance)))
		_, err := client.PutObject(ctx, &s3api.PutObjectInput{
			Bucket: &bucket, Key: &key, Body: bytes.NewReader(instance), ContentLength: aws.Int64(int64(len(instance))),
			ContentType: aws.String("application/dicom"), Metadata: metadata(), ChecksumCRC64NVME: &sum,
		}, unsigned)
		if err != nil {
			return fmt.Errorf("put object: %w", err)
		}
		return nil
	}, nil
}
