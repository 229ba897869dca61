package s3store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/crc64nvme"
)

// abortTimeout bounds the clean-up of a failed upload, which goes on when the
// request's own context has ended.
const abortTimeout = 30 * time.Second

// put stores an instance that fits one buffer.
func (u *Upload) put(b *buffer) error {
	b.trim()
	defer b.release()
	u.received, u.crc = b.n, b.update(0, crc64nvme.Update)
	input := &s3.PutObjectInput{
		Bucket:            &u.store.config.Bucket,
		Key:               &u.key,
		Body:              b.reader(),
		ContentLength:     &b.n,
		ContentType:       aws.String("application/dicom"),
		Metadata:          u.metadata.values(),
		ChecksumCRC64NVME: checksum(u.crc),
		StorageClass:      types.StorageClass(u.store.config.StorageClass),
	}
	input.ServerSideEncryption, input.SSEKMSKeyId = u.store.encryption()
	if u.store.config.RejectDuplicates {
		input.IfNoneMatch = aws.String("*")
	}
	out, err := request(u.ctx, u.store, "PutObject", func(ctx context.Context) (*s3.PutObjectOutput, error) {
		return u.store.client.PutObject(ctx, input, unsignedPayload, retryConflict)
	})
	if err == nil {
		err = u.verify(out.ChecksumCRC64NVME)
	} else if u.store.config.RejectDuplicates && statusCode(err) == http.StatusPreconditionFailed {
		if err = u.compare(); errors.Is(err, errNoObject) { // deleted in between
			err = errors.Join(ErrSlowDown, err)
		}
	}
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	return nil
}

// create begins the multipart upload; it is called once, by the first part. When
// the upload's context ends meanwhile, it goes on: S3 may have made what only its
// answer allows to abort.
func (u *Upload) create() (string, error) {
	if err := u.ctx.Err(); err != nil {
		return "", fmt.Errorf("create multipart upload: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), abortTimeout)
	defer cancel()
	input := &s3.CreateMultipartUploadInput{
		Bucket:            &u.store.config.Bucket,
		Key:               &u.key,
		ContentType:       aws.String("application/dicom"),
		Metadata:          u.metadata.values(),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
		ChecksumType:      types.ChecksumTypeFullObject,
		StorageClass:      types.StorageClass(u.store.config.StorageClass),
	}
	input.ServerSideEncryption, input.SSEKMSKeyId = u.store.encryption()
	out, err := request(ctx, u.store, "CreateMultipartUpload", func(ctx context.Context) (*s3.CreateMultipartUploadOutput, error) {
		return u.store.client.CreateMultipartUpload(ctx, input)
	})
	if err != nil {
		return "", fmt.Errorf("create multipart upload: %w", err)
	}
	return aws.ToString(out.UploadId), nil
}

// sendPart hands the buffer to a goroutine that uploads and releases it.
// finish waits for all of them.
func (u *Upload) sendPart(b *buffer) {
	u.number++
	u.received += b.n
	if u.reserve != nil && u.number == 1 {
		u.first = b
		return
	}
	u.crc = b.update(u.crc, crc64nvme.Update)
	u.send(b, u.number)
}

func (u *Upload) send(b *buffer, n int) {
	number := int32(n) //nolint:gosec // at most 10,000
	u.sent = true
	b.trim()
	u.group.Go(func() error {
		defer b.release()
		uploadID, err := u.created()
		if err != nil {
			return err
		}
		crc := checksum(b.update(0, crc64nvme.Update))
		out, err := request(u.groupCtx, u.store, "UploadPart", func(ctx context.Context) (*s3.UploadPartOutput, error) {
			return u.store.client.UploadPart(ctx, &s3.UploadPartInput{
				Bucket:            &u.store.config.Bucket,
				Key:               &u.key,
				UploadId:          &uploadID,
				PartNumber:        &number,
				Body:              b.reader(),
				ContentLength:     &b.n,
				ChecksumCRC64NVME: crc,
			}, unsignedPayload)
		})
		if err != nil {
			return fmt.Errorf("upload part %d: %w", number, err)
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.completed = append(u.completed, types.CompletedPart{ETag: out.ETag, PartNumber: &number, ChecksumCRC64NVME: crc})
		return nil
	})
}

// complete makes the object of its parts, or aborts the upload when err is set or completing fails.
func (u *Upload) complete(err error) error {
	uploadID, createErr := u.created()
	if createErr != nil {
		return createErr
	}
	if err == nil {
		err = u.assemble(uploadID)
		if err == nil {
			return nil
		}
		err = u.afterFailedComplete(err)
	}
	u.abort(uploadID)
	if errors.Is(err, errStoredBefore) {
		return nil
	}
	return err
}

func (u *Upload) assemble(uploadID string) error {
	slices.SortFunc(u.completed, func(a, b types.CompletedPart) int { return int(*a.PartNumber) - int(*b.PartNumber) })
	input := &s3.CompleteMultipartUploadInput{
		Bucket:            &u.store.config.Bucket,
		Key:               &u.key,
		UploadId:          &uploadID,
		MultipartUpload:   &types.CompletedMultipartUpload{Parts: u.completed},
		ChecksumCRC64NVME: checksum(u.crc),
		ChecksumType:      types.ChecksumTypeFullObject,
		MpuObjectSize:     &u.received,
	}
	if u.store.config.RejectDuplicates {
		input.IfNoneMatch = aws.String("*")
	}
	out, err := request(u.ctx, u.store, "CompleteMultipartUpload", func(ctx context.Context) (*s3.CompleteMultipartUploadOutput, error) {
		return u.store.client.CompleteMultipartUpload(ctx, input)
	})
	if err != nil {
		return fmt.Errorf("complete multipart upload: %w", err)
	}
	return u.verify(out.ChecksumCRC64NVME)
}

// abort takes back what was uploaded. When S3 does not answer, the sweep of a
// later start and the bucket's lifecycle rule do.
func (u *Upload) abort(uploadID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), abortTimeout)
	defer cancel()
	if err := u.store.abort(ctx, u.key, uploadID); err != nil {
		u.store.log.WarnContext(ctx, "abort multipart upload failed", "request_id", u.metadata.RequestID, "key", u.key, "error", err)
	}
}

// abort ends a multipart upload; one that is gone already is no error.
func (s *Store) abort(ctx context.Context, key, uploadID string) error {
	_, err := request(ctx, s, "AbortMultipartUpload", func(ctx context.Context) (*s3.AbortMultipartUploadOutput, error) {
		return s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.config.Bucket, Key: &key, UploadId: &uploadID})
	})
	if errorCode(err) == "NoSuchUpload" {
		return nil
	}
	return err
}

// verify compares the checksum that S3 acknowledged with that of the bytes
// received. S3-compatible servers that name none have taken the request header's.
func (u *Upload) verify(acknowledged *string) error {
	if want := checksum(u.crc); acknowledged != nil && *acknowledged != *want {
		return fmt.Errorf("S3 acknowledged CRC64NVME %s, the bytes received have %s", *acknowledged, *want)
	}
	return nil
}

// values leaves out what is empty: not every S3 server signs an empty header alike.
func (m Metadata) values() map[string]string {
	values := map[string]string{"request-id": m.RequestID, "sop-class": m.SOPClassUID, "transfer-syntax": m.TransferSyntaxUID}
	maps.DeleteFunc(values, func(_, value string) bool { return value == "" })
	return values
}

func (s *Store) encryption() (types.ServerSideEncryption, *string) {
	if s.config.KMSKeyID == "" {
		return "", nil
	}
	return types.ServerSideEncryptionAwsKms, &s.config.KMSKeyID
}

// unsignedPayload leaves the body out of the signature, as the SDK does over TLS
// anyway: the signed CRC64NVME header covers it, and hashing every byte once more
// with SHA-256 would cost more than all the rest of the service.
func unsignedPayload(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

// retryConflict repeats a PutObject that met another conditional write of its key
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
func retryConflict(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, conditionalRequestConflict)
}
