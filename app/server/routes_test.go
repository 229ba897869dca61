package server_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"stowrs-to-s3/app/s3test"
)

// PS3.18 Table 10.5.1-1 and §8.5. Clients add a slash, or forget /studies (DICOMcloud/DICOMcloud#79,
// nroduit/Weasis#131, #164, nroduit/karnak#36).
func TestRoutes(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	const study = "2.25.289846586119708389785202274281271797771"
	tests := []struct {
		method, path string
		status       int
		header       string // that must be there
	}{
		{"POST", "/studies", 200, "X-Request-Id"},
		{"POST", "/studies/", 200, ""},
		{"POST", "/studies/" + study, 200, ""},
		{"POST", "/studies/" + study + "/", 200, ""},
		{"POST", "/studies/1.2", 409, ""},
		{"POST", "/studies/" + study + "/series", 400, ""},
		{"POST", "/", 405, "Allow"}, // a base URL without /studies; OPTIONS it has
		{"POST", "/store", 404, ""},
		{"GET", "/studies", 405, "Allow"}, // PS3.18 §8.5: 405 shall carry Allow
		{"OPTIONS", "/", 200, "Allow"},
		{"OPTIONS", "/studies", 200, "Allow"},
		{"OPTIONS", "/studies/" + study, 200, "Allow"},
		{"GET", "/metrics", 404, ""}, // on ADMINADDRESS only
	}
	for _, test := range tests {
		response := r.request(t, test.method, test.path, bytes.NewReader(sample(t)), nil)
		if response.StatusCode != test.status {
			t.Errorf("%s %s: got %d, want %d", test.method, test.path, response.StatusCode, test.status)
		}
		if test.header != "" && response.Header.Get(test.header) == "" {
			t.Errorf("%s %s: no %s", test.method, test.path, test.header)
		}
	}
}

// X-Client-DN, X-Real-IP and X-Request-Id count only from TRUSTEDPROXY.
func TestHeadersOfTheProxy(t *testing.T) {
	header := map[string]string{"X-Client-DN": "CN=modality", "X-Real-IP": "192.0.2.7", "X-Request-Id": "abc-1"}
	for trusted, want := range map[string]string{
		"127.0.0.1": "CN=modality 192.0.2.7 abc-1", "10.0.0.0/8,127.0.0.0/8": "CN=modality 192.0.2.7 abc-1", "10.0.0.0/8": " 127.0.0.1 other", "": " 127.0.0.1 other",
	} {
		t.Run("trusted "+trusted, func(t *testing.T) {
			r := start(t, s3test.Start(t, "dicom"), map[string]string{"TRUSTEDPROXY": trusted})
			response := r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), header)
			id := response.Header.Get("X-Request-Id")
			audit := r.audit(t)
			if audit["request_id"] != id {
				t.Errorf("the audit record has request_id %v, the answer %q", audit["request_id"], id)
			}
			if id != "abc-1" {
				id = "other"
			}
			if got := fmt.Sprint(audit["client_dn"], " ", audit["remote"], " ", id); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	t.Run("a request id that could break a record or a header", func(t *testing.T) {
		r := start(t, s3test.Start(t, "dicom"), map[string]string{"TRUSTEDPROXY": "127.0.0.1"})
		response := r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), map[string]string{"X-Request-Id": strings.Repeat("x", 5000)})
		if id := response.Header.Get("X-Request-Id"); len(id) > 64 || id == "" {
			t.Errorf("request id %q", id)
		}
	})
}

// Browsers upload from other origins (DICOMcloud/DICOMcloud#69, OHIF): by pre-flight, then by POST.
func TestCORS(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), map[string]string{"CORSORIGINS": "https://viewer.example.org"})
	for origin, want := range map[string]string{"https://viewer.example.org": "https://viewer.example.org", "https://evil.example.org": ""} {
		if plain := r.request(t, "OPTIONS", "/", nil, map[string]string{"Origin": origin}); plain.StatusCode != 200 {
			t.Errorf("OPTIONS that is no pre-flight: got %d, want the capabilities", plain.StatusCode)
		}
		preflight := r.request(t, "OPTIONS", "/studies", nil, map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST"})
		if got := preflight.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: allowed %q, want %q", origin, got, want)
		}
		posted := r.request(t, "POST", "/studies", bytes.NewReader(sample(t)), map[string]string{"Origin": origin})
		if got := posted.Header.Get("Access-Control-Allow-Origin"); posted.StatusCode != 200 || got != want {
			t.Errorf("%s: POST got %d, allowed %q, want 200, %q", origin, posted.StatusCode, got, want)
		}
		if got := posted.Header.Get("Access-Control-Expose-Headers"); want != "" && !strings.Contains(got, "Retry-After") {
			t.Errorf("%s: exposed are %q", origin, got)
		}
	}
}
