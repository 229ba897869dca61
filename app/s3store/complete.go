package s3store

import (
	"context"
	"crypto/md5" //nolint:gosec // MD5 is needed to compute ETags
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// complete makes the object from its parts, or aborts the upload if err is set or completing fails.
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

// abortTimeout is short, because the sender waits for it, and Tidy tries again.
const abortTimeout = 5 * time.Second

// abort ends a multipart upload, in one attempt; it is no error if the upload does not exist.
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
	// errStoredBefore: the object under the key already has the same bytes.
	errStoredBefore = errors.New("the same bytes are stored")
	errNoObject     = errors.New("no object to compare with")
)

// afterFailedComplete finds out what a refused CompleteMultipartUpload means, from the
// stored object. NoSuchUpload may be our own success whose answer was lost. With
// RejectDuplicates, 412 means that the key exists; after 409 the parts no longer exist,
// and another writer may have won. It returns errStoredBefore, ErrDuplicate, or err
// if there is no object to compare with.
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
		return errors.Join(ErrSlowDown, err) // worth another attempt, with all bytes
	case errors.Is(compared, errNoObject), errors.Is(compared, ErrDuplicate) && !u.store.config.RejectDuplicates:
		return err
	}
	return compared
}

// compare asks for the object under the key. It returns nil if the object has the received bytes, by length
// and full-object CRC64NVME or, if the server knows none, by the ETag, which such servers compute with
// MD5; it returns ErrDuplicate if this cannot be proved. Who has written the object says nothing about its bytes.
func (u *Upload) compare() error {
	out, err := u.store.head(u.ctx, u.key)
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
	case tag(out.ETag) == u.md5ETag():
		return nil
	}
	u.store.log.WarnContext(u.ctx, "stored object has neither a full-object CRC64NVME nor the ETag of the same bytes: it counts as another",
		"request_id", u.metadata.RequestID, "key", u.key)
	return fmt.Errorf("%w: nothing proves that it holds the same", ErrDuplicate)
}

// prove looks for a proof of a success that acknowledges no checksum, which may be the page of a proxy, with an ETag of the page: it must be that of the
// received bytes or, if the server computes another, that of an object of their length.
func (u *Upload) prove(ctx context.Context, etag *string) error {
	if tag(etag) == u.md5ETag() {
		return nil
	}
	out, err := u.store.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &u.store.config.Bucket, Key: &u.key}, singleAttempt)
	switch {
	case statusCode(err) == http.StatusNotFound:
		return errForeign
	case err != nil:
		return fmt.Errorf("look at the stored object: %w", u.store.explain(err, "s3:GetObject"))
	case aws.ToInt64(out.ContentLength) != u.received, tag(out.ETag) != tag(etag):
		return errForeign
	}
	return nil
}

// tag is what an ETag compares by: a proxy that may compress answers makes a weak one of it, W/"…" (RFC 9110 §8.8.3.2), and some servers leave out
// the quotes, or write an MD5 in capitals.
func tag(etag *string) string {
	return strings.ToLower(strings.Trim(strings.TrimPrefix(aws.ToString(etag), "W/"), `"`))
}

// md5ETag is the ETag that S3 gives to objects without encryption by KMS: the MD5 of the bytes or, of a multipart
// upload, that of the MD5s of its parts, which are their ETags, and how many they are
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
func (u *Upload) md5ETag() string {
	sum := md5.New() //nolint:gosec // against the server's own ETag: no secret
	if len(u.parts) == 0 {
		for filled := range u.current.filled() {
			_, _ = sum.Write(filled) // it never fails
		}
		return hex.EncodeToString(sum.Sum(nil))
	}
	for _, p := range u.parts {
		of, err := hex.DecodeString(tag(p.etag))
		if err != nil {
			return "" // the server's ETags are different
		}
		_, _ = sum.Write(of)
	}
	return fmt.Sprintf("%x-%d", sum.Sum(nil), len(u.parts))
}
