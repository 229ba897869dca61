package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// complete makes the object of its parts, or aborts the upload when err is set or completing fails.
func (u *Upload) complete(err error) error {
	uploadID, createErr := u.created()
	if createErr != nil {
		return createErr
	}
	defer func() {
		u.store.mu.Lock()
		delete(u.store.active, uploadID)
		u.store.mu.Unlock()
	}()
	if err == nil {
		if err = u.assemble(uploadID); err == nil {
			return nil
		}
		err = u.afterFailedComplete(err)
	}
	if abortErr := u.store.abort(context.WithoutCancel(u.ctx), u.key, uploadID); abortErr != nil {
		u.store.log.WarnContext(u.ctx, "abort multipart upload failed, and will be tried again",
			"request_id", u.metadata.RequestID, "key", u.key, "error", abortErr)
		u.store.mu.Lock()
		if len(u.store.left) < maxSuspects {
			u.store.left[uploadID] = u.key
		}
		u.store.mu.Unlock()
	}
	if errors.Is(err, errStoredBefore) {
		return nil
	}
	return err
}

func (u *Upload) assemble(uploadID string) error {
	var completed []types.CompletedPart
	var carry combiner
	for _, p := range u.parts {
		u.crc = carry.combine(u.crc, p.crc, p.bytes)
		completed = append(completed, types.CompletedPart{ETag: p.etag, PartNumber: &p.number, ChecksumCRC64NVME: checksum(p.crc)})
	}
	input := &s3.CompleteMultipartUploadInput{
		Bucket:            &u.store.config.Bucket,
		Key:               &u.key,
		UploadId:          &uploadID,
		MultipartUpload:   &types.CompletedMultipartUpload{Parts: completed},
		ChecksumCRC64NVME: checksum(u.crc),
		ChecksumType:      types.ChecksumTypeFullObject,
		MpuObjectSize:     &u.received,
	}
	if u.store.config.RejectDuplicates {
		input.IfNoneMatch = aws.String("*")
	}
	op := operation{name: "CompleteMultipartUpload", stores: true, stall: completeTimeout}
	err := u.store.do(u.ctx, u.store.storing, op, func(ctx context.Context, _ *watch) error {
		out, err := u.store.client.CompleteMultipartUpload(ctx, input, singleAttempt)
		if err != nil {
			return err
		}
		return u.store.judge(acknowledgement{out.ETag, out.ChecksumCRC64NVME}, u.crc)
	})
	if err != nil {
		return fmt.Errorf("complete multipart upload: %w", err)
	}
	return nil
}

// abortTimeout is short: the sender waits for it, and Tidy tries again.
const abortTimeout = 5 * time.Second

// abort ends a multipart upload, in one attempt; one that is gone already is no error.
func (s *Store) abort(ctx context.Context, key, uploadID string) error {
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	err := s.do(ctx, s.asking, operation{name: "AbortMultipartUpload", single: true}, func(ctx context.Context, _ *watch) error {
		out, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.config.Bucket, Key: &key, UploadId: &uploadID}, singleAttempt)
		if err != nil {
			return err
		}
		if answer, is := middleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response); !is || answer.StatusCode != http.StatusNoContent {
			return errForeign
		}
		return nil
	})
	if errorCode(err) == "NoSuchUpload" {
		return nil
	}
	return err
}

const conditionalRequestConflict = "ConditionalRequestConflict"

var (
	// errStoredBefore: the key holds the same bytes already.
	errStoredBefore = errors.New("the same bytes are stored")
	errNoObject     = errors.New("no object to compare with")
)

// afterFailedComplete decides what a refused CompleteMultipartUpload means, by the
// stored object. NoSuchUpload may be our own success whose answer was lost. With
// RejectDuplicates, 412 is an object under the key, and after 409 the parts are gone
// and another writer may have won. It returns errStoredBefore, ErrDuplicate, or err
// when there is no object to compare with.
func (u *Upload) afterFailedComplete(err error) error {
	conflict := errorCode(err) == conditionalRequestConflict
	if statusCode(err) != http.StatusPreconditionFailed && !conflict && errorCode(err) != "NoSuchUpload" {
		return err
	}
	compared := u.compare()
	switch {
	case compared == nil:
		return errStoredBefore
	case errors.Is(compared, errNoObject) && conflict:
		return errors.Join(ErrSlowDown, err) // worth another try, with all bytes
	case errors.Is(compared, errNoObject), errors.Is(compared, ErrDuplicate) && !u.store.config.RejectDuplicates:
		return err
	}
	return compared
}

// compare asks for the object under the key: nil when it holds the bytes received,
// by length and full-object CRC64NVME, or, where the server knows none, when it is
// the one that this request has written; ErrDuplicate when nothing of it is proved.
func (u *Upload) compare() error {
	var out *s3.HeadObjectOutput
	err := u.store.do(u.ctx, u.store.asking, operation{name: "HeadObject"}, func(ctx context.Context, _ *watch) (err error) {
		out, err = u.store.client.HeadObject(ctx, &s3.HeadObjectInput{
			Bucket: &u.store.config.Bucket, Key: &u.key, ChecksumMode: types.ChecksumModeEnabled,
		}, singleAttempt)
		if err == nil && aws.ToString(out.ETag) == "" {
			return errForeign
		}
		return err
	})
	switch {
	case statusCode(err) == http.StatusNotFound:
		return errNoObject
	case err != nil:
		return fmt.Errorf("compare with the stored object: %w", u.store.explain(err, "s3:GetObject"))
	case aws.ToInt64(out.ContentLength) != u.received:
		return ErrDuplicate
	case out.ChecksumCRC64NVME != nil && out.ChecksumType != types.ChecksumTypeComposite:
		if *out.ChecksumCRC64NVME != *checksum(u.crc) {
			return ErrDuplicate
		}
		return nil
	case u.metadata.RequestID != "" && out.Metadata["request-id"] == u.metadata.RequestID:
		return nil
	}
	u.store.log.WarnContext(u.ctx, "stored object has no full-object CRC64NVME to compare with",
		"request_id", u.metadata.RequestID, "key", u.key)
	return fmt.Errorf("%w: it has no full-object CRC64NVME to compare with", ErrDuplicate)
}
