package server_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"stowrs-to-s3/app/s3test"
)

// X-Client-DN, X-Real-IP and X-Request-Id are accepted only from TRUSTEDPROXY.
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

// The base URI is the one that the client sees. Only headers of TRUSTEDPROXY change it, and
// other headers, which some frameworks read, are ignored.
func TestBaseURI(t *testing.T) {
	for name, test := range map[string]struct {
		trusted string
		header  map[string]string
		want    string
	}{
		"no proxy":                   {"", nil, "http://stow.example/"},
		"TLS proxy":                  {"127.0.0.1", map[string]string{"X-Forwarded-Proto": "https"}, "https://stow.example/"},
		"host of the proxy":          {"127.0.0.1", map[string]string{"X-Forwarded-Proto": "HTTPS", "X-Forwarded-Host": "pacs.example.org:8443"}, "https://pacs.example.org:8443/"},
		"anyone":                     {"", map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}, "http://stow.example/"},
		"proxy elsewhere":            {"10.0.0.0/8", map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}, "http://stow.example/"},
		"a scheme that is none":      {"127.0.0.1", map[string]string{"X-Forwarded-Proto": "gopher"}, "http://stow.example/"},
		"a host that is none":        {"127.0.0.1", map[string]string{"X-Forwarded-Host": `evil.example/"><x`}, "http://stow.example/"},
		"a long host":                {"127.0.0.1", map[string]string{"X-Forwarded-Host": strings.Repeat("x", 1000)}, "http://stow.example/"},
		"X-Forwarded-Protocol":       {"127.0.0.1", map[string]string{"X-Forwarded-Protocol": "https"}, "http://stow.example/"},
		"X-Forwarded-Ssl":            {"127.0.0.1", map[string]string{"X-Forwarded-Ssl": "on"}, "http://stow.example/"},
		"X-Url-Scheme":               {"127.0.0.1", map[string]string{"X-Url-Scheme": "https"}, "http://stow.example/"},
		"a port and an IPv6 address": {"", map[string]string{"Host": "[2001:db8::1]:8080"}, "http://[2001:db8::1]:8080/"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, s3test.Start(t, "dicom"), map[string]string{"TRUSTEDPROXY": test.trusted})
			request := "OPTIONS /studies HTTP/1.1\r\nConnection: close\r\n"
			if test.header["Host"] == "" {
				request += "Host: stow.example\r\n"
			}
			for name, value := range test.header {
				request += name + ": " + value + "\r\n"
			}
			if got := r.raw(t, request+"\r\n"); !strings.Contains(got, fmt.Sprintf("base=%q", test.want)) {
				t.Errorf("the base is not %s in\n%.600s", test.want, got)
			}
		})
	}
}

// RFC 9112 §3.2: an invalid Host is refused with 400. HTTP/1.0 may omit it.
func TestHost(t *testing.T) {
	r := start(t, s3test.Start(t, "dicom"), nil)
	for host, status := range map[string]int{
		"stow.example": 200, "stow_app:8080": 200, "192.0.2.1": 200, "[::1]:8080": 200, "": 200,
		"a,b": 400, "user@stow.example": 400, "stow.example:port": 400, strings.Repeat("x", 4000): 400,
	} {
		got := r.raw(t, "OPTIONS /studies HTTP/1.0\r\nHost: "+host+"\r\n\r\n")
		if _, line, _ := strings.Cut(got, " "); !strings.HasPrefix(line, fmt.Sprint(status)) || strings.Contains(got, strings.Repeat("x", 301)) {
			t.Errorf("Host %.60s: want %d, got\n%.300s", host, status, got)
		}
	}
	r.raw(t, "POST /studies HTTP/1.0\r\nHost: a,b\r\nContent-Length: 0\r\n\r\n")
	if strings.Contains(r.awaitLog(t, `"refusal":"the Host header`), strings.Repeat("x", 301)) {
		t.Error("the log repeats a long Host")
	}
}
