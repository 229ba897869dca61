package e2e

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// throttled is the address of a path to another one on which each connection carries so many bytes a second, either way.
func throttled(t *testing.T, target string, bytesPerSecond int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	carry := func(to, from net.Conn) {
		defer to.Close()
		defer from.Close()
		for {
			if _, err := io.CopyN(to, from, bytesPerSecond/20); err != nil {
				return
			}
			<-time.After(time.Second / 20)
		}
	}
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			client.(*net.TCPConn).SetReadBuffer(64 << 10) // what is buffered counts as sent
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			open.Go(func() { carry(server, client) })
			open.Go(func() { carry(client, server) })
		}
	})
	t.Cleanup(func() { // before the S3 server closes its connections
		listener.Close()
	})
	return listener.Addr().String()
}

// A slow link to S3 costs time. A part needs longer than RETRYTIME, after which an attempt without progress ends, and most of that time after the system has taken all of it.
func TestSlowLinkToS3(t *testing.T) {
	long(t)
	t.Parallel()
	s3 := startS3(t)
	link := throttled(t, strings.TrimPrefix(s3.http.URL, "http://"), 200_000)
	s := startService(t, s3, "AWS_ENDPOINT_URL_S3=http://"+link, "RETRYTIME=15s")
	c := &senders{s: s}
	for range 10 {
		c.send(t, 300_000)
	}
	c.send(t, 20*mib) // parts of 8 MiB: 42 s each
	c.wg.Wait()
	s3.wantExactly(t, c.all...)
	s3.wantNoUploadsWithin(t, 10*time.Second)
	if got := s3.count("UploadPart"); got != 3 {
		t.Errorf("%d parts were sent, want 3: none again", got)
	}
}

// An outage of S3 that is longer than RETRYTIME is told to senders, and stowrs send waits until it is over.
func TestLongOutageIsWaitedFor(t *testing.T) {
	long(t)
	t.Parallel()
	const count = 300
	folder, instances := archive(t, count)
	s3 := startS3(t)
	s := startService(t, s3)
	begun := s3.count("PutObject")
	p := start(t, nil, binaries.stowrsRace, "send", "--url", s.url(), "--batch", "10", folder)
	eventually(t, 20*time.Second, "some are stored", func() bool { return s3.count("PutObject") > begun+20 })
	lift := s3.inject(fault{status: 503, code: "ServiceUnavailable"})
	<-time.After(65 * time.Second) // RETRYTIME is 60 s
	lift()
	if code := p.exitCode(t, time.Minute); code != 0 {
		t.Errorf("stowrs send: exit %d", code)
	}
	s3.wantExactly(t, instances...)
	s3.wantNoUploadsWithin(t, 10*time.Second)
}
