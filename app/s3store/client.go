package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
)

// NewClient makes an S3 client from the AWS environment (AWS_REGION, the
// credentials chain, AWS_ENDPOINT_URL_S3 …), for as many parallel requests as
// threads. A custom endpoint is addressed path-style, as S3-compatible servers require.
// The Store decides how often and how long a request is tried.
func NewClient(ctx context.Context, threads int) (*s3.Client, error) {
	credentialsClient := awshttp.NewBuildableClient().
		WithTimeout(credentialsTimeout).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 10 * time.Second }).
		WithTransportOptions(func(t *http.Transport) { t.MaxResponseHeaderBytes = maxAnswerHeaderBytes })
	awsConfig, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(credentialsClient), config.WithLogger(logging.Nop{}), // else it writes to stderr, beside the log
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = credentialsClient })) // otherwise the SDK makes another client for this
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	return s3.NewFromConfig(awsConfig, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
		o.DisableLogOutputChecksumValidationSkipped = true
		if client, is := o.HTTPClient.(*awshttp.BuildableClient); is { // with the certificates of AWS_CA_BUNDLE
			t := client.GetTransport()
			t.MaxIdleConns = threads + askingSlots + listingSlots
			t.MaxIdleConnsPerHost = threads + askingSlots + listingSlots // otherwise most of them would be dialled again for each request
			t.WriteBufferSize = 16 << 10                                 // a small instance in one write; larger ones bypass it
			t.Protocols = &http.Protocols{}
			t.Protocols.SetHTTP1(true) // over HTTP/2 all requests would share one connection, also when it is dead
			t.TLSClientConfig.NextProtos = []string{"http/1.1"}
			o.HTTPClient = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		}
		o.HTTPClient = bounded{o.HTTPClient}
		if cache, is := awsConfig.Credentials.(*aws.CredentialsCache); is {
			o.APIOptions = append(o.APIOptions, renewing(cache))
		}
	}), nil
}

// renewEvery: a source that gives the same credentials again is not asked by every request.
const renewEvery = 5 * time.Second

// renewing has new credentials fetched when S3 says ExpiredToken. The cache itself only looks at their Expiration, by the clock of this machine,
// which may be slow, and knows of no session that was revoked.
func renewing(cache *aws.CredentialsCache) func(*middleware.Stack) error {
	var last atomic.Int64 // Unix nanoseconds
	renew := func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleFinalize(ctx, in)
		if before, now := last.Load(), time.Now().UnixNano(); errorCode(err) == "ExpiredToken" && now-before > int64(renewEvery) && last.CompareAndSwap(before, now) {
			cache.Invalidate()
		}
		return out, metadata, err //nolint:wrapcheck // the SDK's own
	}
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("renewCredentials", renew), middleware.Before) //nolint:wrapcheck // the SDK's own
	}
}

// credentialsTimeout limits one request for credentials, to the container's endpoint, IMDS or STS, which normally answer within a second. All
// requests to S3 share it, and the SDK does not cancel it with them: without a limit, one that is never answered would block them for ever.
const credentialsTimeout = 5 * time.Second

// Answers of S3 are read into memory, and a reader of XML needs some thirty times their length for nested elements: they have a few hundred bytes, only a
// list (GET) of a thousand uploads, parts or objects may have some MiB.
const (
	maxAnswerHeaderBytes = 64 << 10
	maxAnswerBytes       = 64 << 10
	maxListBytes         = 8 << 20
)

// bounded is an HTTP client that reads no more of an answer than S3 would send, whichever server sends it. A longer answer ends there.
type bounded struct{ s3.HTTPClient }

// Do implements s3.HTTPClient.
func (b bounded) Do(r *http.Request) (*http.Response, error) {
	answer, err := b.HTTPClient.Do(r)
	if err != nil {
		if client, is := b.HTTPClient.(*http.Client); is && errors.Is(context.Cause(r.Context()), errStall) {
			client.CloseIdleConnections() // they may be as dead as the one of this attempt, and the next attempt would use one of them
		}
		return answer, err //nolint:wrapcheck // the SDK's own
	}
	most := int64(maxAnswerBytes)
	if r.Method == http.MethodGet && answer.StatusCode < http.StatusMultipleChoices {
		most = maxListBytes
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, most), answer.Body}
	return answer, nil
}
