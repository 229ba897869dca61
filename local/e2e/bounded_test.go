package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostile is what clients do together to make the service use memory.
type hostile struct {
	name      string
	variables []string
	s3        func(*faultyS3)                // nil: no faults
	attack    func(t *testing.T, s *service) // returns when the memory has reached its peak
}

// fullScale: the largest cases have their full sizes.
var fullScale = os.Getenv("E2E_FULL") != ""

// Peak resident memory is at most MEMORYBUDGET and 128 MiB, with any number of clients and any data.
func TestMemoryIsBoundedWhateverClientsSend(t *testing.T) {
	long(t)
	t.Parallel() // together with the tests that wait; the cases run one after the other
	uploadBytes := int64(128 * mib)
	if fullScale {
		uploadBytes = 1 * gib
	}
	for _, h := range []hostile{
		{name: "99,000 failed parts with UIDs, twice", attack: func(t *testing.T, s *service) {
			postingTo(2, "/studies/2.25.9", contentType, 0, failingParts(99_000))(t, s)
		}},
		{name: "99,000 parts that are not DICOM, twice", attack: posting(2, contentType, func(w io.Writer) {
			writeMany(w, 99_000, "--e2e-boundary\r\n\r\nx\r\n")
			io.WriteString(w, bodyEnd)
		})},
		{name: "200 unfinished headers of 900 kB", attack: holding(200, "POST /studies HTTP/1.1\r\nHost: e2e\r\n"+strings.Repeat("X-A: "+strings.Repeat("a", 4000)+"\r\n", 225))},
		{name: "1,000 unfinished headers of 60 kB", attack: holding(1000, "POST /studies HTTP/1.1\r\nHost: e2e\r\n"+strings.Repeat("X-A: "+strings.Repeat("a", 4000)+"\r\n", 15))},
		{name: "1,000 idle connections", attack: holding(1000, "OPTIONS /studies HTTP/1.1\r\nHost: e2e\r\n\r\n")},
		{name: "1,000 requests that have begun", attack: holding(1000, chunkedBeginning(contentType)+chunkOf(strings.Repeat("x", 4000)))},
		{name: "1,000 parts that have begun", attack: holding(1000, chunkedBeginning(contentType)+chunkOf(partHeader+strings.Repeat("X", 4000)))},
		{name: "1,000 instances that have begun", attack: holding(1000, chunkedBeginning(contentType)+chunkOf(partHeader+string(instance{serial: 1, pixelBytes: mib}.beginning())+string(instance{serial: 1, pixelBytes: mib}.middle())+pattern(40_000)))},
		{name: "500 metadata that have begun", attack: holding(500, chunkedBeginning(relatedJSON)+chunkOf("--e2e-boundary\r\nContent-Type: application/dicom+json\r\n\r\n["+strings.Repeat("{},", 30_000)))},
		{name: "part headers of 64 kB", attack: holding(500, chunkedBeginning(contentType)+chunkOf("--e2e-boundary\r\n"+strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 64)))},
		{name: "metadata of empty datasets", attack: posting(2, relatedJSON, metadataOf("[", "{},", 5_000_000, "{}]"))},
		{name: "metadata of small elements", attack: posting(2, relatedJSON, metadataOf(`[{"00080018":{"vr":"UI","Value":["2.25.7"]}`, `,"00091001":{"vr":"UN"}`, 650_000, "}]"))},
		{name: "metadata of small values", attack: posting(2, relatedJSON, metadataOf(`[{"00091001":{"vr":"US","Value":[1`, ",1", 7_000_000, "]}}]"))},
		{name: "metadata of deep sequences", attack: posting(2, relatedJSON, metadataOf(`[{"00091001":{"vr":"SQ","Value":[{}`, `,{"00091002":{"vr":"SQ","Value":[{},{},{}]}}`, 350_000, "]}}]"))},
		{name: "metadata that nest for ever", attack: posting(2, relatedJSON, metadataOf(`[`, `{"00091001":{"vr":"SQ","Value":[`, 400_000, ""))},
		{name: "metadata of one long text", attack: posting(2, relatedJSON, metadataOf(`[{"00420010":{"vr":"UT","Value":["`, `\u00e4`, 2_500_000, `"]}}]`))},
		{name: "XML metadata of empty elements", attack: posting(2, relatedXML, xmlOf(`<DicomAttribute tag="00091001" vr="UN"/>`, 380_000))},
		{name: "XML metadata of unknown elements", attack: posting(2, relatedXML, xmlOf(`<a/>`, 3_800_000))},
		{name: "XML metadata of attributes", attack: posting(2, relatedXML, xmlOf(`<a b="" c="" d="" e="" f="" g=""/>`, 450_000))},
		{name: "references with much space around their UIDs", attack: postingTo(8, "/commitment-requests/2.25.7", "application/dicom+json", 0, func(w io.Writer) {
			io.WriteString(w, `{"00081199":{"Value":[`)
			writeMany(w, 1000, `{"00081155":{"Value":["1.3`+strings.Repeat(" ", 60_000)+`"]}},`)
			io.WriteString(w, `{"00081155":{"Value":["1.3"]}}]}}`)
		})},
		{name: "500 references that have begun", attack: holding(500, strings.Replace(chunkedBeginning("application/dicom+json"), "/studies", "/commitment-requests/2.25.7", 1)+chunkOf(`{"00081199":{"Value":[{"00081155":{"Value":["`+strings.Repeat("1", 60_000)))},
		{name: "bulkdata before their turn", attack: posting(4, relatedJSON, func(w io.Writer) {
			io.WriteString(w, strings.TrimSuffix(composed(jsonPart(jsonOf("2.25.7", reference("00420011", "OB", "first"), reference("00540011", "OB", "p"))),
				bulkPart(octetStream, "p", pattern(30*mib))), bodyEnd))
			io.WriteString(w, bodyEnd)
		})},
		{name: "large multi-frame images", s3: (*faultyS3).discard, attack: func(t *testing.T, s *service) {
			frame := jpegOf(t, 512, 512, 7)
			const frames = 300
			postingTo(4, "/studies", relatedJSON, http.StatusOK, func(w io.Writer) {
				io.WriteString(w, strings.TrimSuffix(composed(jsonPart(jsonOf("2.25.7", number("00280008", "IS", frames), reference("7FE00010", "OB", "p")))), bodyEnd))
				part := strings.TrimSuffix(composed(bulkPart("image/jpeg", "p", frame)), bodyEnd)
				writeMany(w, frames, part)
				io.WriteString(w, bodyEnd)
			})(t, s)
		}},
		{name: "interlaced PNGs", attack: holding(8, chunkedBeginning(relatedJSON)+chunkOf(interlacedPNG()+emptyIDAT()))},
		{name: "64 clients that trickle", s3: (*faultyS3).discard, attack: holding(64, chunkedBeginning(contentType)+chunkOf(partHeader+string(instance{serial: 1, pixelBytes: 100 * mib}.beginning())+string(instance{serial: 1, pixelBytes: 100 * mib}.middle())+pattern(3*mib)))},
		{name: "32 heads of 20 MB", s3: (*faultyS3).discard, attack: func(t *testing.T, s *service) {
			sendAll(t, s, 32, func(n int) instance { return instance{serial: int64(n), pixelBytes: 4000, earlyBytes: 20_000_000} })
		}},
		{name: "8 large uploads into a slow S3", s3: func(s3 *faultyS3) {
			s3.discard()
			s3.setLatency(100 * time.Millisecond)
		}, attack: func(t *testing.T, s *service) {
			sendAll(t, s, 8, func(n int) instance { return instance{serial: int64(n), pixelBytes: uploadBytes} })
		}},
		{name: "128 uploads of 1 MiB into an S3 that takes a second", s3: func(s3 *faultyS3) {
			s3.discard()
			s3.setLatency(time.Second)
		}, attack: func(t *testing.T, s *service) {
			sendAll(t, s, 128, func(n int) instance { return instance{serial: int64(n), pixelBytes: mib} })
		}},
	} {
		t.Run(h.name, func(t *testing.T) {
			s3 := startS3(t)
			if h.s3 != nil {
				h.s3(s3)
			}
			s := serveReady(t, binaries.stowrs, s3, append([]string{"MEMORYBUDGET=64MiB", "LOGLEVEL=ERROR"}, h.variables...)...)
			h.attack(t, s)
			s.wantPeakMemory(t, 64*mib)
			select {
			case <-s.exited:
				t.Error("the service has ended")
			default:
			}
		})
	}
}

// posting sends the body in so many concurrent requests, and reads the answers, with any status.
func posting(count int, contentType string, write func(io.Writer)) func(*testing.T, *service) {
	return postingTo(count, "/studies", contentType, 0, write)
}

// postingTo is posting with a path; if status is not 0, every answer must have it.
func postingTo(count int, path, contentType string, status int, write func(io.Writer)) func(*testing.T, *service) {
	return func(t *testing.T, s *service) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		var clients sync.WaitGroup
		for range count {
			clients.Go(func() {
				reader, writer := io.Pipe()
				defer reader.Close() // ends the writer
				go func() {
					write(writer)
					writer.Close()
				}()
				// A refusal can break a connection that still sends.
				got, err := s.do(ctx, http.MethodPost, path, contentType, reader, -1)
				if ctx.Err() != nil {
					t.Errorf("not answered within four minutes: %v", err)
				}
				if status != 0 && got.status != status {
					t.Errorf("status %d %s %s (%v), want %d", got.status, got.outcomes(), got.warnings(), err, status)
				}
			})
		}
		clients.Wait()
	}
}

// holding opens so many connections, sends the same on each, and keeps them open for some seconds.
func holding(count int, beginning string) func(*testing.T, *service) {
	return func(t *testing.T, s *service) {
		var clients sync.WaitGroup
		for range count {
			c := s.dial(t, true)
			clients.Go(func() {
				c.SetWriteDeadline(time.Now().Add(3 * time.Second)) // the service need not read all of it
				io.WriteString(c, beginning)
			})
		}
		clients.Wait()
		<-time.After(time.Second)
	}
}

// sendAll stores so many instances at the same time, which must succeed.
func sendAll(t *testing.T, s *service, count int, nth func(n int) instance) {
	var clients sync.WaitGroup
	for n := range count {
		clients.Go(func() {
			i := nth(n)
			if _, err := s.storeWithin(t.Context(), 2*time.Minute, i); err != nil {
				t.Errorf("instance %d: %v", n, err)
			}
		})
	}
	clients.Wait()
}

func chunkedBeginning(contentType string) string {
	return "POST /studies HTTP/1.1\r\nHost: e2e\r\nContent-Type: " + contentType + "\r\nTransfer-Encoding: chunked\r\n\r\n"
}

func chunkOf(content string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(content), content) }

// failingParts are complete instances with the longest UIDs, of another study than that of the request.
func failingParts(count int) func(io.Writer) {
	return func(w io.Writer) {
		long := "2.25." + strings.Repeat("1", 50)
		for n := range count {
			uid := fmt.Sprintf("%s%09d", long, n)
			part := "--e2e-boundary\r\n\r\nDICM" + string(le.UI(0x00020002, uid)) + string(le.UI(0x00020003, uid)) +
				string(le.UI(0x00080016, uid)) + string(le.UI(0x00080018, uid)) + string(le.UI(0x0020000D, uid)) + string(le.UI(0x0020000E, uid)) + "\r\n"
			if _, err := io.WriteString(w, part); err != nil {
				return
			}
		}
		io.WriteString(w, bodyEnd)
	}
}

func metadataOf(beginning, repeated string, times int, end string) func(io.Writer) {
	return func(w io.Writer) {
		io.WriteString(w, "--e2e-boundary\r\nContent-Type: application/dicom+json\r\n\r\n"+beginning)
		writeMany(w, times, repeated)
		io.WriteString(w, end+"\r\n"+bodyEnd)
	}
}

func xmlOf(repeated string, times int) func(io.Writer) {
	return func(w io.Writer) {
		io.WriteString(w, "--e2e-boundary\r\nContent-Type: application/dicom+xml\r\n\r\n<NativeDicomModel>")
		writeMany(w, times, repeated)
		io.WriteString(w, "</NativeDicomModel>\r\n"+bodyEnd)
	}
}

// writeMany writes a text many times, in large blocks.
func writeMany(w io.Writer, times int, repeated string) {
	perBlock := max(1, (64<<10)/len(repeated))
	block := strings.Repeat(repeated, perBlock)
	for ; times >= perBlock; times -= perBlock {
		if _, err := io.WriteString(w, block); err != nil {
			return
		}
	}
	io.WriteString(w, strings.Repeat(repeated, times))
}
