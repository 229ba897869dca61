package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Without its bucket the service lives, is not ready, and says what to do.
func TestServiceWithoutItsBucketSaysWhatToDo(t *testing.T) {
	tests := []struct {
		name, variable string
		advice         []string
		mend           func(t *testing.T, b *bucket) // nil: it needs a restart
	}{
		{
			"the bucket is missing", "BUCKETNAME=missing", []string{"bucket missing does not exist", "BUCKETNAME"},
			func(t *testing.T, b *bucket) {
				name := "missing"
				if _, err := b.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
					t.Fatal(err)
				}
			},
		},
		{"access is denied", "AWS_SECRET_ACCESS_KEY=wrong", []string{"access to bucket dicom is denied", "s3:ListBucket", "credentials"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := startGateway(t)
			s := serve(t, binaries.stowrsRace, b, test.variable)
			var reason string
			eventually(t, 20*time.Second, "the log says what S3 answers", func() bool {
				records := s.records("S3 does not answer")
				if len(records) > 0 {
					reason, _ = records[0]["error"].(string)
				}
				return len(records) > 0
			})
			status, body := s.get("/readyz")
			if status != http.StatusServiceUnavailable {
				t.Errorf("/readyz answers %d, want 503", status)
			}
			for _, advice := range test.advice {
				if !strings.Contains(reason, advice) {
					t.Errorf("the log does not say %q: %s", advice, reason)
				}
				if !strings.Contains(body, advice) {
					t.Errorf("/readyz does not say %q: %s", advice, body)
				}
			}
			if status, _ := s.get("/livez"); status != http.StatusOK {
				t.Errorf("/livez answers %d, want 200", status)
			}
			if code, _, _ := run(t, []string{"ADMINADDRESS=" + s.admin}, binaries.stowrsRace, "health"); code != 1 {
				t.Errorf("stowrs health: exit %d, want 1", code)
			}
			if test.mend != nil {
				test.mend(t, b)
				eventually(t, 10*time.Second, "the service becomes ready by itself", func() bool {
					status, _ := s.get("/readyz")
					return status == http.StatusOK
				})
			}
		})
	}
}
