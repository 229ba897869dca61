package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stowrs-to-s3/app/s3test"
)

// Users run stowrs verify before they delete files: it says "all stored" only if the bucket contains everything.
func TestVerify(t *testing.T) {
	const count = 300
	folder, _ := archive(t, count)
	b := startS3(t)
	s := startService(t, b)
	journal := filepath.Join(t.TempDir(), "journal")
	verify := func(name string, wantCode int, wantWords string, args ...string) {
		t.Helper()
		code, stdout, stderr := run(t, b.environ(), binaries.stowrsRace, append([]string{"verify"}, args...)...)
		if code != wantCode || !strings.Contains(stdout+stderr, wantWords) {
			t.Errorf("%s: exit %d, want %d with %q\n%.2000s%s", name, code, wantCode, wantWords, stdout, stderr)
		}
	}
	url := []string{"--url", s.url(), "--batch", "70"}
	verify("before anything is sent", 1, fmt.Sprintf("0 instances are stored, %d missing", count), append(url, folder)...)
	if code, stdout, stderr := run(t, nil, binaries.stowrsRace, "send", "--url", s.url(), "--journal", journal, folder); code != 0 {
		t.Fatalf("stowrs send: exit %d\n%s%s", code, stdout, stderr)
	}
	all := fmt.Sprintf("%d instances are stored, 0 missing", count)
	verify("a folder", 0, all, append(url, folder)...)
	verify("a journal", 0, all, append(url, "--journal", journal)...)
	bytesOf := fmt.Sprintf("%d instances are stored with these bytes, 0 missing, 0 different", count)
	verify("checksums of a folder", 0, bytesOf, "--checksums", folder)
	verify("checksums of a journal, and the service", 0, bytesOf, append(url, "--checksums", "--journal", journal)...)

	// An object is removed, and another has different bytes.
	keys := b.store.Keys()
	gone, other := keys[100], keys[200]
	kept := map[string][]byte{}
	for _, key := range keys {
		kept[key], _, _ = b.store.Object(key)
	}
	b.store.Clear()
	for key, body := range kept {
		switch key {
		case gone:
		case other:
			b.store.Put(key, []byte("other bytes"))
		default:
			b.store.Put(key, body)
		}
	}
	verify("one is gone", 1, gone+": the service has no such instance (0112)", append(url, folder)...)
	verify("one is gone, by the journal", 1, fmt.Sprintf("%d instances are stored, 1 missing", count-1), append(url, "--journal", journal)...)
	verify("one has no checksum", 1, other+": S3 has no CRC64NVME", "--checksums", folder)

	// An instance that the journal does not record as stored is missing, even if the service has it. The last two lines of the journal are those of an instance and of the end of the run.
	content, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(content), "\n")
	if err := os.WriteFile(journal, []byte(strings.Join(lines[:len(lines)-3], "")+`{"path":"torn`), 0o600); err != nil {
		t.Fatal(err)
	}
	verify("a torn journal", 1, "the journal does not say that it is stored, but sending", append(url, "--journal", journal)...)

	// Faults, and wrong usage.
	b.store.Inject(s3test.Fault{Operation: "ListObjectsV2", Status: 403, Code: "AccessDenied"})
	verify("the service may not list", 3, "the service is not available", append(url, "--max-wait", "0s", folder)...)
	b.store.ClearFaults()
	verify("no paths", 2, "there is no PATH", url...)
	verify("neither service nor S3", 2, "--url is required", folder)
	verify("no journal", 2, "not a journal", append(url, "--journal", filepath.Join(folder, "000", filepath.Base(firstFile(t, folder))))...)
	verify("nobody there", 3, "not available", "--url", "http://"+freeAddress(t), "--max-wait", "0s", folder)
	off := startService(t, b, "COMMITMENT=off")
	verify("turned off", 3, "COMMITMENT", "--url", off.url(), folder)

	record := s.records("commitment")[0]
	if record["status"] != 200.0 || record["committed"] == nil || record["searches"] == nil {
		t.Errorf("the audit record is %v", record)
	}
	s.wantMetric(t, fmt.Sprintf(`stowrs_commitment_instances_total{result="failed"} %d`, count+3))
}

// While S3 does not answer lists, requests for commitment hold slots and memory. Stores still find enough of both.
func TestCommitmentLeavesRoomForStores(t *testing.T) {
	b := startS3(t)
	s := startService(t, b, "MAXREQUESTS=16")
	release := make(chan struct{})
	b.store.Inject(s3test.Fault{Operation: "ListObjectsV2", Hold: release})
	var asking sync.WaitGroup
	defer asking.Wait()
	defer close(release)
	ctx, leave := context.WithTimeout(t.Context(), 10*time.Second)
	defer leave()
	refused := make(chan int, 30)
	for range cap(refused) {
		asking.Go(func() {
			const reference = `{"00081110":{"Value":[{"0020000D":{"Value":["1.1"]},"00081115":{"Value":[{"0020000E":{"Value":["1.2"]},"00081112":{"Value":[{"0008114A":{"Value":[{"00081155":{"Value":["1.3"]}}]}}]}}]}}]}}`
			got, _ := s.do(ctx, http.MethodPost, "/commitment-requests/2.25.7", "application/dicom+json", strings.NewReader(reference), -1)
			refused <- got.status // 0: the request waits until the test ends
		})
	}
	for range cap(refused) - 2 {
		if status := <-refused; status != http.StatusServiceUnavailable {
			t.Errorf("status %d, want 503", status)
		}
	}
	s.wantServed(t, 5*time.Second)
}

func firstFile(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "000", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	return files[0]
}
