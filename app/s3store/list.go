package s3store

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// listingSlots is the number of parallel requests that list instances. They are separate from those of stores, so that
// neither waits for the other.
const listingSlots = 8

// List calls found for each instance in the bucket whose key begins with studyInstanceUID, seriesInstanceUID and
// sopInstanceUIDPrefix, the first characters of its UID. The UIDs must have been checked; the last two may be empty, for all instances of a study or
// a series. It lists the keys, 1,000 per request (ListObjectsV2), and retries each request as long as for a store. It skips objects that are no
// instances: keys that do not have the form of Key, keys that were not asked for, and empty objects. Amazon S3 lists every object that it has acknowledged before
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel). The
// error, except that of ctx, says what to correct; the instances found before it are not complete.
func (s *Store) List(ctx context.Context, studyInstanceUID, seriesInstanceUID, sopInstanceUIDPrefix string, found func(seriesInstanceUID, sopInstanceUID string)) error {
	study := strings.TrimSuffix(Key(s.config.Prefix, studyInstanceUID, "", "", ""), "/")
	prefix := study
	if seriesInstanceUID != "" {
		prefix += seriesInstanceUID + "/" + sopInstanceUIDPrefix
	}
	input := &s3.ListObjectsV2Input{Bucket: &s.config.Bucket, Prefix: &prefix}
	for more := true; more; {
		var page *s3.ListObjectsV2Output
		err := s.do(ctx, s.listing, operation{name: "ListObjectsV2"}, func(ctx context.Context, _ *watch) (err error) {
			page, err = s.client.ListObjectsV2(ctx, input, singleAttempt)
			if err == nil && (page.IsTruncated == nil || *page.IsTruncated && !advances(input.ContinuationToken, page.NextContinuationToken)) {
				return errForeign // a list that is not from S3 proves nothing about objects that it does not contain
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("list instances: %w", s.explain(err, "s3:ListBucket"))
		}
		more, input.ContinuationToken = *page.IsTruncated, page.NextContinuationToken
		for _, object := range page.Contents {
			key := aws.ToString(object.Key)
			name, whole := strings.CutSuffix(strings.TrimPrefix(key, study), s.config.Suffix)
			series, instance, shaped := strings.Cut(name, "/")
			if strings.HasPrefix(key, prefix) && whole && shaped && aws.ToInt64(object.Size) > 0 {
				found(series, instance)
			}
		}
	}
	return nil
}

// advances says that the next page of a list begins elsewhere than this one, whose marker is the first; otherwise the list would never end.
func advances(marker, next *string) bool {
	return aws.ToString(next) != "" && aws.ToString(next) != aws.ToString(marker)
}
