package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	s3api "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"stowrs-to-s3/app/dicomtest"
	"stowrs-to-s3/app/s3store"
)

const partBytes = 8 << 20 // like the first 500 parts of the service

// put is the process that puts a workload directly into the bucket BUCKETNAME.
type put struct {
	Workload string `required:""`
	Parallel int    `default:"16" help:"Requests at the same time."`
	Defaults bool   `help:"Leave checksum, signature and client to the SDK."`
}

// putter makes the same objects as the service: with the same client, checksum, content type and metadata.
type putter struct {
	client   *s3api.Client
	bucket   string
	parallel int
	defaults bool // use the defaults of the SDK, which chooses a checksum and signs the SHA-256 of the body
}

// Run puts; it fails unless S3 acknowledges every object.
func (p put) Run(ctx context.Context) error {
	w, err := findWorkload(p.Workload)
	if err != nil {
		return err
	}
	client, err := s3store.NewClient(ctx, p.Parallel)
	if p.Defaults {
		client, err = defaultClient(ctx)
	}
	if err != nil {
		return err
	}
	to := putter{client: client, bucket: os.Getenv("BUCKETNAME"), parallel: p.Parallel, defaults: p.Defaults}
	return timed(w, p.Parallel, 1, func(one []instance) error {
		i := one[0]
		if i.sizeBytes > partBytes {
			return to.multipart(ctx, i.key(), i.sizeBytes, func(offset, n int64) (piece, error) { return i.piece(offset, n), nil })
		}
		return to.object(ctx, i.key(), i.piece(0, i.sizeBytes))
	})
}

// piece is an object or a part of one.
type piece struct {
	body      io.ReadSeeker
	sizeBytes int64
	crc64     func() uint64
	free      func() // nil: nothing is to be freed
}

func defaultClient(ctx context.Context) (*s3api.Client, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	return s3api.NewFromConfig(c, func(o *s3api.Options) { o.UsePathStyle = true }), nil
}

// options are those of the service for requests with bodies.
func (p putter) options(o *s3api.Options) {
	if !p.defaults {
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	}
}

// checksum is the checksum of a piece, in the form of S3's header; nil if the SDK chooses one.
func (p putter) checksum(of piece) *string {
	if p.defaults {
		return nil
	}
	sum := binary.BigEndian.AppendUint64(nil, of.crc64())
	return aws.String(base64.StdEncoding.EncodeToString(sum))
}

func metadata() map[string]string {
	return map[string]string{
		"request-id": "00000000000000000000000000000000", "sop-class": dicomtest.CTImageStorage, "transfer-syntax": dicomtest.ExplicitLE.UID,
	}
}

func (p putter) object(ctx context.Context, key string, whole piece) error {
	_, err := p.client.PutObject(ctx, &s3api.PutObjectInput{
		Bucket: &p.bucket, Key: &key, Body: whole.body, ContentLength: &whole.sizeBytes,
		ContentType: aws.String("application/dicom"), Metadata: metadata(), ChecksumCRC64NVME: p.checksum(whole),
	}, p.options)
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	return nil
}

// multipart uploads an object of sizeBytes, whose pieces are asked for in order.
func (p putter) multipart(ctx context.Context, key string, sizeBytes int64, next func(offset, n int64) (piece, error)) error {
	input := &s3api.CreateMultipartUploadInput{
		Bucket: &p.bucket, Key: &key, ContentType: aws.String("application/dicom"), Metadata: metadata(),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, // the SDK adds this checksum to parts
	}
	if !p.defaults {
		input.ChecksumAlgorithm, input.ChecksumType = types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject
	}
	created, err := p.client.CreateMultipartUpload(ctx, input)
	if err != nil {
		return fmt.Errorf("create multipart upload: %w", err)
	}
	parts := make([]types.CompletedPart, (sizeBytes+partBytes-1)/partBytes)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(p.parallel)
	for n := range parts {
		offset := int64(n) * partBytes
		one, err := next(offset, min(partBytes, sizeBytes-offset))
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		group.Go(func() (err error) {
			parts[n], err = p.part(groupCtx, key, created.UploadId, int32(n+1), one) //nolint:gosec // a few hundred
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("upload part: %w", err)
	}
	_, err = p.client.CompleteMultipartUpload(ctx, &s3api.CompleteMultipartUploadInput{
		Bucket: &p.bucket, Key: &key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		return fmt.Errorf("complete multipart upload: %w", err)
	}
	return nil
}

func (p putter) part(ctx context.Context, key string, uploadID *string, number int32, one piece) (types.CompletedPart, error) {
	if one.free != nil {
		defer one.free()
	}
	out, err := p.client.UploadPart(ctx, &s3api.UploadPartInput{
		Bucket: &p.bucket, Key: &key, UploadId: uploadID, PartNumber: &number,
		Body: one.body, ContentLength: &one.sizeBytes, ChecksumCRC64NVME: p.checksum(one),
	}, p.options)
	if err != nil {
		return types.CompletedPart{}, fmt.Errorf("number %d: %w", number, err)
	}
	return types.CompletedPart{ETag: out.ETag, PartNumber: &number, ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumCRC32: out.ChecksumCRC32}, nil
}
