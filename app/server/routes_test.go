package server_test

import (
	"bytes"
	"slices"
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
		header       string // header that must be present
	}{
		{"POST", "/studies", 200, "X-Request-Id"},
		{"POST", "/studies/", 200, ""},
		{"POST", "/studies/" + study, 200, ""},
		{"POST", "/studies/" + study + "/", 200, ""},
		{"POST", "/studies/1.2", 409, ""},
		{"POST", "/studies/" + study + "/series", 404, ""},
		{"GET", "/studies/" + study + "/series", 404, ""},
		{"OPTIONS", "/studies/" + study + "/series/1.2", 404, ""},
		{"POST", "/", 405, "Allow"}, // a base URL without /studies; / only has OPTIONS
		{"POST", "/store", 404, ""},
		{"GET", "/studies", 405, "Allow"}, // PS3.18 §8.5: 405 shall carry Allow
		{"POST", "//studies", 200, ""},    // a base URL that ends in a slash
		{"POST", "///studies//", 200, ""},
		{"POST", "/%73tudies", 200, ""}, // RFC 3986 §6.2.2.2
		{"POST", "/%53tudies", 404, ""}, // %53 is S
		{"POST", "/studies%2F" + study, 404, ""},
		{"POST", "/studies/%31.2", 409, ""},
		{"POST", "/studies/" + strings.ReplaceAll(study, ".", "%2E"), 200, ""},
		{"POST", "/studies/1%2F2", 400, ""},
		{"OPTIONS", "//", 200, "Allow"},
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
		for _, name := range []string{"Warning", "Location", "Content-Location", "X-Request-Id", "Retry-After"} {
			exposed := strings.Split(strings.ToLower(posted.Header.Get("Access-Control-Expose-Headers")), ",")
			if want != "" && !slices.Contains(exposed, strings.ToLower(name)) {
				t.Errorf("%s: %s is not among what is exposed: %q", origin, name, exposed)
			}
		}
		long := r.request(t, "OPTIONS", "/studies", nil, map[string]string{
			"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": strings.Repeat("x", 2000),
		})
		for name, values := range long.Header {
			if len(strings.Join(values, "")) > 300 {
				t.Errorf("%s repeats %d bytes", name, len(strings.Join(values, "")))
			}
		}
	}
}
