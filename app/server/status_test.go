package server_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"stowrs-to-s3/app/s3test"
)

// The page is only on ADMINADDRESS; a browser caches nothing, runs no script, and loads only the style sheet.
// The page contains no UID and no client.
func TestStatusPage(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	r.awaitReady(t, 200)
	r.request(t, "POST", "/studies/1.2.3.4.5", bytes.NewReader(sample(t)), map[string]string{"X-Client-DN": "CN=modality-1"})
	r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), nil)
	r.request(t, "POST", "/studies", strings.NewReader(""), map[string]string{"Content-Type": "text/plain"})
	_, page := r.get(t, "/")
	for _, want := range []string{"<title>ready: stowrs</title>", "A901", "HTTP 415", "Version test", "0 of 512"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
	for _, secret := range []string{"1.2.3.4.5", "2.25.", "modality-1", "127.0.0.1", "<script"} {
		if strings.Contains(page, secret) {
			t.Errorf("the page has %q", secret)
		}
	}
	for path, mediaType := range map[string]string{"/": "text/html; charset=utf-8", "/status.css": "text/css; charset=utf-8"} {
		response, err := http.Get("http://" + r.admin + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		header := response.Header
		if header.Get("Content-Type") != mediaType || header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'self';") {
			t.Errorf("%s: got %v", path, header)
		}
		if public, err := http.Get("http://" + r.stow + path); err != nil || public.StatusCode < 400 || public.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s on LISTENADDRESS: got %v, error %v", path, public, err)
		}
	}
	if status, _ := r.get(t, "/other"); status != 404 {
		t.Errorf("another path: got %d, want 404", status)
	}
}
