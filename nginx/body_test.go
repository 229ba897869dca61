package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// temporaryFiles returns the files of nginx that certsync did not write: those in RUN_FOLDER, and the open
// files of its processes that have been removed.
func (s *sidecar) temporaryFiles(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(s.runFolder, unusedName), func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range s.workers(t) {
		descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", id))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range descriptors {
			if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, "/") && strings.HasSuffix(target, "(deleted)") && !strings.HasPrefix(target, "/dev/") {
				found = append(found, target)
			}
		}
	}
	return found
}

// workers returns the process ids of nginx's workers.
func (s *sidecar) workers(t testing.TB) []int {
	t.Helper()
	id := s.nginxID(t)
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", id, id))
	if err != nil {
		t.Skip("only Linux shows the open files of a process")
	}
	var ids []int
	for field := range strings.FieldsSeq(string(content)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, child)
	}
	return ids
}

// memory is the resident size of all workers, in bytes.
func (s *sidecar) memory(t *testing.T) int64 {
	t.Helper()
	var sumBytes int64
	for _, id := range s.workers(t) {
		sumBytes += vmHWM(t, id)
	}
	return sumBytes
}

// vmHWM is the peak resident size of a process, in bytes.
func vmHWM(t *testing.T, id int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", id))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// An upload of 1 GiB uses neither the disk nor the memory of nginx.
func TestOneGiBLeavesNoTemporaryFile(t *testing.T) {
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	u := s.startUpload(t, s.client(nil), newInstance(t, gib))
	if files := s.temporaryFiles(t); len(files) > 0 {
		t.Errorf("files in the middle of an upload: %q", files)
	}
	u.wantStored(t, s)
	if files := s.temporaryFiles(t); len(files) > 0 {
		t.Errorf("files after the upload: %q", files)
	}
	if memory := s.memory(t); memory > 100*mib {
		t.Errorf("the workers took %d MiB", memory/mib)
	}
}

// A refusal while 1 GiB is in flight reaches the client with its own status, not as 502 or
// as a reset, both if the client reads while it sends and if it reads only after its last byte.
func TestRefusalsReachAClientThatSends(t *testing.T) {
	program := nginxProgram(t)
	s3, _ := startSystem(t)
	small := startApp(t, s3, "MAXREQUESTSIZE=1MiB")
	busy := startApp(t, s3, "MAXREQUESTS=1")
	modes := []string{"CERT_MODE=ACM", "AUTH_MODE=anonymous"}
	refusing := startSidecarOf(t, program, s3, small, modes...)
	occupied := startSidecarOf(t, program, s3, busy, modes...)
	limited := startSidecar(t, append(modes, "CLIENT_MAX_BODY_SIZE=1m")...)
	for _, test := range []struct {
		name        string
		s           *sidecar
		contentType string
		chunked     bool
		status      int
	}{
		{"413 of the app", refusing, "application/dicom", false, 413},
		{"413 of the app, chunked", refusing, "application/dicom", true, 413},
		{"413 of nginx", limited, "application/dicom", false, 413},
		{"415", refusing, "text/plain", false, 415},
		{"415, chunked", refusing, "text/plain", true, 415},
		{"503", occupied, "application/dicom", false, 503},
	} {
		for _, readsFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, reads while it sends: %v", test.name, readsFirst), func(t *testing.T) {
				if test.s == occupied { // by another upload
					defer occupied.startUpload(t, occupied.client(nil), newInstance(t, 20*mib)).wantStored(t, occupied)
				}
				i := newInstance(t, gib)
				status, sent, err := test.s.sendRaw(t, i, test.contentType, test.chunked, readsFirst)
				if err != nil || status != test.status {
					t.Errorf("status %d, error %v, want %d, after %d MiB", status, err, test.status, sent/mib)
				}
				if !readsFirst && sent < i.sizeBytes {
					t.Errorf("only %d MiB could be sent", sent/mib)
				}
				s3.wantNotStored(t, i)
			})
		}
	}
}

// sendRaw is a client that stops sending when the answer arrives, or that
// reads only after its last byte.
func (s *sidecar) sendRaw(t *testing.T, i instance, contentType string, chunked, readsFirst bool) (status int, sentBytes int64, err error) {
	t.Helper()
	connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return 0, 0, err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, 0, err
	}
	fmt.Fprintf(connection, "POST /studies HTTP/1.1\r\nHost: x\r\nAccept: application/dicom+json\r\nContent-Type: %s\r\n", contentType)
	var body io.Writer = connection
	if chunked {
		fmt.Fprint(connection, "Transfer-Encoding: chunked\r\n\r\n")
		body = chunks{connection}
	} else {
		fmt.Fprintf(connection, "Content-Length: %d\r\n\r\n", i.sizeBytes)
	}
	sent := make(chan error, 1)
	go func() {
		var err error
		sentBytes, err = io.CopyBuffer(struct{ io.Writer }{body}, struct{ io.Reader }{i.reader()}, make([]byte, mib))
		if err == nil && chunked {
			_, err = fmt.Fprint(connection, "0\r\n\r\n")
		}
		sent <- err
	}()
	if !readsFirst {
		if err := <-sent; err != nil {
			return 0, sentBytes, fmt.Errorf("send: %w", err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if readsFirst {
		connection.Close()
		<-sent
	}
	if err != nil {
		return 0, sentBytes, err
	}
	response.Body.Close()
	return response.StatusCode, sentBytes, nil
}

// chunks of a chunked body.
type chunks struct{ w io.Writer }

// Write implements io.Writer.
func (c chunks) Write(p []byte) (int, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%x\r\n", len(p))
	b.Write(p)
	b.WriteString("\r\n")
	if _, err := c.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// nginx cuts a client that sends its header slowly. The app answers a client that is silent in its
// body, and says what was stored until then.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous")
	dial := func(t *testing.T) *tls.Conn {
		connection, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		connection.SetDeadline(time.Now().Add(110 * time.Second))
		return connection
	}
	t.Run("header", func(t *testing.T) {
		t.Parallel()
		connection, began := dial(t), time.Now()
		go func() { // ends with the connection
			for _, b := range []byte("POST /studies HTTP/1.1\r\nHost: " + strings.Repeat("x", 1000)) {
				if _, err := connection.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(500 * time.Millisecond)
			}
		}()
		io.Copy(io.Discard, connection)
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("cut after %s, want 15 s", took)
		}
	})
	t.Run("handshake", func(t *testing.T) {
		t.Parallel()
		connection, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		began := time.Now()
		connection.SetDeadline(began.Add(110 * time.Second))
		io.Copy(io.Discard, connection)
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("cut after %s, want 15 s", took)
		}
	})
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		connection, began := dial(t), time.Now()
		fmt.Fprint(connection, "POST /studies HTTP/1.1\r\nHost: x\r\nAccept: application/dicom+json\r\nContent-Type: application/dicom\r\nContent-Length: 1000000\r\n\r\n")
		connection.Write(newInstance(t, 0).head)
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusRequestTimeout {
			t.Errorf("status %d, want 408", response.StatusCode)
		}
		if took := time.Since(began); took > 80*time.Second {
			t.Errorf("answered after %s, want a minute", took)
		}
	})
}

// CONNECTIONS_PER_ADDRESS is off by default, because a whole hospital may have one address.
func TestConnectionsPerAddress(t *testing.T) {
	t.Parallel()
	for limit, want := range map[string]int{"0": http.StatusOK, "1": http.StatusServiceUnavailable} {
		s := startSidecar(t, "CERT_MODE=ACM", "AUTH_MODE=anonymous", "CONNECTIONS_PER_ADDRESS="+limit)
		u := s.startUpload(t, s.client(nil), newInstance(t, 20*mib))
		if r := s.post(t, nil, newInstance(t, 0)); r.status != want {
			t.Errorf("CONNECTIONS_PER_ADDRESS=%s: status %d beside an upload, want %d", limit, r.status, want)
		}
		u.wantStored(t, s)
		s.wantStored(t, nil)
	}
}
