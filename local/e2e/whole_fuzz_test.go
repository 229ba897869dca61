package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The promises as properties of random requests: framing, content, cuts and faults of S3
// are random. E2E_SEED repeats the requests of a run; E2E_FUZZTIME makes it longer.
func TestPromisesHoldForRandomRequests(t *testing.T) {
	long(t)
	t.Parallel()
	seed, lasts := rand.Uint64(), 30*time.Second
	if value := os.Getenv("E2E_SEED"); value != "" {
		seed, _ = strconv.ParseUint(value, 10, 64)
	}
	if value := os.Getenv("E2E_FUZZTIME"); value != "" {
		lasts, _ = time.ParseDuration(value)
	}
	t.Logf("E2E_SEED=%d E2E_FUZZTIME=%s", seed, lasts)
	s3 := startS3(t)
	s := serveReady(t, binaries.stowrs, s3, "MEMORYBUDGET=64MiB")
	pictures := []string{jpegOf(t, 16, 16, 1), jpegOf(t, 40, 60, 7), jpegOf(t, 300, 200, 13)}
	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	var sent, whole atomic.Int64
	var clients, weather sync.WaitGroup
	weather.Go(func() { s3.storm(ctx, rand.New(rand.NewPCG(seed, 0)), weatherOfS3()...) })
	for n := range 6 {
		clients.Go(func() {
			c := &fuzzClient{s: s, s3: s3, sent: &sent}
			defer c.close()
			g := &requests{random: rand.New(rand.NewPCG(seed, uint64(n+1))), study: fmt.Sprintf("2.25.%d", 77+n), pictures: pictures}
			for number := 1; ctx.Err() == nil && !t.Failed(); number++ {
				r := g.next()
				if err := c.check(r); err != nil {
					t.Errorf("client %d, request %d to %s as %s (chunks of %d; %s): %v", n, number, r.path, r.contentType, r.chunkBytes, r.description, err)
				} else if !r.damaged {
					whole.Add(1)
				}
			}
		})
	}
	clients.Wait()
	stop()
	weather.Wait()
	t.Logf("%d requests, %d of them whole; %d objects", sent.Load(), whole.Load(), len(s3.store.Keys()))
	s.wantServed(t, 5*time.Second)
	want := int(sent.Load()) + 3                 // plus those of wantServed
	deadline := time.Now().Add(15 * time.Second) // requests that were cut may still be storing
	for len(s.records("store transaction")) < want && time.Now().Before(deadline) {
		<-time.After(100 * time.Millisecond)
	}
	if got := len(s.records("store transaction")); got != want {
		t.Errorf("%d audit records for %d requests", got, want)
	}
	if panics := s.records("panic"); len(panics) > 0 {
		t.Errorf("%d panics, the first: %.2000v", len(panics), panics[0])
	}
	s.wantPeakMemory(t, 64*mib)
	s3.wantNoUploadsWithin(t, time.Minute)
}

// fuzzClient sends requests, on one connection as long as possible.
type fuzzClient struct {
	s          *service
	s3         *faultyS3
	sent       *atomic.Int64
	connection net.Conn
	reader     *bufio.Reader
}

func (c *fuzzClient) close() {
	if c.connection != nil {
		c.connection.Close()
		c.connection = nil
	}
}

// check sends a request, and returns which property is violated.
func (c *fuzzClient) check(r *wholeRequest) error {
	got, err := c.exchange(r)
	if r.cutAt >= 0 {
		c.close()
		return c.checkObjects(r, nil)
	}
	if err != nil {
		c.close()
		return fmt.Errorf("not answered: %w", err)
	}
	if err := c.checkObjects(r, &got); err != nil {
		return fmt.Errorf("status %d, %s: %w", got.status, got.outcomes(), err)
	}
	if !r.damaged && (got.status != http.StatusOK || len(got.module.Referenced) != len(r.instances)) {
		return fmt.Errorf("status %d, %s %s; want all %d stored: nothing is wrong with them", got.status, got.outcomes(), got.warnings(), len(r.instances))
	}
	if got.status == http.StatusOK && len(got.module.Failed)+len(got.module.OtherFailures) > 0 {
		return fmt.Errorf("status 200, and %s", got.outcomes())
	}
	if got.status == http.StatusInternalServerError {
		return fmt.Errorf("status 500: %s", got.body)
	}
	return nil
}

// checkObjects checks that every instance that was reported is stored, and that every stored instance is complete.
func (c *fuzzClient) checkObjects(r *wholeRequest, got *reply) error {
	study := strings.TrimPrefix(r.path, "/studies/")
	if got != nil {
		for _, stored := range got.module.Referenced {
			if _, meant := r.instances[stored.SOPInstanceUID]; !meant && !r.damaged {
				return fmt.Errorf("%s is reported stored, and was not sent", stored.SOPInstanceUID)
			}
			if _, ok := c.find(study, stored.SOPInstanceUID); !ok {
				return fmt.Errorf("%s is reported stored, and is not in S3", stored.SOPInstanceUID)
			}
		}
	}
	for sop, right := range r.instances {
		object, ok := c.find(study, sop)
		switch {
		case !ok:
		case !r.reframed && !right(object):
			return fmt.Errorf("%s in S3 (%d bytes) is not what was sent", sop, len(object))
		case r.reframed && !r.composed && !strings.Contains(r.body, object): // however the parts are divided, no byte is added or lost
			return fmt.Errorf("%s in S3 (%d bytes) is no part of the body", sop, len(object))
		}
	}
	return nil
}

// find returns the object with the UID, in any series, because a flipped bit can change that.
func (c *fuzzClient) find(study, sop string) (string, bool) {
	if object, ok := c.s3.object(study + "/" + seriesInstanceUID + "/" + sop); ok {
		return string(object), true
	}
	for _, key := range c.s3.store.Keys() {
		if strings.HasPrefix(key, study+"/") && strings.HasSuffix(key, "/"+sop) {
			object, ok := c.s3.object(key)
			return string(object), ok
		}
	}
	return "", false
}

// exchange sends the request and reads its answer.
func (c *fuzzClient) exchange(r *wholeRequest) (reply, error) {
	if c.connection == nil {
		connection, err := net.Dial("tcp", c.s.address)
		if err != nil {
			return reply{}, err
		}
		c.connection, c.reader = connection, bufio.NewReader(connection)
	}
	c.connection.SetDeadline(time.Now().Add(90 * time.Second))
	header := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: e2e\r\nContent-Type: %s\r\n", r.path, r.contentType)
	if r.chunkBytes > 0 {
		header += "Transfer-Encoding: chunked\r\n\r\n"
	} else {
		header += fmt.Sprintf("Content-Length: %d\r\n\r\n", len(r.body))
	}
	if _, err := io.WriteString(c.connection, header); err != nil {
		return reply{}, err
	}
	c.sent.Add(1)
	written := make(chan error, 1)
	connection := c.connection
	go func() { written <- r.write(connection) }() // ends with the answer, or with the connection
	if r.cutAt >= 0 {
		err := <-written
		c.close()
		return reply{}, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return reply{}, errors.Join(err, connection.Close(), <-written)
	}
	got, err := readReply(response)
	if response.Close { // the service will read nothing more
		c.close()
	}
	<-written
	return got, err
}

// write sends the body, cut or chunked as the request says.
func (r *wholeRequest) write(w io.Writer) error {
	body := r.body
	if r.cutAt >= 0 {
		body = body[:r.cutAt]
	}
	if r.chunkBytes == 0 {
		_, err := io.WriteString(w, body)
		return err
	}
	buffered := bufio.NewWriterSize(w, 64<<10)
	for body != "" {
		n := min(r.chunkBytes, len(body))
		if _, err := buffered.WriteString(chunkOf(body[:n])); err != nil {
			return err
		}
		body = body[n:]
	}
	if r.cutAt < 0 {
		buffered.WriteString("0\r\n\r\n")
	}
	return buffered.Flush()
}
