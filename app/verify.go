package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"stowrs-to-s3/app/client"
	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
)

type verify struct{ client.VerifyOptions }

// run asks. The first SIGINT or SIGTERM ends it with what is known by then, the second at once.
func (v verify) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // so that the next signal is not caught
	if v.Checksums {
		var err error
		if v.Checksum, err = checksums(ctx, v.Parallel); err != nil {
			fmt.Fprintln(os.Stderr, "stowrs:", err)
			return exitCode(exitConfiguration)
		}
	}
	verified, err := client.Verify(ctx, v.VerifyOptions, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stowrs:", err)
	}
	if code := client.VerifyExitCode(verified, err); code != 0 {
		return exitCode(code)
	}
	return nil
}

// checksums returns the checksum of an object in S3, with the bucket and the keys of the service's environment.
func checksums(ctx context.Context, parallel int) (func(ctx context.Context, study, series, instance string) (string, bool, error), error) {
	c, _ := config.Load(config.Environment()) // only the settings of the bucket and the keys are used
	if c.BucketName == "" {
		return nil, errors.New("--checksums needs BUCKETNAME, and PREFIX and OBJECTSUFFIX where the service has them, in the environment")
	}
	s3, err := s3store.NewClient(ctx, parallel)
	if err != nil {
		return nil, err
	}
	store := s3store.New(s3store.Config{Bucket: c.BucketName, Threads: max(parallel, 1), RetryTime: c.RetryTime}, s3,
		memory.New(2*memory.ChunkBytes, memory.ChunkBytes, 0), slog.New(slog.DiscardHandler))
	return func(ctx context.Context, study, series, instance string) (string, bool, error) {
		return store.Checksum(ctx, s3store.Key(c.Prefix, study, series, instance, c.ObjectSuffix))
	}, nil
}
