package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const conditionalRequestConflict = "ConditionalRequestConflict"

// errStoredBefore: the key holds the same bytes already.
var errStoredBefore = errors.New("the same bytes are stored")

// afterFailedComplete decides, with RejectDuplicates, what a refused
// CompleteMultipartUpload means: 412 is an object under the key; after 409 the
// parts are gone and another writer may have won; 404 may be our own success
// whose answer was lost. The stored object tells. It returns errStoredBefore,
// ErrDuplicate, or err when there is no object to compare with.
func (u *Upload) afterFailedComplete(err error) error {
	if !u.store.config.RejectDuplicates {
		return err
	}
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
	case errors.Is(compared, errNoObject):
		return err
	}
	return compared
}

var errNoObject = errors.New("no object to compare with")

// compare asks for the object under the key: nil when it holds the bytes
// received, by length and full-object CRC64NVME; ErrDuplicate when it does not,
// or when it has no such checksum and nothing can be proved.
func (u *Upload) compare() error {
	out, err := request(u.ctx, u.store, "HeadObject", func(ctx context.Context) (*s3.HeadObjectOutput, error) {
		return u.store.client.HeadObject(ctx, &s3.HeadObjectInput{
			Bucket: &u.store.config.Bucket, Key: &u.key, ChecksumMode: types.ChecksumModeEnabled,
		})
	})
	switch {
	case statusCode(err) == http.StatusNotFound:
		return errNoObject
	case err != nil:
		return fmt.Errorf("compare with the stored object: %w", err)
	case out.ChecksumCRC64NVME == nil || out.ChecksumType == types.ChecksumTypeComposite:
		u.store.log.WarnContext(u.ctx, "stored object has no full-object CRC64NVME to compare with",
			"request_id", u.metadata.RequestID, "key", u.key)
		return fmt.Errorf("%w: it has no full-object CRC64NVME to compare with", ErrDuplicate)
	case aws.ToInt64(out.ContentLength) != u.received || *out.ChecksumCRC64NVME != *checksum(u.crc):
		return ErrDuplicate
	}
	return nil
}
