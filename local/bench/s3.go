package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"stowrs-to-s3/local/gateway"
)

// The S3 server's account and bucket. It listens on this machine only.
const (
	accessKey  = "bench"
	secretKey  = "bench-local-secret" //nolint:gosec // of an S3 server that runs for minutes, on this machine only
	bucketName = "dicom"
)

// s3server is the process that runs the S3 server over a folder.
type s3server struct {
	Dir    string `required:""`
	Listen string `required:""`
}

func (s s3server) config() gateway.Config {
	return gateway.Config{Dir: s.Dir, Listen: s.Listen, Bucket: bucketName, AccessKey: accessKey, SecretKey: secretKey}
}

// Run serves until ctx ends.
func (s s3server) Run(ctx context.Context) error {
	return gateway.Run(ctx, s.config(), func() { fmt.Println("ready") })
}

// store is an S3 server in a process of its own.
type store struct {
	process     *process
	environment []string                              // makes a process store into it
	settle      func(context.Context, workload) error // checks that it contains exactly the workload, and empties it
}

func startGateway(ctx context.Context, dir string) (*store, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	server := s3server{Dir: filepath.Join(dir, "data"), Listen: address}
	command, err := bench(ctx, nil, "s3", "--dir", server.Dir, "--listen", server.Listen)
	if err != nil {
		return nil, err
	}
	holds := bucket{client: gateway.Client(server.config()), name: bucketName}
	p, err := start(ctx, command, func(ctx context.Context) bool {
		_, err := holds.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &holds.name})
		return err == nil
	})
	return &store{process: p, environment: gateway.Environ(server.config()), settle: holds.settle}, err
}

// bucket is the bucket of the gateway, to check and empty it after a run.
type bucket struct {
	client *s3.Client
	name   string
}

// settle checks that the bucket contains exactly the workload, and empties it for
// the next run.
func (b bucket) settle(ctx context.Context, w workload) error {
	objects, size := 0, int64(0)
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.name})
	var keys []types.ObjectIdentifier
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list bucket: %w", err)
		}
		for _, object := range page.Contents {
			objects, size = objects+1, size+*object.Size
			keys = append(keys, types.ObjectIdentifier{Key: object.Key})
		}
	}
	if err := w.check(objects, size); err != nil {
		return err
	}
	return b.remove(ctx, keys)
}

// deleteAtOnce is S3's limit for the keys of one DeleteObjects.
const deleteAtOnce = 1000

func (b bucket) remove(ctx context.Context, keys []types.ObjectIdentifier) error {
	for len(keys) > 0 {
		n := min(deleteAtOnce, len(keys))
		out, err := b.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &b.name, Delete: &types.Delete{Objects: keys[:n]}})
		if err != nil {
			return fmt.Errorf("empty bucket: %w", err)
		}
		if len(out.Errors) > 0 {
			return errors.New("empty bucket: some objects cannot be deleted")
		}
		keys = keys[n:]
	}
	return nil
}
