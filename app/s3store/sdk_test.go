package s3store_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/app/s3store"
)

// silentHTTP answers each request at once, without a network.
type silentHTTP struct{}

// Do implements s3.HTTPClient.
func (silentHTTP) Do(r *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, err
}

// What the SDK itself costs for one instance: middleware, endpoint rules, signature.
func BenchmarkSDKPutObject(b *testing.B) {
	for name, value := range map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"} {
		b.Setenv(name, value)
	}
	client, err := s3store.NewClient(b.Context(), 16)
	if err != nil {
		b.Fatal(err)
	}
	silent := func(o *s3.Options) { o.Retryer, o.HTTPClient = aws.NopRetryer{}, silentHTTP{} }
	b.ReportAllocs()
	for b.Loop() {
		_, err := client.PutObject(b.Context(), &s3.PutObjectInput{
			Bucket: aws.String("dicom"), Key: aws.String("1.2/3.4/5.6"), Body: strings.NewReader("DICM"),
			ContentType: aws.String("application/dicom"), ChecksumCRC64NVME: aws.String("AAAAAAAAAAA="),
			Metadata: map[string]string{"request-id": "x", "sop-class": "1.2", "transfer-syntax": "1.3"},
		}, silent)
		if err != nil {
			b.Fatal(err)
		}
	}
}
