package s3store_test

import (
	"testing"

	"github.com/aws/smithy-go/logging"

	"stowrs-to-s3/app/s3store"
)

// The SDK's own log is no JSON, and writes to stderr directly: a reader of the log that hangs would hold up requests.
func TestSDKDoesNotLog(t *testing.T) {
	client, err := s3store.NewClient(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, is := client.Options().Logger.(logging.Nop); !is {
		t.Errorf("the SDK logs to %T", client.Options().Logger)
	}
}
