package s3store_test

import (
	"context"
	"testing"
	"time"

	"stowrs-to-s3/app/s3test"
)

// At the end of the service, an abort that S3 has refused is repeated until the time is over.
func TestSettle(t *testing.T) {
	for name, test := range map[string]struct {
		times int // how often aborting fails; 0: always
		clean bool
	}{"S3 comes back": {4, true}, "S3 stays away": {0, false}} {
		t.Run(name, func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			store := newStore(t, server, small())
			server.Inject(s3test.Fault{Operation: "UploadPart", Status: 403, Code: "AccessDenied"})
			server.Inject(s3test.Fault{Operation: "AbortMultipartUpload", Status: 500, Code: "InternalError", Times: test.times})
			if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(3*partBytes)), 1); err == nil {
				t.Fatal("an instance without its parts is reported as stored")
			}
			if open := server.OpenUploads(); len(open) != 1 {
				t.Fatalf("open are %v, want one", open)
			}
			const left = 3 * time.Second
			ctx, cancel := context.WithTimeout(t.Context(), left)
			defer cancel()
			begun := time.Now()
			store.Settle(ctx)
			if took := time.Since(begun); took > left+time.Second {
				t.Errorf("it has taken %v of %v", took, left)
			}
			if clean := len(server.OpenUploads()) == 0; clean != test.clean {
				t.Errorf("clean: %v, want %v", clean, test.clean)
			}
		})
	}
}
