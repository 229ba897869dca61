package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
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
		if one[0].sizeBytes > partBytes {
			return to.multipart(ctx, one[0])
		}
		return to.object(ctx, one[0])
	})
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

// checksum is the checksum of n bytes from offset on, in the form of S3's header; nil if the SDK chooses one.
func (p putter) checksum(i instance, offset, n int64) *string {
	if p.defaults {
		return nil
	}
	sum := binary.BigEndian.AppendUint64(nil, i.crc64(offset, n))
	return aws.String(base64.StdEncoding.EncodeToString(sum))
}

func metadata() map[string]string {
	return map[string]string{
		"request-id": "00000000000000000000000000000000", "sop-class": dicomtest.CTImageStorage, "transfer-syntax": dicomtest.ExplicitLE.UID,
	}
}

func (p putter) object(ctx context.Context, i instance) error {
	_, err := p.client.PutObject(ctx, &s3api.PutObjectInput{
		Bucket: &p.bucket, Key: aws.String(i.key()), Body: i.section(0, i.sizeBytes), ContentLength: &i.sizeBytes,
		ContentType: aws.String("application/dicom"), Metadata: metadata(), ChecksumCRC64NVME: p.checksum(i, 0, i.sizeBytes),
	}, p.options)
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	return nil
}

func (p putter) multipart(ctx context.Context, i instance) error {
	key := i.key()
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
	parts, err := p.parts(ctx, i, key, created.UploadId)
	if err != nil {
		return err
	}
	_, err = p.client.CompleteMultipartUpload(ctx, &s3api.CompleteMultipartUploadInput{
		Bucket: &p.bucket, Key: &key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		return fmt.Errorf("complete multipart upload: %w", err)
	}
	return nil
}

func (p putter) parts(ctx context.Context, i instance, key string, uploadID *string) ([]types.CompletedPart, error) {
	parts := make([]types.CompletedPart, (i.sizeBytes+partBytes-1)/partBytes)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.parallel)
	for n := range parts {
		group.Go(func() error {
			offset, number := int64(n)*partBytes, int32(n+1) //nolint:gosec // a few hundred
			length := min(partBytes, i.sizeBytes-offset)
			checksum := p.checksum(i, offset, length)
			out, err := p.client.UploadPart(ctx, &s3api.UploadPartInput{
				Bucket: &p.bucket, Key: &key, UploadId: uploadID, PartNumber: &number,
				Body: i.section(offset, length), ContentLength: &length, ChecksumCRC64NVME: checksum,
			}, p.options)
			if err != nil {
				return fmt.Errorf("upload part %d: %w", number, err)
			}
			parts[n] = types.CompletedPart{ETag: out.ETag, PartNumber: &number,
				ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumCRC32: out.ChecksumCRC32}
			return nil
		})
	}
	return parts, group.Wait()
}
