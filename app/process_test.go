package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
	"stowrs-to-s3/app/storeresponse"
)

// program is the built binary, without the race detector, so that memory and speed are those of users.
var program string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "stowrs-test-")
	if err == nil {
		program = filepath.Join(folder, "stowrs")
		build := exec.CommandContext(context.Background(), "go", "build", "-o", program, ".")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(folder)
	os.Exit(code)
}

// stowrs is a process of the program.
func stowrs(ctx context.Context, arguments ...string) *exec.Cmd {
	return exec.CommandContext(ctx, program, arguments...)
}

// instanceOf is a DICOM file with this SOP Instance UID and these pixels.
func instanceOf(uid string, pixels []byte) []byte {
	return dicomtest.Instance{SOP: uid, Study: "1.2.3", Series: "1.2.3.1", Pixels: pixels}.File()
}

// receiver is a STOW-RS service that counts how often it has stored each instance.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	times  map[string]int // by SOP Instance UID
	busy   int            // requests at present
	most   int            // highest value of busy
	before func(w http.ResponseWriter, busy int) (answered bool)
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{times: make(map[string]int), before: func(http.ResponseWriter, int) bool { return false }}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// meet sets a function that is called before a request is answered.
func (r *receiver) meet(before func(w http.ResponseWriter, busy int) (answered bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = before
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	r.busy++
	busy, before := r.busy, r.before
	r.most = max(r.most, busy)
	r.mu.Unlock()
	defer func() { r.mu.Lock(); r.busy--; r.mu.Unlock() }()
	uids, err := r.read(request)
	if err != nil || before(w, busy) {
		return
	}
	var answer storeresponse.Response
	r.mu.Lock()
	for _, uid := range uids {
		r.times[uid]++
		answer.Referenced = append(answer.Referenced, storeresponse.Referenced{SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID: uid})
	}
	r.mu.Unlock()
	w.Header().Set("Content-Type", storeresponse.MediaTypeJSON)
	_ = answer.Module().Encode(w, storeresponse.MediaTypeJSON)
}

func (r *receiver) read(request *http.Request) (uids []string, err error) {
	_, parameters, err := mime.ParseMediaType(request.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	for parts := multipart.NewReader(request.Body, parameters["boundary"]); ; {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return uids, nil
		}
		if err != nil {
			return nil, err
		}
		head := make([]byte, 4096)
		n, _ := io.ReadFull(part, head)
		identity, err := dicom.Identify(bytes.NewReader(head[:n]), 4097)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, part); err != nil {
			return nil, err
		}
		uids = append(uids, identity.SOPInstanceUID)
	}
}

// stored returns how many instances are stored, and how many of them were sent more than once.
func (r *receiver) stored() (instances, times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.times {
		instances, times = instances+1, times+n
	}
	return instances, times
}

// peakMiB is the peak resident memory of a process so far (proc(5), VmHWM).
func peakMiB(pid int) int {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == "VmHWM:" {
			kib, _ := strconv.Atoi(fields[1])
			return kib >> 10
		}
	}
	return 0
}

// runMeasured returns the output of a process, its exit code and its peak memory.
func runMeasured(t *testing.T, arguments ...string) (output string, code, peak int) {
	t.Helper()
	cmd := stowrs(t.Context(), arguments...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	for {
		select {
		case <-done:
			return out.String(), cmd.ProcessState.ExitCode(), peak
		case <-time.After(10 * time.Millisecond):
			peak = max(peak, peakMiB(cmd.Process.Pid))
		}
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What ends the service at its start is found by check, also what only the AWS SDK reads.
func TestCheckFindsWhatTheServiceCannotUse(t *testing.T) {
	for variable, want := range map[string]string{
		"AWS_CA_BUNDLE=/nowhere": "/nowhere", "AWS_PROFILE=nobody": "nobody", "AWS_RETRY_MODE=hasty": "hasty", "AWS_REGION=us-east-1": "",
	} {
		check := stowrs(t.Context(), "check")
		check.Env = []string{"BUCKETNAME=dicom", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", variable}
		said, err := check.CombinedOutput()
		code := 0
		if want != "" {
			code = exitConfiguration
		}
		if check.ProcessState.ExitCode() != code || !strings.Contains(string(said), want) {
			t.Errorf("%s: %v, exit %d, want %d and %q:\n%s", variable, err, check.ProcessState.ExitCode(), code, want, said)
		}
	}
}

// The log has nothing but its records. The HTTP library would write what follows an answer of S3 into it, as text: here the body of an answer
// that has none (RFC 9110 §9.3.2), which may name an object.
func TestLogHasRecordsOnly(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	service := stowrs(t.Context())
	service.Env = []string{
		"BUCKETNAME=dicom", "LISTENADDRESS=127.0.0.1:0", "ADMINADDRESS=127.0.0.1:0", "AWS_ENDPOINT_URL_S3=http://" + listener.Addr().String(), "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
	}
	var said bytes.Buffer
	service.Stdout, service.Stderr = &said, &said
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	connection, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	reader := bufio.NewReader(connection)
	if _, err := http.ReadRequest(reader); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(connection, "HTTP/1.1 403 Forbidden\r\nContent-Length: 29\r\n\r\n")
	time.Sleep(100 * time.Millisecond) // the answer ends before its body
	fmt.Fprint(connection, "<Resource>/1.2/3/4</Resource>")
	_, _ = io.Copy(io.Discard, reader) // until the service has noticed
	_ = service.Process.Signal(os.Interrupt)
	_ = service.Wait() // its exit code does not matter
	for line := range strings.Lines(said.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("the log has %s", line)
		}
	}
}
