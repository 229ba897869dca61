package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// requestTimeout limits one request; the files have kilobytes.
const requestTimeout = 10 * time.Second

// bucket is the source of CERT_MODE=FROMS3. The role needs s3:GetObject on the
// objects, and s3:ListBucket on the bucket: without the latter, S3 answers 403
// instead of 404 for a file that is not there.
type bucket struct {
	name   string
	client *s3.Client

	mu    sync.Mutex
	known map[string]object // by file name
}

// object is the content of a file when it was last read. While the ETag is the same, S3 does not send it again.
type object struct {
	etag    string
	content []byte
}

// newBucket makes the client from the AWS environment. A custom endpoint is
// addressed path-style, because S3-compatible servers need this.
func newBucket(ctx context.Context, name string) (*bucket, error) {
	awsConfig, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(requestTimeout)))
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	client := s3.NewFromConfig(awsConfig, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return &bucket{name: name, client: client, known: map[string]object{}}, nil
}

func (b *bucket) place() string { return "the bucket " + b.name }

func (b *bucket) read(ctx context.Context, name string) ([]byte, error) {
	input := &s3.GetObjectInput{Bucket: &b.name, Key: &name}
	b.mu.Lock()
	last, seen := b.known[name]
	b.mu.Unlock()
	if seen {
		input.IfNoneMatch = &last.etag
	}
	output, err := b.client.GetObject(ctx, input)
	if err != nil {
		return last.content, b.explain(err, name)
	}
	defer output.Body.Close()
	content, err := readAll(output.Body, "s3://"+b.name+"/"+name)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, name)
	if output.ETag != nil {
		b.known[name] = object{*output.ETag, content}
	}
	return content, nil
}

// explain turns an error of S3 into nil, errAbsent or a problem with its remedy.
func (b *bucket) explain(err error, name string) error {
	status, code := 0, ""
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	bucket, file := "s3://"+b.name, "s3://"+b.name+"/"+name
	switch {
	case status == http.StatusNotModified:
		return nil
	case code == "NoSuchBucket":
		return problem{bucket, "the bucket does not exist", "create it, or correct CERT_BUCKETNAME"}
	case status == http.StatusNotFound:
		b.mu.Lock()
		delete(b.known, name)
		b.mu.Unlock()
		return errAbsent
	case status == http.StatusForbidden:
		return problem{file, "access is denied (" + code + ")", "grant s3:GetObject on the objects and s3:ListBucket on the bucket to this role, and kms:Decrypt if it has a KMS key; check the policies of bucket and VPC endpoint"}
	case status == http.StatusMovedPermanently || status == http.StatusBadRequest:
		return problem{bucket, fmt.Sprintf("the bucket is not served here (%s)", code), "check AWS_REGION and AWS_ENDPOINT_URL_S3"}
	case status == 0:
		return problem{bucket, "S3 cannot be reached: " + rootCause(err), "check the network, the VPC endpoint, AWS_REGION, AWS_ENDPOINT_URL_S3 and the credentials"}
	}
	return problem{file, fmt.Sprintf("S3 answers %d %s", status, code), "see the status page of S3; the file is asked for again every CERT_REFRESH"}
}

// rootCause is the innermost error. The errors around it contain request ids and ports,
// which would make the same outage a new problem each time.
func rootCause(err error) string {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}
