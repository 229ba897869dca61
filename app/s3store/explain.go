package s3store

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Explained is an error of S3 with what an operator can do about it.
type Explained struct {
	Fault  string // what is wrong, in our words
	Remedy string // what an operator can do about it, in our words
	Cause  error  // text of S3 or the network: words of another party
}

func (e *Explained) Error() string { return fmt.Sprintf("%s: %s: %v", e.Fault, e.Remedy, e.Cause) }

// Unwrap returns the error of S3.
func (e *Explained) Unwrap() error { return e.Cause }

// explain makes an *Explained from an error of S3, if an operator can do something about
// it; any other error is returned unchanged. action is the IAM action that the failed request needs.
func (s *Store) explain(err error, action string) error {
	bucket := s.config.Bucket
	switch status := statusCode(err); {
	case err == nil:
		return nil
	case status == http.StatusNotFound:
		return &Explained{"bucket " + bucket + " does not exist", "create it, or correct BUCKETNAME", err}
	case status == http.StatusForbidden && clockOff(err).Abs() > mostClockOff:
		return &Explained{fmt.Sprintf("the clock of this machine is %s off, by that of S3", clockOff(err).Round(time.Minute)), "set it: S3 refuses signatures that are older or newer than 15 minutes", err}
	case status == http.StatusForbidden:
		return &Explained{"access to bucket " + bucket + " is denied", "grant " + action + " to these credentials, and check the bucket policy", err}
	case status == http.StatusProxyAuthRequired:
		return &Explained{"a proxy on the way to S3 asks for a password", "put user and password into the URL in HTTP_PROXY or HTTPS_PROXY, or the host of S3 into NO_PROXY", err}
	case status == http.StatusMovedPermanently || errorCode(err) == "AuthorizationHeaderMalformed" || errorCode(err) == "BadRequest":
		return &Explained{"bucket " + bucket + " is not served here", "check AWS_REGION and AWS_ENDPOINT_URL_S3", err}
	case status == 0:
		return &Explained{"S3 cannot be reached", "check the network and the proxy if there is one (HTTPS_PROXY, NO_PROXY), AWS_REGION, AWS_ENDPOINT_URL_S3 and the credentials", err}
	}
	return err
}

// mostClockOff is how far a signature may be from the time of S3 (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, RequestTimeTooSkewed).
const mostClockOff = 15 * time.Minute

// clockOff is by how much the clock of this machine is fast, by the Date of S3's answer (RFC 9110 §6.6.1): the answer to a HeadBucket says nothing else about it. 0: it has no Date.
func clockOff(err error) time.Duration {
	var response *awshttp.ResponseError
	if !errors.As(err, &response) || response.HTTPResponse() == nil {
		return 0
	}
	date, err := http.ParseTime(response.HTTPResponse().Header.Get("Date"))
	if err != nil {
		return 0
	}
	return time.Since(date)
}
