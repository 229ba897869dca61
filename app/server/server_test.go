package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"stowrs-to-s3/app/config"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/server"
)

// running is a service in this process.
type running struct {
	stow, admin string // host:port
	stop, cut   context.CancelFunc
	done        chan error

	mu  sync.Mutex
	log bytes.Buffer
}

func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *running) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// start runs the service against s3, with more variables of its environment.
func start(t *testing.T, s3 *s3test.Server, variables map[string]string) *running {
	t.Helper()
	environment := map[string]string{"BUCKETNAME": "dicom", "LISTENADDRESS": "127.0.0.1:0", "ADMINADDRESS": "127.0.0.1:0"}
	maps.Copy(environment, variables)
	c, err := config.Load(environment)
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range s3.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	r := &running{done: make(chan error, 1)}
	var stopContext, cutContext context.Context
	stopContext, r.stop = context.WithCancel(context.Background())
	cutContext, r.cut = context.WithCancel(context.Background())
	listening := make(chan struct{})
	go func() {
		r.done <- server.Run(c, server.Process{
			Version: "test", Log: r, Stop: stopContext, Cut: cutContext,
			Listening: func(stow, admin net.Addr) {
				r.stow, r.admin = stow.String(), admin.String()
				close(listening)
			},
		})
	}()
	t.Cleanup(func() { r.stop(); r.cut() })
	select {
	case <-listening:
	case err := <-r.done:
		t.Fatal(err)
	}
	return r
}

func (r *running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	response, err := http.Get("http://" + r.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// awaitReady asks /readyz until it has the status.
func (r *running) awaitReady(t *testing.T, status int) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		got, body := r.get(t, "/readyz")
		if got == status {
			return body
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz answers %d %s, want %d", got, body, status)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func sample(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("../../dcm-samples/slice-1.dcm")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (r *running) request(t *testing.T, method, path string, body io.Reader, header map[string]string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.stow+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/dicom")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// audit is the last store transaction of the log.
func (r *running) audit(t *testing.T) map[string]any {
	t.Helper()
	var last map[string]any
	for line := range strings.Lines(r.logged()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("log record %q: %v", line, err)
		}
		if record["msg"] == "store transaction" {
			last = record
		}
	}
	return last
}

func TestRoutes(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	const study = "2.25.289846586119708389785202274281271797771"
	tests := []struct {
		method, path string
		status       int
		header       string // that must be there
	}{
		{"POST", "/studies", 200, "X-Request-Id"},
		{"POST", "/studies/", 200, ""},
		{"POST", "/studies/" + study, 200, ""},
		{"POST", "/studies/" + study + "/", 200, ""},
		{"POST", "/studies/1.2", 409, ""},
		{"POST", "/studies/" + study + "/series", 400, ""},
		{"POST", "/", 405, "Allow"}, // a base URL without /studies; OPTIONS it has
		{"POST", "/store", 404, ""},
		{"GET", "/studies", 405, "Allow"}, // PS3.18 §8.5: 405 shall carry Allow
		{"OPTIONS", "/", 200, "Allow"},
		{"OPTIONS", "/studies", 200, "Allow"},
		{"OPTIONS", "/studies/" + study, 200, "Allow"},
		{"GET", "/metrics", 404, ""}, // on ADMINADDRESS only
	}
	for _, test := range tests {
		response := r.request(t, test.method, test.path, bytes.NewReader(sample(t)), nil)
		if response.StatusCode != test.status {
			t.Errorf("%s %s: got %d, want %d", test.method, test.path, response.StatusCode, test.status)
		}
		if test.header != "" && response.Header.Get(test.header) == "" {
			t.Errorf("%s %s: no %s", test.method, test.path, test.header)
		}
		if test.status == 404 || test.status == 405 || test.status == 400 {
			var problem struct {
				Status int
				Detail string
				Retry  *bool
			}
			if err := json.NewDecoder(response.Body).Decode(&problem); err != nil || problem.Status != test.status || problem.Detail == "" || problem.Retry == nil {
				t.Errorf("%s %s: problem %+v, error %v", test.method, test.path, problem, err)
			}
			if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("%s %s: Content-Type %q", test.method, test.path, got)
			}
		}
	}
}

// X-Client-DN, X-Real-IP and X-Request-Id count only from TRUSTEDPROXY.
func TestHeadersOfTheProxy(t *testing.T) {
	header := map[string]string{"X-Client-DN": "CN=modality", "X-Real-IP": "192.0.2.7", "X-Request-Id": "abc-1"}
	for trusted, want := range map[string]string{
		"127.0.0.1": "CN=modality 192.0.2.7 abc-1", "10.0.0.0/8,127.0.0.0/8": "CN=modality 192.0.2.7 abc-1", "10.0.0.0/8": " 127.0.0.1 other", "": " 127.0.0.1 other",
	} {
		t.Run("trusted "+trusted, func(t *testing.T) {
			r := start(t, s3test.Start(t, "dicom"), map[string]string{"TRUSTEDPROXY": trusted})
			response := r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), header)
			id := response.Header.Get("X-Request-Id")
			audit := r.audit(t)
			if audit["request_id"] != id {
				t.Errorf("the audit record has request_id %v, the answer %q", audit["request_id"], id)
			}
			if id != "abc-1" {
				id = "other"
			}
			if got := fmt.Sprint(audit["client_dn"], " ", audit["remote"], " ", id); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	t.Run("a request id that could break a record or a header", func(t *testing.T) {
		r := start(t, s3test.Start(t, "dicom"), map[string]string{"TRUSTEDPROXY": "127.0.0.1"})
		response := r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), map[string]string{"X-Request-Id": strings.Repeat("x", 5000)})
		if id := response.Header.Get("X-Request-Id"); len(id) > 64 || id == "" {
			t.Errorf("request id %q", id)
		}
	})
}

func TestCORS(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), map[string]string{"CORSORIGINS": "https://viewer.example.org"})
	for origin, want := range map[string]string{"https://viewer.example.org": "https://viewer.example.org", "https://evil.example.org": ""} {
		if plain := r.request(t, "OPTIONS", "/", nil, map[string]string{"Origin": origin}); plain.StatusCode != 200 {
			t.Errorf("OPTIONS that is no pre-flight: got %d, want the capabilities", plain.StatusCode)
		}
		preflight := r.request(t, "OPTIONS", "/studies", nil, map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST"})
		if got := preflight.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: allowed %q, want %q", origin, got, want)
		}
	}
}

func TestHealthAndMetrics(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	r.awaitReady(t, 200)
	if status, _ := r.get(t, "/livez"); status != 200 {
		t.Errorf("/livez: got %d", status)
	}
	if status, _ := r.get(t, "/debug/pprof/"); status != 404 {
		t.Errorf("profiles without PPROF: got %d, want 404", status)
	}
	r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), nil)
	r.request(t, "POST", "/studies", strings.NewReader("garbage"), nil)
	_, metrics := r.get(t, "/metrics")
	for _, want := range []string{
		`stowrs_requests_total{status="200"} 1`, `stowrs_requests_total{status="400"} 1`, `stowrs_instances_total{reason="",result="stored"} 1`,
		`stowrs_instances_total{reason="C000",result="failed"} 1`, "stowrs_ready 1", "stowrs_degraded 0", "stowrs_buffered_bytes 0",
		`stowrs_s3_request_duration_seconds_count{operation="PutObject",result="ok"} 1`, `stowrs_build_info{version="test"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("metrics have no %q", want)
		}
	}
}

// Not ready until S3 answers; the log and the body say what to mend, and the process lives.
func TestBucketIsMissing(t *testing.T) {
	s3 := s3test.Start(t, "dicom")
	s3.Inject(s3test.Fault{Operation: "HeadBucket", Status: 404, Code: "NoSuchBucket", Times: 1})
	r := start(t, s3, nil)
	for !strings.Contains(r.logged(), "does not exist") {
		time.Sleep(time.Millisecond)
	}
	status, body := r.get(t, "/readyz")
	if status != 503 || !strings.Contains(body, "bucket dicom does not exist") {
		t.Errorf("/readyz: got %d %s", status, body)
	}
	if status, _ := r.get(t, "/livez"); status != 200 {
		t.Errorf("/livez: got %d", status)
	}
	r.awaitReady(t, 200) // the bucket was made
}

// SIGTERM: not ready at once, what is in flight is finished, then a clean end.
func TestGracefulStop(t *testing.T) {
	s3 := s3test.Start(t, "dicom")
	hold := make(chan struct{})
	s3.Inject(s3test.Fault{Operation: "PutObject", Hold: hold})
	r := start(t, s3, nil)
	r.awaitReady(t, 200)
	answers := make(chan int)
	go func() { answers <- r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), nil).StatusCode }()
	for s3.MaxInFlight("PutObject") == 0 {
		time.Sleep(time.Millisecond)
	}
	r.stop()
	r.awaitReady(t, 503)
	close(hold)
	if status := <-answers; status != 200 {
		t.Errorf("the request in flight got %d, want 200", status)
	}
	if err := <-r.done; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// A second signal, or STOPTIMEOUT: uploads are aborted, senders told, the end is an error.
func TestCut(t *testing.T) {
	for _, how := range []string{"second signal", "timeout"} {
		t.Run(how, func(t *testing.T) {
			s3 := s3test.Start(t, "dicom")
			r := start(t, s3, map[string]string{"STOPTIMEOUT": map[string]string{"timeout": "100ms", "second signal": "1h"}[how]})
			reading, writing := io.Pipe()
			answers := make(chan int)
			go func() { answers <- r.request(t, "POST", "/studies", reading, nil).StatusCode }()
			_, _ = writing.Write(sample(t))
			_, _ = writing.Write(make([]byte, 20<<20)) // and the client stalls
			for len(s3.OpenUploads()) == 0 {
				time.Sleep(time.Millisecond)
			}
			r.stop()
			if how == "second signal" {
				r.cut()
			}
			if status := <-answers; status != 503 {
				t.Errorf("the sender got %d, want 503", status)
			}
			if err := <-r.done; !errors.Is(err, server.ErrCut) {
				t.Errorf("ended with %v, want %v", err, server.ErrCut)
			}
			if len(s3.Keys())+len(s3.OpenUploads()) > 0 {
				t.Errorf("left in S3: %v, open uploads %v", s3.Keys(), s3.OpenUploads())
			}
		})
	}
}

func TestSweepAtStart(t *testing.T) {
	s3 := s3test.Start(t, "dicom")
	first := start(t, s3, map[string]string{"STOPTIMEOUT": "1ms"})
	s3.Inject(s3test.Fault{Operation: "AbortMultipartUpload", Status: 500, Code: "InternalError", Times: 1}) // as if killed
	reading, writing := io.Pipe()
	answers := make(chan int)
	go func() { answers <- first.request(t, "POST", "/studies", reading, nil).StatusCode }()
	_, _ = writing.Write(sample(t))
	_, _ = writing.Write(make([]byte, 20<<20))
	for len(s3.OpenUploads()) == 0 {
		time.Sleep(time.Millisecond)
	}
	first.stop()
	<-answers
	<-first.done
	if len(s3.OpenUploads()) != 1 {
		t.Fatalf("open uploads: %v, want the one that could not be aborted", s3.OpenUploads())
	}
	s3.AgeUploads(8 * 24 * time.Hour)
	start(t, s3, nil)
	for deadline := time.Now().Add(20 * time.Second); len(s3.OpenUploads()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("open uploads: %v, want none", s3.OpenUploads())
		}
	}
}

func TestAddressIsTaken(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	for _, variable := range []string{"LISTENADDRESS", "ADMINADDRESS"} {
		c, err := config.Load(map[string]string{"BUCKETNAME": "b", "LISTENADDRESS": "127.0.0.1:0", "ADMINADDRESS": "127.0.0.1:0", variable: r.stow})
		if err != nil {
			t.Fatal(err)
		}
		err = server.Run(c, server.Process{Log: io.Discard, Stop: t.Context(), Cut: t.Context()})
		if err == nil || !strings.Contains(err.Error(), variable) {
			t.Errorf("got error %v, want one that names %s", err, variable)
		}
	}
}
