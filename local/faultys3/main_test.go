package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/app/s3test"
)

// under is what is under test: an S3, its control endpoint, and a client that does not retry.
type under struct {
	control string
	client  *s3.Client
}

func start(t *testing.T) under {
	t.Helper()
	store := s3test.Start(t, "dicom")
	server := httptest.NewServer(newControl(store))
	t.Cleanup(server.Close)
	return under{server.URL, store.Client(t, func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })}
}

// ask returns the status and the body of an answer of the control endpoint.
func (u under) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, u.control+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// tell sends a request that must be accepted.
func (u under) tell(t *testing.T, method, path, body string) {
	t.Helper()
	if status, answer := u.ask(t, method, path, body); status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
}

func (u under) put(t *testing.T, key string) error {
	t.Helper()
	_, err := u.client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("dicom"), Key: &key, Body: bytes.NewReader([]byte("hello world")), Metadata: map[string]string{"m": "v"},
	})
	return err
}

func TestSettingsHoldUntilTheyAreChanged(t *testing.T) {
	u := start(t)
	for _, tc := range []struct{ on, off, want string }{
		{`{"outage": {"status": 503, "code": "SlowDown"}}`, `{"outage": {"status": 0}}`, "SlowDown"},
		{`{"unreachable": true}`, `{"unreachable": false}`, "send failed"},
	} {
		u.tell(t, http.MethodPost, "/settings", tc.on)
		u.tell(t, http.MethodPost, "/settings", `{}`) // changes nothing
		if err := u.put(t, "k"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.on, err, tc.want)
		}
		u.tell(t, http.MethodPost, "/settings", tc.off)
		if err := u.put(t, "k"); err != nil {
			t.Errorf("%s: %v", tc.off, err)
		}
	}
	u.tell(t, http.MethodPost, "/settings", `{"latency": {"": "1h", "PutObject": "50ms"}, "capacity": 1}`)
	begun := time.Now()
	if err := u.put(t, "k"); err != nil || time.Since(begun) < 50*time.Millisecond {
		t.Errorf("got %v after %v, want an answer after 50 ms", err, time.Since(begun))
	}
}

func TestFaultsHoldUntilTheyAreRemoved(t *testing.T) {
	u := start(t)
	u.tell(t, http.MethodPost, "/faults", `{"operation": "PutObject", "prefix": "refused/", "status": 403, "code": "AccessDenied"}`)
	u.tell(t, http.MethodPost, "/faults", `{"prefix": "held/", "hold": true, "delay": "1ms"}`)
	if err := u.put(t, "refused/k"); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("got %v, want AccessDenied", err)
	}
	if err := u.put(t, "k"); err != nil {
		t.Errorf("another key: %v", err)
	}
	held := make(chan error)
	go func() { held <- u.put(t, "held/k") }()
	for {
		if _, counters := u.ask(t, http.MethodGet, "/counters", ""); strings.Contains(counters, `"InFlight":{"":1`) {
			break
		}
	}
	u.tell(t, http.MethodDelete, "/faults", "")
	if err := <-held; err != nil {
		t.Errorf("a request that was held: %v", err)
	}
	if err := u.put(t, "refused/k"); err != nil {
		t.Errorf("after the faults were removed: %v", err)
	}
}

func TestWhatIsStoredIsShown(t *testing.T) {
	u := start(t)
	if err := u.put(t, "a/k"); err != nil {
		t.Fatal(err)
	}
	if _, err := u.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("dicom"), Key: aws.String("open")}); err != nil {
		t.Fatal(err)
	}
	// The CRC64NVME of "hello world" is jSnVw/bqjr4=.
	for path, want := range map[string][]string{
		"/objects":  {`"Key":"a/k"`, `"SizeBytes":11`, `"CRC64NVME":"jSnVw/bqjr4="`, `"X-Amz-Meta-M":["v"]`},
		"/uploads":  {`["open"]`},
		"/counters": {`"PutObject 200":1`, `"CreateMultipartUpload 200":1`, `"ReceivedBytes":11`},
	} {
		_, got := u.ask(t, http.MethodGet, path, "")
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("%s: got %s, want %s in it", path, got, text)
			}
		}
	}
	u.tell(t, http.MethodDelete, "/objects", "")
	if _, got := u.ask(t, http.MethodGet, "/objects", ""); got != "[]\n" {
		t.Errorf("after objects were removed: %s, want none", got)
	}
}

func TestMisspeltFaultsAreRefused(t *testing.T) {
	u := start(t)
	for path, body := range map[string]string{"/faults": `{"statsu": 503}`, "/settings": `{"latency": {"": "50"}}`} {
		if status, answer := u.ask(t, http.MethodPost, path, body); status != http.StatusBadRequest {
			t.Errorf("%s %s: %d %s, want 400", path, body, status, answer)
		}
	}
}
