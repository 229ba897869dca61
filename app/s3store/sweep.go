package s3store

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Sweep aborts the service's own multipart uploads that were begun more than
// age ago: what a kill -9 or a power cut left behind. An upload is the service's
// own when its key has the shape of Key under the configured prefix. It returns
// how many it aborted; an error ends it early.
func (s *Store) Sweep(ctx context.Context, age time.Duration) (int, error) {
	const uid = `[0-9]+(\.[0-9]+)*`
	prefix := strings.TrimSuffix(Key(s.config.Prefix, "", "", "", ""), "//")
	own := regexp.MustCompile("^" + regexp.QuoteMeta(prefix) + uid + "/" + uid + "/" + uid + regexp.QuoteMeta(s.config.Suffix) + "$")
	before := time.Now().Add(-age)
	aborted := 0
	pages := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{Bucket: &s.config.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := request(ctx, s, "ListMultipartUploads", func(ctx context.Context) (*s3.ListMultipartUploadsOutput, error) {
			return pages.NextPage(ctx)
		})
		if err != nil {
			return aborted, fmt.Errorf("list multipart uploads: %w", s.explain(err, "s3:ListBucketMultipartUploads"))
		}
		for _, upload := range page.Uploads {
			key := aws.ToString(upload.Key)
			if !own.MatchString(key) || !aws.ToTime(upload.Initiated).Before(before) {
				continue
			}
			if err := s.abort(ctx, key, aws.ToString(upload.UploadId)); err != nil {
				return aborted, fmt.Errorf("abort multipart upload: %w", s.explain(err, "s3:AbortMultipartUpload"))
			}
			aborted++
		}
	}
	return aborted, nil
}
