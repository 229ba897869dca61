package stow_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"testing"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/stow"
)

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// postGzip sends a body as Content-Encoding: gzip (RFC 9110 §8.4.1.3).
func (s *service) postGzip(t *testing.T, body []byte, encoding string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/studies", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", encoding)
	return s.do(t, r, "")
}

func TestContentEncodingGzip(t *testing.T) {
	a, blank := ct("1.1", 3000), append(ct("1.2", 0), make([]byte, 20<<20)...) // deflate shrinks it a thousandfold
	whole := gzipped(t, multipart(a, blank))
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-6] ^= 1 // of the CRC, behind all parts
	tests := map[string]struct {
		body     []byte
		encoding string
		status   int
		want     string
	}{
		"two instances, one of them blank": {whole, "gzip", 200, "stored 1.1 | stored 1.2"},
		"the older name":                   {gzipped(t, multipart(a)), "X-GZIP", 200, "stored 1.1"},
		"identity":                         {multipart(a), "identity", 200, "stored 1.1"},
		"cut":                              {whole[:len(whole)-2000], "gzip", 202, "stored 1.1 | failed 1.2 C000"},
		"damaged behind its parts":         {damaged, "gzip", 202, "stored 1.1 | stored 1.2 | other C000"},
		"not gzip":                         {multipart(a), "gzip", 400, ""},
		"empty":                            {nil, "gzip", 400, ""},
		"another encoding":                 {multipart(a), "br", 415, ""},
		"two encodings":                    {whole, "gzip, gzip", 415, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			got := s.postGzip(t, test.body, test.encoding)
			if got.status != test.status || got.outcomes() != test.want {
				t.Fatalf("got %d %q, want %d %q; body %s\n%s", got.status, got.outcomes(), test.status, test.want, got.body, s.log.String())
			}
			for _, r := range got.module.Referenced {
				stored, _, _ := s.s3.Object(s3store.Key("", study, series, r.SOPInstanceUID, ""))
				if !bytes.Equal(stored, a) && !bytes.Equal(stored, blank) {
					t.Errorf("%s: other bytes are stored", r.SOPInstanceUID)
				}
			}
		})
	}
}

// A bomb ends at the limits, which count inflated bytes.
func TestGzipBomb(t *testing.T) {
	bomb := gzipped(t, multipart(append(ct("1.1", 0), make([]byte, 64<<20)...)))
	for name, test := range map[string]struct {
		limit  option
		status int
	}{
		"request":  {func(h *stow.Handler, _ *s3store.Config) { h.Config.MaxRequestBytes = 1 << 20 }, 413},
		"instance": {func(_ *stow.Handler, c *s3store.Config) { c.MaxInstanceBytes = 1 << 20 }, 409},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, test.limit)
			if got := s.postGzip(t, bomb, "gzip"); got.status != test.status || got.outcomes() != "failed 1.1 A700" {
				t.Errorf("got %d %q, want %d and A700", got.status, got.outcomes(), test.status)
			}
		})
	}
}
