package e2e

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The cost of a request is proportional to its bytes, whatever it contains.
func TestManyPartsTakeTimeForEachAndNoMore(t *testing.T) {
	long(t)
	const count = 48_000
	shared := make([]bodyPart, 0, count)
	frames := make([]bodyPart, 0, count)
	for n := range count {
		shared = append(shared, bulkPart(octetStream, "p", "\x00\x00"))
		frames = append(frames, bulkPart(octetStream, fmt.Sprintf("p/frames/%d", n+1), "\x00\x00"))
	}
	picture := jpegOf(t, 8, 8, 1)
	pictures := make([]bodyPart, 0, count/4)
	for range count / 4 {
		pictures = append(pictures, bulkPart("image/jpeg", "p", picture))
	}
	many := make([]string, 0, count/2)
	for n := range count / 2 {
		many = append(many, jsonOf(fmt.Sprintf("2.25.%d", n+1), reference("00420011", "OB", "p")))
	}
	holes := make([]string, 0, count)
	for n := range count {
		holes = append(holes, reference(fmt.Sprintf("%04X%04X", 0x0011+2*(n/0xE000), 0x1001+n%0xE000), "OB", "p"))
	}
	for _, test := range []struct {
		name  string
		parts []bodyPart
	}{
		{"as many references and parts, with one URI", append([]bodyPart{jsonPart(jsonOf("2.25.7", holes...))}, shared...)},
		{"one URI for all, before its turn", append([]bodyPart{jsonPart(jsonOf("2.25.7", reference("00420011", "OB", "first"), reference("00540011", "OB", "p")))}, shared...)},
		{"one URI for all, in its turn", append([]bodyPart{jsonPart(jsonOf("2.25.7", reference("00540011", "OB", "p")))}, shared...)},
		{"frames, before their turn", append([]bodyPart{jsonPart(jsonOf("2.25.7", number("00280008", "IS", count), reference("00091001", "OB", "first"), reference("7FE00010", "OB", "p")))}, frames...)},
		{"no reference at all", append([]bodyPart{jsonPart(jsonOf("2.25.7"))}, shared...)},
		{"encapsulated frames with one URI", append([]bodyPart{jsonPart(jsonOf("2.25.7", number("00280008", "IS", count/4), reference("00091001", "OB", "first"), reference("7FE00010", "OB", "p")))}, pictures...)},
		{"many instances that share a URI", append([]bodyPart{jsonPart(many...)}, shared[:10]...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s3 := startS3(t)
			s := serveReady(t, binaries.stowrs, s3, "METADATALIMIT=128MiB")
			body := composed(test.parts...)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begin := time.Now()
			got, err := s.do(ctx, http.MethodPost, "/studies", relatedJSON, strings.NewReader(body), -1)
			took := time.Since(begin)
			if err != nil {
				t.Fatalf("not answered: %v", err)
			}
			t.Logf("%d MB in %s: status %d", len(body)/1_000_000, took.Round(time.Millisecond), got.status)
			// 24,000 instances that are stored need as many requests to S3.
			if most := 3 * time.Second; took > most && len(got.module.Referenced) < 1000 {
				t.Errorf("took %s, want at most %s", took, most)
			}
			s.wantPeakMemory(t, 256*mib)
			s.wantServed(t, 5*time.Second)
		})
	}
}

// GIF is not supported. A small GIF can have 64 million pixels, so it is refused without being read.
func TestGIFIsRefused(t *testing.T) {
	var b bytes.Buffer
	picture := image.NewPaletted(image.Rect(0, 0, 8000, 8000), color.Palette{color.Black, color.White})
	if err := gif.Encode(&b, picture, nil); err != nil {
		t.Fatal(err)
	}
	s3 := startS3(t)
	s := serveReady(t, binaries.stowrs, s3)
	before := s.peakMemoryBytes(t)
	got := s.mustDo(t, "/studies", relatedJSON, composed(
		jsonPart(jsonOf("2.25.7", reference("7FE00010", "OB", "p")), jsonOf("2.25.8")), bulkPart("image/gif", "p", b.String())))
	if got.reportsStored("2.25.7") || !strings.Contains(got.outcomes(), "failed 2.25.7 C000") && got.status != http.StatusUnsupportedMediaType {
		t.Errorf("status %d, %s; want failure C000, or 415", got.status, got.outcomes())
	}
	if grown := s.peakMemoryBytes(t) - before; grown > 32*mib {
		t.Errorf("a GIF of %d bytes costs %d MiB", b.Len(), grown/mib)
	}
	if !strings.Contains(strings.ToLower(got.warnings()+got.body), "gif") {
		t.Errorf("the answer does not say that GIF is not taken: %s", got.warnings())
	}
}
