package s3test

import (
	"crypto/x509"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Start serves S3 over plain HTTP on 127.0.0.1 until the test ends, with an empty bucket of the given name.
func Start(t testing.TB, bucket string) *Server {
	t.Helper()
	return start(t, bucket, "")
}

// StartTLS is Start over HTTPS.
func StartTLS(t testing.TB, bucket string) *Server {
	t.Helper()
	return start(t, bucket, filepath.Join(t.TempDir(), "s3-ca.pem"))
}

func start(t testing.TB, bucket, caFile string) *Server {
	t.Helper()
	s := New(bucket)
	if err := s.Listen("127.0.0.1:0", caFile); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Client returns an SDK client for the server: path-style addressing, static credentials, region us-east-1, and trust in the
// server's certificate. Everything else is the SDK's default; optFns may change it.
func (s *Server) Client(t testing.TB, optFns ...func(*s3.Options)) *s3.Client {
	t.Helper()
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		if certificate := s.http.Certificate(); certificate != nil {
			tr.TLSClientConfig.RootCAs = x509.NewCertPool()
			tr.TLSClientConfig.RootCAs.AddCert(certificate)
		}
	})
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.URL()),
		UsePathStyle: true,
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(accessKeyID, secretAccessKey, ""),
		HTTPClient:   transport,
		// The values of config.LoadDefaultConfig; with the zero values, the SDK would neither send nor check checksums.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}, optFns...)
}
