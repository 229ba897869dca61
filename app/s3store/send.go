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

// part is one that was sent, or is on its way.
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
		if err != nil {
			return acknowledgement{}, err
		}
		return acknowledgement{out.ETag, out.ChecksumCRC64NVME}, nil
	})
	if u.store.config.RejectDuplicates && statusCode(err) == http.StatusPreconditionFailed {
		if err = u.compare(); errors.Is(err, errNoObject) { // deleted in between
			err = errors.Join(ErrSlowDown, err)
		}
	}
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	return nil
}

// create begins the multipart upload; it is called once, by the first part. An
// attempt that was begun goes on when the context ends: S3 may have made what only
// its answer allows to abort. When an answer was lost, Tidy looks for what S3 has made.
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

// acknowledgement is what the answer to a request that carries bytes says of them.
type acknowledgement struct{ etag, crc *string }

// errForeign: whoever answered with success did not answer as S3 does.
var errForeign = errors.New("the answer is not that of S3: a proxy is out of order, or AWS_ENDPOINT_URL_S3 is the address of something else")

// verified does a request that carries bytes whose CRC64NVME is crc, and proves
// that S3 has verified them: by the checksum it acknowledges or, where the server
// knows none, by sending them once more with their SHA-256 in the signature. A server
// that has acknowledged one checksum does so always.
func (s *Store) verified(ctx context.Context, name string, crc uint64, call func(context.Context, *watch, func(*s3.Options)) (acknowledgement, error)) error {
	for {
		signs, payload := s.signs.Load(), unsignedPayload
		if signs {
			payload = func(*s3.Options) {}
		}
		var got acknowledgement
		err := s.do(ctx, s.storing, operation{name: name, stores: true}, func(ctx context.Context, w *watch) (err error) {
			got, err = call(ctx, w, payload)
			if err != nil {
				return err
			}
			return s.judge(got, crc)
		})
		switch {
		case err != nil:
			return err
		case got.crc != nil:
			s.checks.Store(true)
			return nil
		case signs:
			return nil
		}
		if s.signs.CompareAndSwap(false, true) {
			s.log.WarnContext(ctx, "the S3 server acknowledges no CRC64NVME checksum: from now on it gets the SHA-256 of all bytes in the signature, which costs processor time")
		}
	}
}

// judge says why an acknowledgement is none of bytes whose CRC64NVME is crc.
func (s *Store) judge(got acknowledgement, crc uint64) error {
	switch {
	case aws.ToString(got.etag) == "", got.crc == nil && s.checks.Load():
		return errForeign
	case got.crc != nil && *got.crc != *checksum(crc):
		return fmt.Errorf("S3 acknowledged CRC64NVME %s, the bytes received have %s", *got.crc, *checksum(crc))
	}
	return nil
}

// checksum is a CRC64NVME as S3's headers have it.
func checksum(crc uint64) *string {
	s := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
	return &s
}

// values leaves out what is empty: not every S3 server signs an empty header alike.
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
