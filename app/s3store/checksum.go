package s3store

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Checksum returns the CRC64NVME of a stored object as S3 writes it, base64 of 8 bytes big-endian; empty if there is none over all of its
// bytes. found is false if there is no object. It needs s3:GetObject, and s3:ListBucket to find out that an object does not exist.
func (s *Store) Checksum(ctx context.Context, key string) (crc64nvme string, found bool, err error) {
	out, err := s.head(ctx, key)
	switch {
	case statusCode(err) == http.StatusNotFound:
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("look at the stored object: %w", s.explain(err, "s3:GetObject"))
	case out.ChecksumType == types.ChecksumTypeComposite:
		return "", true, nil
	}
	return aws.ToString(out.ChecksumCRC64NVME), true, nil
}

// head asks for an object and its checksum.
func (s *Store) head(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	var out *s3.HeadObjectOutput
	err := s.do(ctx, s.asking, operation{name: "HeadObject"}, func(ctx context.Context, _ *watch) (err error) {
		out, err = s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.config.Bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled}, singleAttempt)
		if err == nil && aws.ToString(out.ETag) == "" {
			return errForeign
		}
		return err
	})
	return out, err
}
