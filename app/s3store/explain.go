package s3store

import (
	"fmt"
	"net/http"
)

// explain puts before an error of S3 what an operator can do about it. action
// is the IAM action that the failed request needs.
func (s *Store) explain(err error, action string) error {
	bucket := s.config.Bucket
	switch status := statusCode(err); {
	case err == nil:
		return nil
	case status == http.StatusNotFound:
		return fmt.Errorf("bucket %s does not exist: create it, or correct BUCKETNAME: %w", bucket, err)
	case status == http.StatusForbidden:
		return fmt.Errorf("access to bucket %s is denied: grant %s to these credentials, and check the bucket policy: %w", bucket, action, err)
	case status == http.StatusMovedPermanently || errorCode(err) == "AuthorizationHeaderMalformed" || errorCode(err) == "BadRequest":
		return fmt.Errorf("bucket %s is not served here: check AWS_REGION and AWS_ENDPOINT_URL_S3: %w", bucket, err)
	case status == 0:
		return fmt.Errorf("S3 cannot be reached: check the network, AWS_REGION, AWS_ENDPOINT_URL_S3 and the credentials: %w", err)
	}
	return err
}
