package stow

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// PS3.18 §8.7.1, Table 10.5.4-1; as clients write it, STOW-RS.md 3.1, 1 to 5.
func TestAcceptContent(t *testing.T) {
	tests := []struct {
		contentType string
		boundary    string
		single      bool
		statusCode  int // 0: accepted
	}{
		{`multipart/related; type="application/dicom"; boundary="abc"`, "abc", false, 0},
		{`multipart/related; type=application/dicom; boundary=abc`, "abc", false, 0},
		{`Multipart/Related;TYPE="APPLICATION/DICOM";Boundary=aBc`, "aBc", false, 0},
		{`multipart/related; boundary=abc`, "abc", false, 0},
		{`multipart/related; boundary=a=b/c:d?e'f; type=application/dicom`, "a=b/c:d?e'f", false, 0},
		{`multipart/related; boundary="a b"; type=application/dicom`, "a b", false, 0},
		{`multipart/related; boundary="a;b"; type=application/dicom`, "a;b", false, 0},
		{`multipart/related; boundary="a\"b"; type=application/dicom`, `a"b`, false, 0},
		{`multipart/related; boundary=----abc; type=application/dicom; start=x; charset=utf-8`, "----abc", false, 0},
		{`multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1"; boundary=abc`, "abc", false, 0},
		{`multipart/related; boundary=` + strings.Repeat("x", 256), strings.Repeat("x", 256), false, 0},
		{`application/dicom`, "", true, 0},
		{`Application/DICOM; transfer-syntax=1.2.840.10008.1.2.4.50`, "", true, 0},
		{`multipart/related; boundary=` + strings.Repeat("x", 257), "", false, 400},
		{`multipart/related; type="application/dicom"`, "", false, 400},
		{`multipart/related; type="application/dicom"; boundary=`, "", false, 400},
		{`multipart/related; type="application/dicom"; boundary=""`, "", false, 400},
		{`multipart/related; type="image/jpeg"; boundary=abc`, "", false, 415},
		{`multipart/form-data; boundary=abc`, "", false, 415},
		{`application/x-www-form-urlencoded`, "", false, 415},
		{`application/json`, "", false, 415},
		{`;;;`, "", false, 415},
		{``, "", false, 415},
	}
	for _, test := range tests {
		t.Run(test.contentType[:min(80, len(test.contentType))], func(t *testing.T) {
			got, err := acceptContent(http.Header{"Content-Type": {test.contentType}})
			var refusal *Refusal
			if errors.As(err, &refusal) != (test.statusCode != 0) || refusal != nil && refusal.StatusCode != test.statusCode {
				t.Fatalf("got error %v, want status %d", err, test.statusCode)
			}
			if got.boundary != test.boundary || got.single != test.single {
				t.Errorf("got %+v, want boundary %q, single %v", got, test.boundary, test.single)
			}
		})
	}
}

// PS3.18 §8.7.8.1, leniently by default (STOW-RS.md 1.2 and 3.2).
func TestAcceptResponse(t *testing.T) {
	tests := []struct {
		accept, query string
		want          string
		strict        string // empty: 406
	}{
		{"", "", MediaTypeJSON, ""},
		{"*/*", "", MediaTypeJSON, MediaTypeJSON},
		{"application/*", "", MediaTypeJSON, MediaTypeJSON},
		{"application/dicom+json", "", MediaTypeJSON, MediaTypeJSON},
		{"application/dicom+xml", "", MediaTypeXML, MediaTypeXML},
		{"APPLICATION/DICOM+XML", "", MediaTypeXML, MediaTypeXML},
		{"application/json", "", MediaTypeJSON, ""},
		{"application/xml", "", MediaTypeXML, ""},
		{"text/xml", "", MediaTypeXML, ""},
		{"application/dicom+xml;q=0.5, application/dicom+json;q=0.9", "", MediaTypeJSON, MediaTypeJSON},
		{"application/dicom+json;q=0.5, application/dicom+xml;q=0.9", "", MediaTypeXML, MediaTypeXML},
		{"*/*, application/dicom+xml", "", MediaTypeXML, MediaTypeXML},
		{"application/dicom+xml;q=0, */*", "", MediaTypeJSON, MediaTypeJSON},
		{"image/png", "", MediaTypeJSON, ""},
		{`multipart/related; type="application/octet-stream"; transfer-syntax=*`, "", MediaTypeJSON, ""},
		{"application/dicom+json", "application/dicom+xml", MediaTypeXML, MediaTypeXML},
		{"application/dicom+xml", "image/png", MediaTypeXML, MediaTypeXML},
		{"garbage;;q=,,", "", MediaTypeJSON, ""},
	}
	for _, test := range tests {
		t.Run(test.accept+"?"+test.query, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/studies?accept="+url.QueryEscape(test.query), nil)
			if test.accept != "" {
				r.Header.Set("Accept", test.accept)
			}
			if got, err := acceptResponse(r, false); got != test.want || err != nil {
				t.Errorf("got %q, error %v; want %q", got, err, test.want)
			}
			got, err := acceptResponse(r, true)
			var refusal *Refusal
			if got != test.strict || errors.As(err, &refusal) != (test.strict == "") {
				t.Errorf("strict: got %q, error %v; want %q", got, err, test.strict)
			}
			if refusal != nil && refusal.StatusCode != http.StatusNotAcceptable {
				t.Errorf("strict: got status %d, want 406", refusal.StatusCode)
			}
		})
	}
}
