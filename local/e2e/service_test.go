package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// service is a running `stowrs serve`.
type service struct {
	*process
	address string // host:port of STOW-RS
	admin   string // of health and metrics
}

// s3Server is an S3 server; its environ makes a service store into it.
type s3Server interface{ environ() []string }

// startService starts the service over the bucket and waits until it is ready.
// Later variables take precedence.
func startService(t *testing.T, b s3Server, variables ...string) *service {
	t.Helper()
	return serveReady(t, binaries.stowrsRace, b, variables...)
}

// serveReady is startService with this binary.
func serveReady(t *testing.T, binary string, b s3Server, variables ...string) *service {
	t.Helper()
	s := serve(t, binary, b, variables...)
	eventually(t, 20*time.Second, "the service is ready", func() bool {
		select {
		case <-s.exited:
			t.Fatal("the service has ended")
		default:
		}
		status, _ := s.get("/readyz")
		return status == http.StatusOK
	})
	return s
}

// serve is serveReady without waiting.
func serve(t *testing.T, binary string, b s3Server, variables ...string) *service {
	t.Helper()
	s := &service{address: freeAddress(t), admin: freeAddress(t)}
	environment := slices.Concat(b.environ(), []string{
		"LISTENADDRESS=" + s.address, "ADMINADDRESS=" + s.admin, "LOGLEVEL=INFO"}, variables)
	for _, variable := range variables {
		if address, found := strings.CutPrefix(variable, "LISTENADDRESS="); found {
			s.address = address
		}
		if address, found := strings.CutPrefix(variable, "ADMINADDRESS="); found {
			s.admin = address
		}
	}
	s.process = start(t, environment, binary)
	return s
}

func (s *service) url() string { return "http://" + s.address + "/studies" }

// get asks ADMINADDRESS; without an answer, the status is 0.
func (s *service) get(path string) (status int, body string) {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get("http://" + s.admin + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(content)
}

// wantMetric waits a moment until /metrics contains the line.
func (s *service) wantMetric(t *testing.T, line string) {
	t.Helper()
	eventually(t, 10*time.Second, "/metrics has "+line, func() bool {
		_, body := s.get("/metrics")
		return slices.Contains(strings.Split(body, "\n"), line)
	})
}

// transactions waits for at least so many audit records, and returns them.
func (s *service) transactions(t *testing.T, atLeast int) []map[string]any {
	t.Helper()
	var records []map[string]any
	eventually(t, 10*time.Second, fmt.Sprintf("%d audit records", atLeast), func() bool {
		records = s.records("store transaction")
		return len(records) >= atLeast
	})
	return records
}

const contentType = `multipart/related; type="application/dicom"; boundary=e2e-boundary`

const (
	partHeader = "--e2e-boundary\r\nContent-Type: application/dicom\r\n\r\n"
	partEnd    = "\r\n"
	bodyEnd    = "--e2e-boundary--\r\n"
)

// multipart returns the body of a request, and its length.
func multipart(instances ...instance) (io.Reader, int64) {
	var readers []io.Reader
	lengthBytes := int64(len(bodyEnd))
	for _, i := range instances {
		readers = append(readers, strings.NewReader(partHeader), i.reader(), strings.NewReader(partEnd))
		lengthBytes += int64(len(partHeader)) + i.sizeBytes() + int64(len(partEnd))
	}
	return io.MultiReader(append(readers, strings.NewReader(bodyEnd))...), lengthBytes
}

// post sends a body; a length of -1 makes it chunked. The error is that of the
// connection, or of an answer without a response module.
func post(ctx context.Context, url string, body io.Reader, lengthBytes int64) (status int, module storeresponse.Response, err error) {
	return postAs(ctx, url, contentType, body, lengthBytes)
}

// postAs is post with another Content-Type.
func postAs(ctx context.Context, url, contentType string, body io.Reader, lengthBytes int64) (status int, module storeresponse.Response, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return 0, storeresponse.Response{}, err
	}
	request.ContentLength = lengthBytes
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Accept", storeresponse.MediaTypeJSON)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, storeresponse.Response{}, err
	}
	defer response.Body.Close()
	payload, err := io.ReadAll(response.Body)
	if err != nil {
		return response.StatusCode, storeresponse.Response{}, err
	}
	module, err = storeresponse.ParseResponse(response.Header.Get("Content-Type"), payload)
	return response.StatusCode, module, err
}

// wantAllStored sends the instances in one request, which must report each of them as stored.
func (s *service) wantAllStored(t *testing.T, body io.Reader, lengthBytes int64, instances ...instance) {
	t.Helper()
	status, module, err := post(t.Context(), s.url(), body, lengthBytes)
	if err != nil {
		t.Error(err)
		return
	}
	got := make([]string, 0, len(instances))
	for _, stored := range module.Referenced {
		got = append(got, stored.SOPInstanceUID)
	}
	want := make([]string, 0, len(instances))
	for _, i := range instances {
		want = append(want, i.uid())
	}
	if status != http.StatusOK || !slices.Equal(got, want) || len(module.Failed)+len(module.OtherFailures) > 0 {
		t.Errorf("status %d, stored %v, failed %v %v; want 200, all of %v", status, got, module.Failed, module.OtherFailures, want)
	}
}
