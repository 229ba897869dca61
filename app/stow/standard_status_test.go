package stow_test

import (
	"bytes"
	"testing"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

// Status codes of PS3.18 Table 10.5.3-1 and §8.5.
//
// Never given: 201, 204 and 206, which clients take for a failure or a success as
// they like; 401 and 403, the service has no users of its own; 411, see "no
// Content-Length"; 501, see "any SOP class". 404, 405 and the payload of errors
// (temporary or permanent) come from the routes: TestRoutes and TestProblems of
// package server. 408: TestSlowClientIsCutAndAnswered.
func TestStatusCodes(t *testing.T) {
	a, b, other := ct("1.1", 10), ct("1.2", 3000), instance("1.3", "9.9", series, classUID, 10)
	private := instance("1.4", study, series, "1.3.46.670589.11.0.0.12.2", 10)
	garbage := []byte("this is not DICOM at all, it is only text")
	warned := bytes.Replace(ct("1.7", 10), []byte("1.7\x00"), []byte("1.8\x00"), 1)
	outage := func(s *service) {
		s.s3.Inject(s3test.Fault{Operation: "PutObject", Status: 500, Code: "InternalError"})
	}
	runExchanges(t, []exchange{
		{name: "200: all stored", source: "PS3.18 Table 10.5.3-1", body: multipart(a, b), status: 200, want: "stored 1.1 | stored 1.2", stored: [][]byte{a, b}},
		{name: "202: failures exist", source: "PS3.18 Table 10.5.3-1", body: multipart(a, garbage, b), status: 202, want: "stored 1.1 | stored 1.2 | other C000", stored: [][]byte{a, b}},
		{name: "202: warnings exist", source: "PS3.18 Table 10.5.3-1", body: multipart(a, warned), status: 202, want: "stored 1.1 | stored 1.7 B007", stored: [][]byte{a, warned}},
		{name: "400: bad syntax of all parts", source: "PS3.18 Table 10.5.3-1", body: multipart(garbage, nil), status: 400, want: "other C000 | other C000"},
		{name: "400: an empty instance", source: "PS3.18 Table 10.5.3-1", contentType: "application/dicom", status: 400, want: "other C000"},
		{name: "400: zero parts", source: "no code in PS3.18; never a success, see retries", body: multipart(), status: 400},
		{name: "400: an empty body", source: "no code in PS3.18; never a success, see retries", status: 400},
		{name: "400: the boundary does not occur", source: "PS3.18 Table 10.5.3-1", body: []byte("nothing here"), status: 400},
		{name: "406: lists the types available", source: "PS3.18 §8.5, §8.7.8", options: []option{func(h *stow.Handler, _ *s3store.Config) { h.Config.StrictAccept = true }},
			header: map[string]string{"Accept": "text/html"}, body: multipart(a), status: 406, detail: []string{storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML}},
		{name: "409: none stored, all of another study", source: "PS3.18 Table 10.5.3-1", path: "/studies/9.9", body: multipart(a, b), status: 409, want: "failed 1.1 A901 | failed 1.2 A901"},
		{name: "409: none stored, a mixture of reasons", source: "PS3.18 Table 10.5.3-1", path: "/studies/" + study, body: multipart(garbage, other), status: 409, want: "failed 1.3 A901 | other C000"},
		{name: "409: an outage among conflicts", source: "PS3.18 Table 10.5.3-1", path: "/studies/" + study, before: outage, body: multipart(a, other), status: 409, want: "failed 1.1 0110 | failed 1.3 A901"},
		{name: "411 is not given: no Content-Length", source: "PS3.18 §8.5; breaks chunked senders", body: multipart(a), chunked: true, status: 200, want: "stored 1.1", stored: [][]byte{a}},
		{name: "413: the request is too large", source: "PS3.18 §8.5", options: []option{func(h *stow.Handler, _ *s3store.Config) { h.Config.MaxRequestBytes = 1000 }},
			body: multipart(b), status: 413, detail: []string{"1000"}},
		{name: "415: lists the types supported", source: "PS3.18 Table 10.5.3-1, §8.5", contentType: "image/jpeg", body: a, status: 415, detail: []string{"image/jpeg", "multipart/related", `type="application/dicom"`}},
		{name: "501 is not given: any SOP class", source: "PS3.18 §8.5, against Table 10.5.3-1", body: multipart(private), status: 200, want: "stored 1.4", stored: [][]byte{private}},
		{name: "503: the storage is down", source: "PS3.18 §8.5", before: outage, body: multipart(a, b), status: 503, want: "failed 1.1 0110 | failed 1.2 0110"},
	})
}

// Response headers of PS3.18 Table 10.5.3-2 and §10.5.3.2.
func TestResponseHeaders(t *testing.T) {
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) { h.Config.WADOURL = "https://wado/dicomweb" })
	other := instance("1.2", "9.9", series, classUID, 1)
	answers := map[string]answer{
		"stored":      s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 1)))),
		"two studies": s.post(t, "/studies", "", bytes.NewReader(multipart(ct("1.1", 1), other))),
		"some stored": s.post(t, "/studies/"+study, "", bytes.NewReader(multipart(ct("1.1", 1), nil, nil, other))),
		"none stored": s.post(t, "/studies", "", bytes.NewReader(multipart(nil))),
		"refused":     s.post(t, "/studies/abc", "", bytes.NewReader(multipart(nil))),
	}
	const json, url = storeresponse.MediaTypeJSON, "https://wado/dicomweb/studies/1.2.3"
	for _, test := range []struct{ answer, header, source, want string }{
		{"stored", "Content-Type", "mandatory with a payload", json},
		{"none stored", "Content-Type", "mandatory with a payload", json},
		{"stored", "Content-Location", "a new resource", url},
		{"stored", "Location", "a new resource", url},
		{"some stored", "Content-Location", "a new resource", url},
		{"some stored", "Location", "a new resource", url},
		{"two studies", "Location", "no one resource", ""},
		{"two studies", "Content-Location", "no one resource", ""},
		{"none stored", "Location", "no new resource", ""},
		{"none stored", "Content-Location", "no new resource", ""},
		{"refused", "Location", "no new resource", ""},
		{"stored", "Warning", "nothing to warn of", ""},
		{"some stored", "Warning", "DICOM status codes (§10.5.3.2), syntax of RFC 7234 §5.5", `299 stowrs-to-s3 "3 of 4 not stored: A901 C000"`},
		{"none stored", "Warning", "DICOM status codes (§10.5.3.2), syntax of RFC 7234 §5.5", `299 stowrs-to-s3 "1 of 1 not stored: C000"`},
	} {
		t.Run(test.header+", "+test.answer, func(t *testing.T) {
			if got := answers[test.answer].header.Get(test.header); got != test.want {
				t.Errorf("%s: got %q, want %q", test.source, got, test.want)
			}
		})
	}
	for name, answer := range answers {
		t.Run("Content-Length or Transfer-Encoding, "+name, func(t *testing.T) {
			if length := answer.header.Get("Content-Length"); length == "" && answer.header.Get("Transfer-Encoding") == "" {
				t.Errorf("neither is there: %v", answer.header)
			}
		})
	}
}
