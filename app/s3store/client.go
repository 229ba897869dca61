package s3store

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// NewClient makes an S3 client from the AWS environment (AWS_REGION, the
// credentials chain, AWS_ENDPOINT_URL_S3 …), for as many parallel requests as
// threads. A custom endpoint is addressed path-style, as S3-compatible servers want.
// How often and how long a request is tried is the Store's matter.
func NewClient(ctx context.Context, threads int) (*s3.Client, error) {
	httpClient := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 10 * time.Second }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = threads + askingSlots
			t.MaxIdleConnsPerHost = threads + askingSlots // else most of them would be dialled anew for each request
			t.WriteBufferSize = 64 << 10
			t.MaxResponseHeaderBytes = maxAnswerHeaderBytes
		})
	awsConfig, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(httpClient))
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	return s3.NewFromConfig(awsConfig, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
		o.DisableLogOutputChecksumValidationSkipped = true
		o.HTTPClient = bounded{o.HTTPClient}
	}), nil
}

// What S3 answers is read into memory: errors have a few hundred bytes, and a list of a thousand uploads or parts may have some MiB.
const (
	maxAnswerHeaderBytes = 64 << 10
	maxErrorBytes        = 64 << 10
	maxAnswerBytes       = 8 << 20
)

// bounded is an HTTP client that reads no answer beyond what S3 sends, whoever it is that answers. One that is longer ends there.
type bounded struct{ s3.HTTPClient }

// Do implements s3.HTTPClient.
func (b bounded) Do(r *http.Request) (*http.Response, error) {
	answer, err := b.HTTPClient.Do(r)
	if err != nil {
		return answer, err //nolint:wrapcheck // the SDK's own
	}
	most := int64(maxAnswerBytes)
	if answer.StatusCode >= http.StatusMultipleChoices {
		most = maxErrorBytes
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, most), answer.Body}
	return answer, nil
}
