package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/s3test"
)

// refusal is a request that the service refuses because of its head.
type refusal struct {
	name, method, path string
	header             map[string]string
	status             int
	detail             []string // what the answer says
}

var refusals = []refusal{
	{"study that is no UID", "POST", "/studies/abc", nil, 400, []string{"UID"}},
	{"no boundary", "POST", "/studies", map[string]string{"Content-Type": `multipart/related; type="application/dicom"`}, 400, []string{"boundary"}},
	{"another resource", "POST", "/instances", nil, 404, []string{"POST /studies"}},
	{"a search", "GET", "/studies", nil, 405, []string{"no search"}},
	{"a base URL without /studies", "POST", "/", nil, 405, []string{"POST /studies"}},
	{"no type of the answer", "POST", "/studies", map[string]string{"Accept": "text/html"}, 406, []string{"application/dicom+json", "application/dicom+xml"}},
	{"too large", "POST", "/studies", map[string]string{"Content-Length": "5000000"}, 413, []string{"1048576"}},
	{"type of the request", "POST", "/studies", map[string]string{"Content-Type": "text/plain"}, 415, []string{"text/plain", `type="application/dicom"`}},
	{"encoding of the request", "POST", "/studies", map[string]string{"Content-Encoding": "br"}, 415, []string{"br", "identity"}},
	{"too many requests", "POST", "/studies", map[string]string{"Accept": "*/*"}, 503, []string{"again"}},
}

// refusing runs a service that refuses all of these requests: its only slot is taken by a request that end finishes.
func refusing(t *testing.T) (r *running, end func()) {
	t.Helper()
	s3 := s3test.Start(t, "dicom")
	hold := make(chan struct{})
	s3.Inject(s3test.Fault{Operation: "PutObject", Hold: hold})
	r = start(t, s3, map[string]string{"STRICTACCEPT": "true", "MAXREQUESTSIZE": "1MiB", "MAXREQUESTS": "1"})
	held := make(chan int, 1)
	go func() {
		held <- r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), map[string]string{"Accept": "*/*"}).StatusCode
	}()
	for s3.MaxInFlight("PutObject") == 0 {
		select {
		case status := <-held:
			t.Fatalf("the request that takes the slot got %d", status)
		default:
			time.Sleep(time.Millisecond)
		}
	}
	return r, func() {
		close(hold)
		if status := <-held; status != 200 {
			t.Errorf("the request in flight got %d, want 200", status)
		}
	}
}

// head sends the head of a request, and no byte of its body.
func (r *running) head(t *testing.T, test refusal, more string) (net.Conn, *bufio.Reader) {
	t.Helper()
	connection, err := net.Dial("tcp", r.stow)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	header := map[string]string{"Host": "x", "Accept": "*/*", "Content-Type": "application/dicom", "Content-Length": "1000"}
	for name, value := range test.header {
		header[name] = value
	}
	fmt.Fprintf(connection, "%s %s HTTP/1.1\r\n%s", test.method, test.path, more)
	for name, value := range header {
		fmt.Fprintf(connection, "%s: %s\r\n", name, value)
	}
	fmt.Fprint(connection, "\r\n")
	return connection, bufio.NewReader(connection)
}

// RFC 9110 §10.1.1: a request that is refused because of its head gets its final status at once,
// without 100 Continue, so the client does not send its body
// (dcm4che/dcm4che#1044). A request that is accepted gets 100, and later its answer.
func TestExpectContinue(t *testing.T) {
	r, end := refusing(t)
	defer end()
	for _, test := range refusals {
		t.Run(fmt.Sprint(test.status, " ", test.name), func(t *testing.T) {
			_, reader := r.head(t, test, "Expect: 100-continue\r\n")
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != test.status {
				t.Errorf("got %s, want %d", response.Status, test.status)
			}
			if !response.Close {
				t.Error("the connection is kept, though a body may follow")
			}
		})
	}
	t.Run("200", func(t *testing.T) {
		r := start(t, s3test.Start(t, "dicom"), nil)
		data := sample(t)
		connection, reader := r.head(t, refusal{method: "POST", path: "/studies", header: map[string]string{"Content-Length": fmt.Sprint(len(data))}}, "Expect: 100-continue\r\n")
		if line, err := reader.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q, error %v", line, err)
		}
		if line, err := reader.ReadString('\n'); err != nil || line != "\r\n" {
			t.Fatalf("got %q, error %v", line, err)
		}
		if _, err := connection.Write(data); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != 200 {
			t.Errorf("got %s, want 200", response.Status)
		}
	})
}

// PS3.18 §8.5: an error has a payload that says whether the condition is temporary
// or permanent; 405 has Allow, 503 Retry-After. The payload is that of RFC 9457.
func TestProblems(t *testing.T) {
	r, end := refusing(t)
	defer end()
	for _, test := range refusals {
		t.Run(fmt.Sprint(test.status, " ", test.name), func(t *testing.T) {
			_, reader := r.head(t, test, "Expect: 100-continue\r\n")
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			var problem struct {
				Title, Detail string
				Status        int
				Retry         *bool
			}
			if err := json.Unmarshal(body, &problem); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if response.StatusCode != test.status || problem.Status != test.status || problem.Title != http.StatusText(test.status) {
				t.Errorf("got %d %s, want %d", response.StatusCode, body, test.status)
			}
			if problem.Retry == nil || *problem.Retry != (test.status == 503) {
				t.Errorf("retry is not what %d means: %s", test.status, body)
			}
			for _, words := range test.detail {
				if !strings.Contains(problem.Detail, words) {
					t.Errorf("the detail does not say %q: %s", words, body)
				}
			}
			for header, want := range map[string]bool{
				"Allow": test.status == 405, "Retry-After": test.status == 503, "X-Request-Id": true, "WWW-Authenticate": false,
			} {
				if got := response.Header.Get(header); (got != "") != want {
					t.Errorf("%s is %q at status %d", header, got, test.status)
				}
			}
			if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type is %q", got)
			}
		})
	}
}
