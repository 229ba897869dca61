// Package gateway runs an S3 server over a folder in this process: the Versity
// S3 Gateway, for machines without an AWS account, tests and benchmarks.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

// Region is the AWS region that the gateway reports.
const Region = "us-east-1"

// Config is the configuration of the gateway. Only one gateway can run per process, because the library has global state.
type Config struct {
	Dir     string // the folder; made if it is missing. Buckets are folders in Dir/s3
	Listen  string // host:port of the S3 API
	Console string // host:port of the web console; empty: none
	Bucket  string // made if it is missing
	// AccessKey and SecretKey are those of its only account.
	AccessKey, SecretKey string
}

// Run serves until ctx ends. It calls ready when S3 answers and the bucket
// exists. It changes the working directory of the process to Dir/s3.
func Run(ctx context.Context, c Config, ready func()) error {
	backend, err := newBackend(c.Dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	prepared := make(chan error, 1)
	go func() {
		err := prepare(ctx, c)
		if err == nil {
			ready()
		} else {
			cancel()
		}
		prepared <- err
	}()
	gateway := &embedgw.Config{
		RootUserAccess: c.AccessKey, RootUserSecret: c.SecretKey, Region: Region,
		Ports:          []string{c.Listen},
		MaxConnections: 4096, MaxRequests: 2048, MultipartMaxParts: 10_000,
		KeepAlive: true, Quiet: true, DisableACLs: true,
		CORSAllowOrigin: "*", // in the browser, the console, which is on another port, uses the S3 API
	}
	if c.Console != "" {
		gateway.WebuiPorts = []string{c.Console}
	}
	err = embedgw.RunVersityGW(ctx, backend, gateway)
	cancel()
	if prepareErr := <-prepared; prepareErr != nil && !errors.Is(prepareErr, context.Canceled) {
		return prepareErr
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("S3 gateway: %w", err)
	}
	return nil
}

// newBackend stores metadata in extended attributes or, if the file system does not support them, in the folder
// Dir/metadata.
func newBackend(dir string) (*posix.Posix, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	root, sidecar := filepath.Join(dir, "s3"), filepath.Join(dir, "metadata")
	if err := os.MkdirAll(root, 0o750); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if (meta.XattrMeta{}).Test(root) == nil {
		return wrap(posix.New(root, meta.XattrMeta{}, posix.PosixOpts{}))
	}
	if err := os.MkdirAll(sidecar, 0o750); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	storer, err := meta.NewSideCar(sidecar)
	if err != nil {
		return nil, fmt.Errorf("metadata folder: %w", err)
	}
	return wrap(posix.New(root, storer, posix.PosixOpts{SideCarDir: sidecar}))
}

func wrap(backend *posix.Posix, err error) (*posix.Posix, error) {
	if err != nil {
		return nil, fmt.Errorf("S3 gateway over the data folder: %w", err)
	}
	return backend, nil
}

// prepare waits until the gateway answers, and makes the bucket.
func prepare(ctx context.Context, c Config) error {
	client := Client(c)
	for {
		_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &c.Bucket})
		var owned *types.BucketAlreadyOwnedByYou
		var exists *types.BucketAlreadyExists
		if err == nil || errors.As(err, &owned) || errors.As(err, &exists) {
			return nil
		}
		var network net.Error
		if !errors.As(err, &network) && ctx.Err() == nil {
			return fmt.Errorf("make bucket %s: %w", c.Bucket, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the caller compares it
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Client is an S3 client of the gateway, to inspect its content.
func Client(c Config) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + c.Listen), UsePathStyle: true, Region: Region,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, ""),
		HTTPClient:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	})
}

// Environ are the variables with which a `stowrs` process stores into the gateway.
func Environ(c Config) []string {
	return []string{
		"BUCKETNAME=" + c.Bucket,
		"AWS_ENDPOINT_URL_S3=http://" + c.Listen,
		"AWS_ACCESS_KEY_ID=" + c.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + c.SecretKey,
		"AWS_REGION=" + Region,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}
