package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/uid"
)

// sampleFolder holds three instances and a README.md.
const sampleFolder = "../../dcm-samples"

// samples returns the sample files by their keys in the bucket.
func samples(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(sampleFolder, "*.dcm"))
	if err != nil || len(paths) != 3 {
		t.Fatalf("%d samples (%v), want 3", len(paths), err)
	}
	files := map[string]string{}
	for _, path := range paths {
		dataset, err := dicom.ParseFile(path, nil, dicom.SkipPixelData())
		if err != nil {
			t.Fatal(err)
		}
		var uids []string
		for _, wanted := range []tag.Tag{tag.StudyInstanceUID, tag.SeriesInstanceUID, tag.SOPInstanceUID} {
			found, err := dataset.FindElementByTag(wanted)
			if err != nil {
				t.Fatal(err)
			}
			uids = append(uids, dicom.MustGetStrings(found.Value)[0])
		}
		files[strings.Join(uids, "/")] = path
	}
	return files
}

// wantSamples checks that the bucket contains exactly the three samples, byte for byte.
func (b *bucket) wantSamples(t *testing.T) {
	t.Helper()
	want := samples(t)
	var keys []string
	for key, path := range want {
		keys = append(keys, key)
		sent, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if stored, err := os.ReadFile(b.path(key)); err != nil || !bytes.Equal(stored, sent) {
			t.Errorf("object %s is not %s (%v)", key, path, err)
		}
	}
	slices.Sort(keys)
	got := b.keys(t)
	slices.Sort(got)
	if diff := cmp.Diff(keys, got); diff != "" {
		t.Errorf("keys in the bucket (-want +got):\n%s", diff)
	}
}

// The audit record is written with the default LOGLEVEL, WARNING.
func TestSendStoresTheSamplesByteExact(t *testing.T) {
	b := startGateway(t)
	s := startService(t, b, "LOGLEVEL=")
	code, stdout, stderr := run(t, nil, binaries.stowrsRace, "send", "--url", "http://"+s.address, sampleFolder)
	if code != 0 {
		t.Fatalf("stowrs send: exit %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "README.md") {
		t.Errorf("stowrs send does not say that it skips README.md:\n%s", stderr)
	}
	b.wantSamples(t)
	s.wantMetric(t, `stowrs_instances_total{reason="",result="stored"} 3`)
	s.wantMetric(t, `stowrs_requests_total{status="200"} 1`)
	if code, _, stderr := run(t, []string{"ADMINADDRESS=" + s.admin}, binaries.stowrsRace, "health"); code != 0 {
		t.Errorf("stowrs health: exit %d\n%s", code, stderr)
	}

	record := s.transactions(t, 1)[0]
	requestID := wantAudit(t, record)
	for key := range samples(t) {
		head, err := b.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &b.config.Bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"request-id": requestID, "sop-class": ctImageStorage, "transfer-syntax": uid.ExplicitVRLittleEndian}
		if diff := cmp.Diff(want, head.Metadata); diff != "" {
			t.Errorf("metadata of %s (-want +got):\n%s", key, diff)
		}
		if got := *head.ContentType; got != "application/dicom" {
			t.Errorf("content type %s", got)
		}
	}
}

// wantAudit checks the record of one request with the samples, and returns its request id.
func wantAudit(t *testing.T, record map[string]any) string {
	t.Helper()
	requestID, _ := record["request_id"].(string)
	if requestID == "" {
		t.Errorf("the audit record has no request_id: %v", record)
	}
	bodyBytes, _ := record["bytes"].(float64)
	if bodyBytes < 3*256*256*2 {
		t.Errorf("the audit record says %v bytes, the pixels alone are %d", record["bytes"], 3*256*256*2)
	}
	if _, ok := record["duration_ms"].(float64); !ok {
		t.Errorf("the audit record has no duration_ms: %v", record)
	}
	want := map[string]any{"status": 200.0, "stored": 3.0, "failed": 0.0, "warnings": 0.0, "remote": "127.0.0.1", "client_dn": ""}
	got := map[string]any{}
	for name := range want {
		got[name] = record[name]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit record (-want +got):\n%s", diff)
	}
	return requestID
}

func TestParallelRequestsAreStoredByteExact(t *testing.T) {
	b := startGateway(t)
	s := startService(t, b)
	const requests, perRequest = 8, 25
	all := make([]instance, 0, requests*perRequest)
	var clients sync.WaitGroup
	for r := range requests {
		instances := make([]instance, 0, perRequest)
		for i := range perRequest {
			serial := int64(r*perRequest + i)
			instances = append(instances, instance{serial: serial, pixelBytes: 4096 + 2*4999*serial}) // 4 KiB to 2 MB
		}
		all = append(all, instances...)
		clients.Go(func() {
			body, lengthBytes := multipart(instances...)
			if r%2 == 0 {
				lengthBytes = -1 // chunked
			}
			s.wantAllStored(t, body, lengthBytes, instances...)
		})
	}
	clients.Wait()
	b.wantExactly(t, all...)
	s.wantMetric(t, `stowrs_instances_total{reason="",result="stored"} 200`)
}
