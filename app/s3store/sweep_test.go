package s3store_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
)

// Promise 5: the sweep aborts only old uploads of the service itself.
func TestSweep(t *testing.T) {
	server := s3test.Start(t, "dicom")
	client := server.Client(t)
	config := small()
	config.Prefix, config.Suffix = "in", ".dcm"
	store := newStore(t, server, config)
	begin := func(key string) {
		if _, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
			Bucket: &config.Bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
		}); err != nil {
			t.Fatal(err)
		}
	}
	others := []string{"in/1.2/3/backup.dcm", "in/1.2/3/4", "1.2/3/4.dcm", "in/1.2/3/4/5.dcm"}
	for _, key := range append([]string{"in/1.2/3.4/5.6.dcm", "in/1/2/3.dcm"}, others...) {
		begin(key)
	}
	server.AgeUploads(8 * 24 * time.Hour)
	begin("in/1/2/4.dcm") // young
	aborted, err := store.Sweep(t.Context(), 7*24*time.Hour)
	if err != nil || aborted != 2 {
		t.Errorf("got %d aborted, error %v; want 2", aborted, err)
	}
	open := strings.Join(server.OpenUploads(), " ")
	for _, key := range append(others, "in/1/2/4.dcm") {
		if !strings.Contains(open, key) {
			t.Errorf("upload of %s was aborted", key)
		}
	}
	if strings.Contains(open, "5.6.dcm") || strings.Contains(open, "in/1/2/3.dcm") {
		t.Errorf("old uploads are left: %s", open)
	}
}

// The clock of a machine may be hours wrong. S3's own says how old an upload is: that of another process is not aborted, and an old one is not left.
func TestSweepByTheClockOfS3(t *testing.T) {
	for _, ahead := range []time.Duration{-5 * time.Hour, 0, 5 * time.Hour} {
		server := s3test.Start(t, "dicom")
		server.SetClock(ahead)
		store := newStore(t, server, small())
		begin := func(key string) {
			made, err := server.Client(t).CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("dicom"), Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := server.Client(t).UploadPart(t.Context(), &s3.UploadPartInput{
				Bucket: aws.String("dicom"), Key: &key, UploadId: made.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("part"),
			}); err != nil {
				t.Fatal(err)
			}
		}
		begin("1/1/1")
		server.AgeUploads(2 * time.Hour)
		begin("1/1/2")
		if aborted, err := store.Sweep(t.Context(), time.Hour); aborted != 1 || err != nil || !slices.Equal(server.OpenUploads(), []string{"1/1/2"}) {
			t.Errorf("S3's clock is %s ahead: got %d aborted, error %v, open %v; want 1, and that the young one is left", ahead, aborted, err, server.OpenUploads())
		}
	}
}

// Promise 5 for every upload: if S3 refuses to list or to abort one, for example because of a policy for some keys, the others are still aborted.
func TestSweepContinuesAfterARefusal(t *testing.T) {
	for _, operation := range []string{"ListParts", "AbortMultipartUpload"} {
		server := s3test.Start(t, "dicom")
		store := newStore(t, server, small())
		for _, key := range []string{"1/1/1", "1/1/2", "1/1/3"} {
			if _, err := server.Client(t).CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("dicom"), Key: &key}); err != nil {
				t.Fatal(err)
			}
		}
		server.AgeUploads(8 * 24 * time.Hour)
		server.Inject(s3test.Fault{Operation: operation, Key: func(key string) bool { return key == "1/1/1" }, Status: http.StatusForbidden, Code: "AccessDenied"})
		aborted, err := store.Sweep(t.Context(), time.Hour)
		if aborted != 2 || err == nil || !strings.Contains(err.Error(), "grant") {
			t.Errorf("%s: got %d aborted, error %v; want 2, and what to grant", operation, aborted, err)
		}
	}
}

// A list whose pages repeat is ended: it is not from S3, and parts that it does not contain may be new.
func TestListsThatRepeat(t *testing.T) {
	repeated := map[string]string{
		"uploads": `<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>1/1/1</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>` +
			`<Upload><Key>1/1/1</Key><UploadId>u</UploadId><Initiated>2020-01-01T00:00:00Z</Initiated></Upload></ListMultipartUploadsResult>`,
		"uploadId": `<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker></ListPartsResult>`,
		"prefix":   `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, of := range []string{"uploads", "uploadId", "prefix"} {
			if r.Method == http.MethodGet && r.URL.Query().Has(of) {
				_, _ = io.WriteString(w, repeated[of])
				return
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	client := s3.New(s3.Options{BaseEndpoint: &server.URL, UsePathStyle: true, Region: "us-east-1", Credentials: aws.AnonymousCredentials{}})
	config := small()
	config.RetryTime = 200 * time.Millisecond
	store := s3store.New(config, client, nil, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if aborted, err := store.Sweep(ctx, time.Hour); aborted != 0 || err == nil || ctx.Err() != nil {
		t.Errorf("parts repeat: got %d aborted, error %v, %v", aborted, err, ctx.Err())
	}
	repeated["uploadId"] = `<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>`
	if _, err := store.Sweep(ctx, time.Hour); err != nil || ctx.Err() != nil {
		t.Errorf("uploads repeat: got error %v, %v", err, ctx.Err())
	}
	if err := store.List(ctx, "1", "1", "", func(string, string) {}); err == nil || ctx.Err() != nil {
		t.Errorf("objects repeat: got error %v, %v", err, ctx.Err())
	}
}
