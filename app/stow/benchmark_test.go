package stow_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
)

// A request of 50 instances of 8 KiB, from its header to its answer, with S3 in the same process.
func BenchmarkStore(b *testing.B) {
	s := newService(b)
	var parts [][]byte
	for n := range 50 {
		parts = append(parts, ct(fmt.Sprintf("1.2.3.4.%d", n), 8<<10))
	}
	body := multipart(parts...)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		response, err := s.client.Post(s.url+"/studies", multipartType(boundary), bytes.NewReader(body))
		if err != nil || response.StatusCode != http.StatusOK {
			b.Fatalf("got %v, %v", response, err)
		}
		response.Body.Close()
	}
}
