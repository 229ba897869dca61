package s3store_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"stowrs-to-s3/app/s3test"
)

// A 200 of a server that is not S3 is not an acknowledgement, although the first answer may come before S3 has shown that it knows checksums.
func TestForeignAnswers(t *testing.T) {
	for _, operation := range slices.Concat([]string{"PutObject"}, multipart) {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, first %v", operation, first), func(t *testing.T) {
				server := s3test.Start(t, "dicom")
				config := small()
				config.RetryTime = 300 * time.Millisecond
				store := newStore(t, server, config)
				data := pseudoRandom(sizeFor(operation))
				if !first {
					if err := put(t.Context(), store, "1/2/3", reader(data), 1); err != nil {
						t.Fatal(err)
					}
				}
				server.Inject(s3test.Fault{Operation: operation, Foreign: true, Times: 1})
				if err := put(t.Context(), store, "1/2/4", reader(data), 1); err != nil {
					t.Error(err)
				}
				if got, _, _ := server.Object("1/2/4"); !bytes.Equal(got, data) {
					t.Error("other bytes are stored")
				}
				server.ClearFaults()
				server.Inject(s3test.Fault{Operation: operation, Foreign: true})
				if err := put(t.Context(), store, "1/2/5", reader(data), 1); err == nil {
					t.Error("an instance that is nowhere is reported as stored")
				}
				wantClean(t, server, store)
			})
		}
	}
}

// A list that is not from S3 is ignored, and an abort that S3 has not answered is repeated: otherwise an upload would remain open that nobody knows.
func TestForeignAnswersWhileTidying(t *testing.T) {
	for _, operation := range []string{"ListMultipartUploads", "ListParts", "AbortMultipartUpload"} {
		t.Run(operation, func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			config := small()
			config.RetryTime = 300 * time.Millisecond
			store := newStore(t, server, config)
			server.Inject(s3test.Fault{Operation: "CreateMultipartUpload", CutAfter: true, Times: 1})
			if err := put(t.Context(), store, "1/2/3", reader(pseudoRandom(3*partBytes)), 1); err != nil {
				t.Fatal(err)
			}
			server.Inject(s3test.Fault{Operation: operation, Foreign: true})
			store.AbortSuspects(t.Context(), 0)
			if open := server.OpenUploads(); len(open) != 1 {
				t.Fatalf("open are %v, want the one that was lost", open)
			}
			server.ClearFaults()
			store.AbortSuspects(t.Context(), 0)
			wantClean(t, server, store)
		})
	}
}
