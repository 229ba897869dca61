package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// senders are clients whose instances must all be stored.
type senders struct {
	s      *service
	wg     sync.WaitGroup
	all    []instance
	serial int64
}

// send begins a request with one instance, chunked or not.
func (c *senders) send(t *testing.T, pixelBytes int64) {
	c.serial++
	i := instance{serial: c.serial, pixelBytes: pixelBytes}
	c.all = append(c.all, i)
	chunked := c.serial%2 == 0
	c.wg.Go(func() {
		body, lengthBytes := multipart(i)
		if chunked {
			lengthBytes = -1
		}
		c.s.wantAllStored(t, body, lengthBytes, i)
	})
}

// An outage or throttling of S3 that is shorter than RETRYTIME costs
// time, but no instances, and later requests do not suffer from it.
func TestShortOutagesCostTimeAndNoInstances(t *testing.T) {
	long(t)
	t.Parallel()
	const slowDown = "SlowDown"
	s3 := startS3(t)
	s := startService(t, s3)
	c := &senders{s: s}
	outage := func(f fault, lasts time.Duration, meanwhile func()) {
		lift := s3.inject(f)
		over := time.After(lasts)
		meanwhile()
		<-over
		lift()
	}
	t.Run("500 for 0.7 s", func(t *testing.T) {
		outage(fault{status: 500, code: "InternalError"}, 700*time.Millisecond, func() { c.send(t, 1000) })
		c.wg.Wait()
	})
	t.Run("500 for 0.7 s for 60 senders", func(t *testing.T) {
		outage(fault{status: 500, code: "InternalError"}, 700*time.Millisecond, func() {
			for range 60 {
				c.send(t, 1000)
			}
		})
		c.wg.Wait()
	})
	t.Run("a blip of 50 ms afterwards", func(t *testing.T) {
		outage(fault{status: 500, code: "InternalError"}, 50*time.Millisecond, func() { c.send(t, 1000) })
		c.wg.Wait()
	})
	t.Run("5 s, small instances and multipart uploads", func(t *testing.T) {
		outage(fault{status: 503, code: "ServiceUnavailable"}, 5*time.Second, func() {
			for range 20 {
				c.send(t, 100_000)
			}
			for range 3 {
				c.send(t, 20*mib)
			}
		})
		c.wg.Wait()
	})
	t.Run("an outage in the middle of multipart uploads", func(t *testing.T) {
		created := s3.count("UploadPart")
		for range 3 {
			c.send(t, 40*mib)
		}
		eventually(t, 20*time.Second, "a part arrives", func() bool { return s3.count("UploadPart") > created })
		outage(fault{status: 500, code: "InternalError"}, 2*time.Second, func() {})
		c.wg.Wait()
	})
	t.Run("bursts of SlowDown", func(t *testing.T) {
		for range 6 {
			outage(fault{status: 503, code: slowDown}, 300*time.Millisecond, func() {
				for range 10 {
					c.send(t, 10_000)
				}
				c.send(t, 12*mib)
			})
			<-time.After(100 * time.Millisecond)
		}
		c.wg.Wait()
	})
	t.Run("connections that break for 3 s", func(t *testing.T) {
		outage(fault{cut: true}, 3*time.Second, func() {
			for range 10 {
				c.send(t, 50_000)
			}
			c.send(t, 20*mib)
		})
		c.wg.Wait()
	})
	s3.wantExactly(t, c.all...)
	s3.wantNoUploadsWithin(t, 10*time.Second)
}

// An outage longer than RETRYTIME is reported: 503 with Retry-After (PS3.18 Table
// 10.5.3-1, RFC 9110 §10.2.3), and no instance is reported as stored that is not.
func TestOutageBeyondRetryTimeIsTold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		fault  fault
		reason string
	}{
		{"500", fault{status: 500, code: "InternalError"}, "0110"},
		{"SlowDown", fault{status: 503, code: "SlowDown"}, "A700"},
		{"broken connections", fault{cut: true}, "0110"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s3 := startS3(t)
			s := startService(t, s3, "RETRYTIME=2s")
			before := instance{serial: 1, pixelBytes: 1000}
			body, lengthBytes := multipart(before)
			s.wantAllStored(t, body, lengthBytes, before)

			lift := s3.inject(test.fault)
			large, small := instance{serial: 2, pixelBytes: 20 * mib}, instance{serial: 3, pixelBytes: 1000}
			for _, i := range []instance{large, small} {
				begin := time.Now()
				wantOutageTold(t, s.mustDo(t, "/studies", contentType, whole(t, i)), i, test.reason)
				// Each request to S3 is repeated for RETRYTIME; if nothing could be stored for this time, other requests fail at once.
				if took := time.Since(begin); i == large && took < 1500*time.Millisecond || took > slowness*12*time.Second {
					t.Errorf("%d bytes: answered after %s, RETRYTIME is 2s", i.pixelBytes, took)
				}
			}
			lift()

			// The outage begins when half of an instance is already in S3.
			created := s3.count("UploadPart")
			begun := s.beginChunked(t, contentType)
			content := whole(t, instance{serial: 4, pixelBytes: 40 * mib})
			begun.chunk(content[:20*mib])
			eventually(t, 20*time.Second, "a part arrives", func() bool { return s3.count("UploadPart") > created })
			lift = s3.inject(test.fault)
			go func() {
				begun.chunk(content[20*mib:])
				begun.Write([]byte("0\r\n\r\n"))
			}()
			select {
			case got := <-begun.first:
				wantOutageTold(t, got, instance{serial: 4, pixelBytes: 40 * mib}, test.reason)
			case <-time.After(30 * time.Second):
				t.Error("the upload is not answered within 30 s")
			}
			lift()
			s3.wantExactly(t, before)
			s3.wantNoUploadsWithin(t, time.Minute)
			s.wantServed(t, 5*time.Second)
		})
	}
}

func wantOutageTold(t *testing.T, got reply, i instance, reason string) {
	t.Helper()
	if want := "failed " + i.uid() + " " + reason; got.status != http.StatusServiceUnavailable || got.outcomes() != want {
		t.Errorf("%d bytes: status %d, %s; want 503, %s", i.pixelBytes, got.status, got.outcomes(), want)
	}
	if got.header.Get("Retry-After") == "" {
		t.Errorf("%d bytes: no Retry-After: %v", i.pixelBytes, got.header)
	}
}
