package e2e

import (
	"bytes"
	"compress/flate"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
	"time"
)

// The size of decoded bulkdata is limited: 256 times their bytes, and 256 MiB.
func TestPNGsAreNoBomb(t *testing.T) {
	const side, count = 8000, 4 // 192 MB of pixels each
	picture := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.Black, color.RGBA{R: 1, A: 255}})
	var metadata []string
	var pictures []bodyPart
	for n := range count {
		picture.Pix[n] = 1 // a different picture
		var b bytes.Buffer
		if err := png.Encode(&b, picture); err != nil {
			t.Fatal(err)
		}
		metadata = append(metadata, jsonOf(fmt.Sprintf("2.25.%d", n+1), reference("7FE00010", "OB", fmt.Sprint("p", n))))
		pictures = append(pictures, bulkPart("image/png", fmt.Sprint("p", n), b.String()))
	}
	s3 := startS3(t)
	s3.discard()
	s := serveReady(t, binaries.stowrs, s3)
	body := composed(append([]bodyPart{jsonPart(metadata...)}, pictures...)...)
	begin := time.Now()
	got := s.mustDo(t, "/studies", relatedJSON, body)
	t.Logf("%d kB in %s: %s", len(body)/1000, time.Since(begin).Round(time.Millisecond), got.outcomes())
	most := (256*mib + 256*len(body)) / (3 * side * side)
	if stored := len(got.module.Referenced); stored == 0 || stored > most {
		t.Errorf("%d instances of %d bytes are stored, want 1 to %d", stored, 3*side*side, most)
	}
	if !strings.Contains(got.outcomes(), fmt.Sprintf("failed 2.25.%d C000", count)) {
		t.Errorf("got %s", got.outcomes())
	}
	s.wantPeakMemory(t, 256*mib)
}

// Deflated datasets that expand a thousandfold, with damage so that all of them would be
// read twice, take no more time than others.
func TestDeflatedHeadsAreNoBomb(t *testing.T) {
	const length = 30 << 20
	element := []byte("\x09\x00\x01\x10ZZ\x00\x00\x04\x00\x00\x001234")
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("\x20\x00\x0E\x00UI\x04\x001.9\x00")) // a UID before all others, in the wrong order
	for n := 0; n < length; n += len(element) {
		_, _ = w.Write(element)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content := "DICM\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.1.99" + deflated.String()
	contents := make([]string, 1+1_000_000/len(content))
	for n := range contents {
		contents[n] = content
	}
	s := serveReady(t, binaries.stowrs, startS3(t))
	body := parts(contents...)
	begin := time.Now()
	got := s.mustDo(t, "/studies", contentType, body)
	took := time.Since(begin)
	t.Logf("%d kB in %s: status %d, %s", len(body)/1000, took.Round(time.Millisecond), got.status, got.warnings())
	if got.status == 200 || !strings.Contains(got.warnings()+got.body, "128 times") {
		t.Errorf("status %d: %.300s %s", got.status, got.body, got.warnings())
	}
	if most := time.Second; took > most {
		t.Errorf("%d kB took %s, want at most %s", len(body)/1000, took, most)
	}
}
