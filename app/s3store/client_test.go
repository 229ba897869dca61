package s3store_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
)

// AWS_USE_FIPS_ENDPOINT, which the AWS deployment can set, selects the FIPS 140 endpoints.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html
func TestFIPSEndpoint(t *testing.T) {
	for variable, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-gov-west-1", "AWS_USE_FIPS_ENDPOINT": "true", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
	} {
		t.Setenv(variable, value)
	}
	client, err := s3store.NewClient(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	request, err := s3.NewPresignClient(client).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("dicom"), Key: aws.String("1.2/3/4")})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(request.URL, "https://dicom.s3-fips.us-gov-west-1.amazonaws.com/") {
		t.Errorf("got %s", request.URL)
	}
}

// credentialsFrom makes an S3 client whose credentials come from an HTTP endpoint, like those of a container.
func credentialsFrom(t *testing.T, server *s3test.Server, give http.HandlerFunc) *s3.Client {
	t.Helper()
	endpoint := httptest.NewServer(give)
	t.Cleanup(endpoint.Close)
	for variable, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": server.URL(), "AWS_REGION": "us-east-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.URL,
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(variable, value)
	}
	client, err := s3store.NewClient(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

const givenCredentials = `{"AccessKeyId": "test", "SecretAccessKey": "test", "Token": "test", "Expiration": "2100-01-01T00:00:00Z"}`

// All requests share one request for credentials, which the SDK does not cancel with any of them. If it is never answered, a later request must make a new one.
func TestCredentialsThatAreNeverAnswered(t *testing.T) {
	asked, ended := atomic.Int64{}, make(chan struct{})
	client := credentialsFrom(t, s3test.Start(t, "dicom"), func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			<-ended
			return
		}
		_, _ = io.WriteString(w, givenCredentials)
	})
	t.Cleanup(func() { close(ended) }) // before the endpoint is closed
	store := s3store.New(s3store.Config{Bucket: "dicom", Threads: 1, RetryTime: 20 * time.Second}, client, nil, nil)
	if err := store.Probe(t.Context()); err != nil {
		t.Errorf("after %d requests for credentials: %v", asked.Load(), err)
	}
}

// If S3 says that credentials have expired, they are fetched again, whatever their Expiration says; but not by every request.
func TestCredentialsThatExpireEarly(t *testing.T) {
	server, asked := s3test.Start(t, "dicom"), atomic.Int64{}
	client := credentialsFrom(t, server, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, givenCredentials)
	})
	server.Inject(s3test.Fault{Operation: "ListParts", Status: http.StatusBadRequest, Code: "ExpiredToken", Skip: 1})
	for range 4 {
		_, _ = client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: aws.String("dicom"), Key: aws.String("1"), UploadId: aws.String("1")})
	}
	if asked.Load() != 2 {
		t.Errorf("credentials were fetched %d times, want twice", asked.Load())
	}
}
