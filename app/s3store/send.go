package s3store

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// part is a part that was sent, or is being sent.
type part struct {
	number int32 // from 1
	bytes  int64
	crc    uint64
	etag   *string
}

// put stores an instance that is smaller than a part.
func (u *Upload) put() error {
	b := u.current
	u.store.leaving.Add(b.n)
	defer u.store.leaving.Add(-b.n)
	u.received, u.crc = b.n, b.crc
	input := &s3.PutObjectInput{
		Bucket:            &u.store.config.Bucket,
		Key:               &u.key,
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
	err := u.store.verified(u.ctx, "PutObject", u.crc, func(ctx context.Context, w *watch, payload func(*s3.Options)) (acknowledgement, error) {
		input.Body = b.reader(w)
		out, err := u.store.client.PutObject(ctx, input, singleAttempt, payload)
		if err == nil && out.ChecksumCRC64NVME == nil && !u.store.checks.Load() {
			err = u.prove(ctx, out.ETag)
		}
		if err != nil {
			return acknowledgement{}, err
		}
		return acknowledgement{out.ETag, out.ChecksumCRC64NVME}, nil
	})
	if u.store.config.RejectDuplicates && statusCode(err) == http.StatusPreconditionFailed {
		if err = u.compare(); errors.Is(err, errNoObject) { // it was deleted in the meantime
			err = errors.Join(ErrSlowDown, err)
		}
	}
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	return nil
}

// create begins the multipart upload; the first part calls it once. An attempt that
// has begun continues after the context ends: S3 may have created an upload that can only be
// aborted with the answer. If an answer was lost, Tidy looks for the upload that S3 has created.
func (u *Upload) create() (string, error) {
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
	op := operation{name: "CreateMultipartUpload", stores: true, detached: true}
	var id string
	lost := false
	err := u.store.do(u.ctx, u.store.storing, op, func(ctx context.Context, _ *watch) error {
		out, err := u.store.client.CreateMultipartUpload(ctx, input, singleAttempt)
		if err != nil {
			lost = lost || statusCode(err) == 0
			return err
		}
		if id = aws.ToString(out.UploadId); id == "" {
			lost = true
			return errForeign
		}
		return nil
	})
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	if lost && len(u.store.suspects) < maxSuspects {
		u.store.suspects[u.key] = time.Now()
	}
	if err != nil {
		return "", fmt.Errorf("create multipart upload: %w", err)
	}
	u.store.active[id] = true
	return id, nil
}

// send hands a buffer to a goroutine that uploads it and releases it.
func (u *Upload) send(b *buffer, p *part) {
	u.store.leaving.Add(p.bytes)
	u.group.Go(func() error {
		defer u.store.leaving.Add(-p.bytes)
		defer b.release(u.store.ledger)
		return guard(func() error { return u.sendPart(b, p) })
	})
}

func (u *Upload) sendPart(b *buffer, p *part) error {
	uploadID, err := u.created()
	if err != nil {
		return err
	}
	p.crc = b.crc
	err = u.store.verified(u.groupCtx, "UploadPart", p.crc, func(ctx context.Context, w *watch, payload func(*s3.Options)) (acknowledgement, error) {
		out, err := u.store.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket:            &u.store.config.Bucket,
			Key:               &u.key,
			UploadId:          &uploadID,
			PartNumber:        &p.number,
			Body:              b.reader(w),
			ContentLength:     &p.bytes,
			ChecksumCRC64NVME: checksum(p.crc),
		}, singleAttempt, payload)
		if err != nil {
			return acknowledgement{}, err
		}
		p.etag = out.ETag
		return acknowledgement{out.ETag, out.ChecksumCRC64NVME}, nil
	})
	if err != nil {
		return fmt.Errorf("upload part %d: %w", p.number, err)
	}
	return nil
}

// acknowledgement is the content of the answer to a request that carries bytes.
type acknowledgement struct{ etag, crc *string }

// errForeign: the answer was a success, but not one of S3.
var errForeign = errors.New("the answer is not that of S3: a proxy is out of order, or AWS_ENDPOINT_URL_S3 is the address of something else")

// verified makes a request that carries bytes with the CRC64NVME crc, and proves that S3
// has verified them: by the checksum that it acknowledges. A server that has acknowledged
// one always does so. Until then, and always for a server that knows no CRC64NVME, the SHA-256 of the bytes
// is in the signature: so no server stores bytes that it has verified by neither of them.
func (s *Store) verified(ctx context.Context, name string, crc uint64, call func(context.Context, *watch, func(*s3.Options)) (acknowledgement, error)) error {
	return s.do(ctx, s.storing, operation{name: name, stores: true}, func(ctx context.Context, w *watch) error {
		payload := func(*s3.Options) {}
		if s.checks.Load() {
			payload = unsignedPayload
		}
		got, err := call(ctx, w, payload)
		if err != nil {
			return err
		}
		if err := s.judge(got, crc); err != nil {
			return err
		}
		if got.crc != nil {
			s.checks.Store(true)
		} else if s.warned.CompareAndSwap(false, true) {
			s.log.WarnContext(ctx, "the S3 server acknowledges no CRC64NVME checksum: it gets the SHA-256 of all bytes in the signature, which costs processor time")
		}
		return nil
	})
}

// judge says why an acknowledgement does not prove that bytes with the CRC64NVME crc are stored.
func (s *Store) judge(got acknowledgement, crc uint64) error {
	switch {
	case aws.ToString(got.etag) == "", got.crc == nil && s.checks.Load():
		return errForeign
	case got.crc != nil && *got.crc != *checksum(crc):
		return fmt.Errorf("S3 acknowledged CRC64NVME %s, the bytes received have %s", *got.crc, *checksum(crc))
	}
	return nil
}

// checksum is a CRC64NVME in the form of S3's headers.
func checksum(crc uint64) *string {
	s := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
	return &s
}

// values leaves out empty values: not every S3 server signs an empty header in the same way.
func (m Metadata) values() map[string]string {
	values := map[string]string{"request-id": m.RequestID, "sop-class": m.SOPClassUID, "transfer-syntax": m.TransferSyntaxUID}
	maps.DeleteFunc(values, func(_, value string) bool { return value == "" })
	return values
}

// unsignedPayload leaves the body out of the signature, as the SDK does over TLS
// anyway: the signed CRC64NVME header covers it, and hashing every byte once more
// with SHA-256 would cost more than all the rest of the service.
func unsignedPayload(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}
