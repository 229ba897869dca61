package s3store

import (
	"context"
	"fmt"
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
		})
	awsConfig, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(httpClient))
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	return s3.NewFromConfig(awsConfig, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
		o.DisableLogOutputChecksumValidationSkipped = true
	}), nil
}
