package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// reply is an answer of the service to any request.
type reply struct {
	status int
	header http.Header
	body   string
	module storeresponse.Response // empty if the body is not a module
}

// freshClient opens a connection for each request.
var freshClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// do sends a request; a length of -1 makes it chunked. Headers are "Name: value".
func (s *service) do(ctx context.Context, method, path, contentType string, body io.Reader, lengthBytes int64, headers ...string) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, body)
	if err != nil {
		return reply{}, err
	}
	r.ContentLength = lengthBytes
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	response, err := freshClient.Do(r)
	if err != nil {
		return reply{}, err
	}
	return readReply(response)
}

func readReply(response *http.Response) (reply, error) {
	defer response.Body.Close()
	payload, err := io.ReadAll(response.Body)
	got := reply{status: response.StatusCode, header: response.Header, body: string(payload)}
	if err != nil {
		return got, err
	}
	if mediaType := response.Header.Get("Content-Type"); mediaType == storeresponse.MediaTypeJSON || mediaType == storeresponse.MediaTypeXML {
		got.module, err = storeresponse.ParseResponse(mediaType, payload)
	}
	return got, err
}

// mustDo is do for requests that must be answered.
func (s *service) mustDo(t *testing.T, path, contentType, body string, headers ...string) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := s.do(ctx, http.MethodPost, path, contentType, strings.NewReader(body), int64(len(body)), headers...)
	if err != nil {
		t.Fatalf("the request is not answered: %v", err)
	}
	return got
}

// outcomes is the module in short form: "stored 1.2 | failed 1.3 A901 | other C000".
func (r reply) outcomes() string {
	words := []string{}
	for _, stored := range r.module.Referenced {
		words = append(words, "stored "+stored.SOPInstanceUID)
	}
	for _, f := range r.module.Failed {
		words = append(words, "failed "+f.SOPInstanceUID+" "+f.FailureReason.Hex())
	}
	for _, reason := range r.module.OtherFailures {
		words = append(words, "other "+reason.Hex())
	}
	return strings.Join(words, " | ")
}

// reportsStored says whether the answer reports the instance as stored.
func (r reply) reportsStored(sopInstanceUID string) bool {
	for _, stored := range r.module.Referenced {
		if stored.SOPInstanceUID == sopInstanceUID {
			return true
		}
	}
	return false
}

// warnings are the texts of the Warning headers.
func (r reply) warnings() string { return strings.Join(r.header["Warning"], "\n") }

// whole is the body of a request with PS3.10 instances, in memory.
func whole(t *testing.T, instances ...instance) string {
	t.Helper()
	body, _ := multipart(instances...)
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// parts frames any contents as PS3.10 parts.
func parts(contents ...string) string {
	var b strings.Builder
	for _, content := range contents {
		b.WriteString(partHeader + content + partEnd)
	}
	return b.String() + bodyEnd
}

// storeWithin sends one instance, and repeats this after 503 until it is stored. It returns how long this took.
func (s *service) storeWithin(ctx context.Context, within time.Duration, i instance) (time.Duration, error) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		body, lengthBytes := multipart(i)
		got, err := s.do(ctx, http.MethodPost, "/studies", contentType, body, lengthBytes)
		switch {
		case err == nil && got.reportsStored(i.uid()):
			return time.Since(begin), nil
		case ctx.Err() != nil:
			return time.Since(begin), fmt.Errorf("not stored within %s: status %d %s (%w)", within, got.status, got.outcomes(), errors.Join(err, ctx.Err()))
		case err == nil && got.status != http.StatusServiceUnavailable:
			return time.Since(begin), fmt.Errorf("status %d %s %s", got.status, got.outcomes(), got.body)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// wantServed checks that honest clients with small instances, and one of 9 MiB, are served in time.
func (s *service) wantServed(t *testing.T, within time.Duration) {
	t.Helper()
	var clients sync.WaitGroup
	for n, pixelBytes := range []int64{1000, 9 * mib, 300_000} {
		clients.Go(func() {
			took, err := s.storeWithin(t.Context(), slowness*within, instance{serial: 900_000 + int64(n), pixelBytes: pixelBytes})
			if err != nil {
				t.Errorf("an honest client with %d bytes: %v", pixelBytes, err)
			} else {
				t.Logf("an honest client with %d bytes is served in %s", pixelBytes, took.Round(time.Millisecond))
			}
		})
	}
	clients.Wait()
}

// rawClient is a connection to which a test writes any bytes.
type rawClient struct {
	net.Conn
	ended   chan struct{} // closed when the service, or the test, has ended the connection
	first   chan reply    // the first answer, if one came
	begun   time.Time
	chunked bool
}

// dial connects. Unless reads is false, the answer is read.
func (s *service) dial(t *testing.T, reads bool) *rawClient {
	t.Helper()
	connection, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	c := &rawClient{Conn: connection, ended: make(chan struct{}), first: make(chan reply, 1), begun: time.Now()}
	if !reads {
		connection.(*net.TCPConn).SetReadBuffer(4096)
		return c
	}
	go func() { // ends with the connection
		defer close(c.ended)
		reader := bufio.NewReader(connection)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return
		}
		if got, err := readReply(response); err == nil {
			c.first <- got
		}
		io.Copy(io.Discard, reader)
	}()
	return c
}

// beginChunked sends the header of a chunked POST.
func (s *service) beginChunked(t *testing.T, contentType string) *rawClient {
	t.Helper()
	c := s.dial(t, true)
	fmt.Fprintf(c, "POST /studies HTTP/1.1\r\nHost: e2e\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", contentType)
	c.chunked = true
	return c
}

// chunk sends a part of the body; on a connection of beginChunked, as one chunk.
func (c *rawClient) chunk(content string) error {
	if content == "" { // an empty chunk would end the body
		return nil
	}
	if c.chunked {
		content = fmt.Sprintf("%x\r\n%s\r\n", len(content), content)
	}
	_, err := io.WriteString(c, content)
	return err
}

// drip sends the block repeatedly, until the service ends the connection or ctx ends.
func (c *rawClient) drip(ctx context.Context, block string, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if c.chunk(block) != nil {
				return
			}
		case <-c.ended:
			return
		case <-ctx.Done():
			return
		}
	}
}
