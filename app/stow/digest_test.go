package stow_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/stow"
)

// A digest of the body covers all its bytes (RFC 9530 §2, RFC 1864). If a body was not read to its end, for any reason, nobody knows
// whether it was damaged, so nothing of it is reported as stored. Without a digest,
// the instances that were received completely before count.
func TestDigestOfABodyThatIsNotReadToItsEnd(t *testing.T) {
	first, second := ct("1.1", 1000), ct("1.2", 1000)
	whole := multipart(first, second)
	head, _ := bytes.CutSuffix(whole, []byte("--"+boundary+"--\r\n"))
	short := func(h *stow.Handler, _ *s3store.Config) { h.Config.MaxRequestBytes = int64(len(whole)) + 1000 }
	stalls := func(h *stow.Handler, _ *s3store.Config) { h.Config.StallTimeout = 200 * time.Millisecond }
	many := bytes.Repeat([]byte("--"+boundary+"\r\n\r\n\r\n"), 100_000)
	tests := map[string]struct {
		option option
		body   []byte
		then   io.Reader
		status int
	}{
		"a header over its limit": {body: bytes.Join([][]byte{head, []byte("--" + boundary + "\r\nX: " + strings.Repeat("x", 40<<10))}, nil), status: 400},
		"over MAXREQUESTSIZE":     {option: short, body: append(bytes.Clone(head), make([]byte, 4000)...), status: 413},
		"cut":                     {body: head, status: 400},
		"too many parts":          {body: append(bytes.Clone(head), many...), status: 413},
		"a stall":                 {option: stalls, body: head, then: stalled{t.Context()}, status: 408},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, digest := range []bool{false, true} {
				s := newService(t, func(h *stow.Handler, c *s3store.Config) {
					if test.option != nil {
						test.option(h, c)
					}
				})
				body := io.Reader(bytes.NewReader(test.body))
				if test.then != nil {
					body = io.MultiReader(body, test.then)
				}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/studies", struct{ io.Reader }{body})
				if err != nil {
					t.Fatal(err)
				}
				want := http.StatusAccepted
				if digest {
					sum := sha256.Sum256(append([]byte("others"), test.body...))
					r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
					want = test.status
				}
				got := s.do(t, r, "")
				if stored := len(got.module.Referenced); got.status != want || (stored > 0) == digest {
					t.Errorf("digest %v: got %d %.200q, want %d", digest, got.status, got.outcomes(), want)
				}
				if told := fmt.Sprint(got.header["Warning"]); digest && !strings.Contains(told, "nothing of it counts") {
					t.Errorf("the sender is told %s, want why nothing counts", told)
				}
			}
		})
	}
}

// stalled sends nothing until its context ends.
type stalled struct{ context.Context }

// Read implements io.Reader.
func (s stalled) Read([]byte) (int, error) {
	<-s.Done()
	return 0, io.EOF
}
