package s3test_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/app/s3test"
)

// S3 API reference, ListObjectsV2: keys in order, 1,000 a page at most, each once.
func TestListObjectsPageByPage(t *testing.T) {
	srv := s3test.Start(t, bucket)
	var want []string
	for i := range 2500 {
		key := fmt.Sprintf("p/%04d", i)
		srv.Put(key, []byte("x"))
		want = append(want, key)
	}
	srv.Put("o", nil)
	srv.Put("q", nil)
	client := srv.Client(t, once)
	for _, tc := range []struct {
		limit int32
		pages int
	}{{1000, 3}, {5000, 3}, {500, 5}, {1250, 3}} {
		in := &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("p/"), MaxKeys: &tc.limit}
		var got []string
		pages := 0
		for pager := s3.NewListObjectsV2Paginator(client, in); pager.HasMorePages(); pages++ {
			for _, o := range must[*s3.ListObjectsV2Output](t)(pager.NextPage(t.Context())).Contents {
				got = append(got, *o.Key)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || pages != tc.pages {
			t.Errorf("max-keys %d: %d keys on %d pages, want %d on %d", tc.limit, len(got), pages, len(want), tc.pages)
		}
	}
	_, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), ContinuationToken: aws.String("x")})
	wantCode(t, err, "InvalidArgument")
}
