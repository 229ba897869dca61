package server_test

import (
	"bytes"
	"context"
	"encoding/json"
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

// start runs the service with this S3, and with more variables in its environment.
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

// awaitReady waits until /readyz has this status.
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

// awaitLog waits until the log contains the text, and returns it; a record is written after its request was answered.
func (r *running) awaitLog(t *testing.T, text string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		switch logged := r.logged(); {
		case strings.Contains(logged, text):
			return logged
		case time.Now().After(deadline):
			t.Fatalf("the log has no %q:\n%s", text, logged)
		}
	}
}

// audit returns the last store transaction in the log.
func (r *running) audit(t *testing.T) map[string]any {
	t.Helper()
	var last map[string]any
	for line := range strings.Lines(r.awaitLog(t, `"store transaction"`)) {
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
