package e2e

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The checksum of a content coding follows after all bytes, when they are already stored. So no coding is accepted
// (RFC 9110 §15.5.16: 415, and Accept-Encoding says what is accepted).
func TestCodedBodiesAreRefused(t *testing.T) {
	s3 := startS3(t)
	s := startService(t, s3)
	i := instance{serial: 1, pixelBytes: 3000}
	plain := whole(t, i)
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.NoCompression)
	w.Write([]byte(plain))
	w.Close()
	damaged := slices.Clone(zipped.Bytes())
	damaged[2000] ^= 1 // one bit of the pixels, which only the CRC-32 at the end shows

	for _, test := range []struct{ coding, body string }{
		{"gzip", zipped.String()}, {"gzip", string(damaged)}, {"x-gzip", zipped.String()}, {"GZIP", zipped.String()},
		{"deflate", plain}, {"br", plain}, {"zstd", plain}, {"identity, gzip", zipped.String()}, {"gzip, gzip", zipped.String()},
	} {
		got := s.mustDo(t, "/studies", contentType, test.body, "Content-Encoding: "+test.coding)
		if got.status != http.StatusUnsupportedMediaType {
			t.Errorf("Content-Encoding %s: status %d %s, want 415", test.coding, got.status, got.outcomes())
		}
		if accepted := got.header.Get("Accept-Encoding"); accepted != "identity" && !strings.Contains(got.body, "identity") && !strings.Contains(got.body, "without") {
			t.Errorf("Content-Encoding %s: the answer does not say what is accepted: Accept-Encoding %q, %.150s", test.coding, accepted, got.body)
		}
	}
	s3.wantExactly(t)
	if got := s.mustDo(t, "/studies", contentType, plain, "Content-Encoding: identity"); got.status != http.StatusOK {
		t.Errorf("Content-Encoding identity: status %d %s, want 200", got.status, got.body)
	}
	s3.wantExactly(t, i)
}
