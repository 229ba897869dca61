package stow_test

import (
	"bytes"
	"strings"
	"testing"

	"stowrs-to-s3/app/storeresponse"
)

// The tables of the files standard_*_test.go follow PS3.18 §10.5 (Store
// transaction), those of quirks_*_test.go the practice of clients.

// Requests: resources, query, headers and payload of PS3.18 §10.5.1. Metadata
// and bulkdata (§10.5.1.4, §8.6.1.2) have their own tests.
func TestRequests(t *testing.T) {
	a, b, other := ct("1.1", 10), ct("1.2", 3000), instance("1.3", "9.9", series, classUID, 10)
	runExchanges(t, []exchange{
		{
			name: "URI: studies takes any studies", source: "PS3.18 Table 10.5.1-1, §10.5.1.4",
			body: multipart(a, other), status: 200, want: "stored 1.1 | stored 1.3", stored: [][]byte{a, other},
		},
		{
			name: "URI: studies/{study} takes that study", source: "PS3.18 Table 10.5.1-1, §10.5.1.4",
			path: "/studies/" + study, body: multipart(a, b), status: 200, want: "stored 1.1 | stored 1.2", stored: [][]byte{a, b},
		},
		{
			name: "URI: each instance shall be of {study}", source: "PS3.18 §10.5.1.4, Table 10.5.3-1",
			path: "/studies/" + study, body: multipart(a, other), status: 202, want: "stored 1.1 | failed 1.3 A901", stored: [][]byte{a},
		},
		{
			name: "URI: {study} that letters make no UID", source: "microsoft/dicom-server, GivenARequestWithInvalidStudyInstanceUID",
			path: "/studies/abc", body: multipart(a), status: 400, detail: []string{"UID", "PS3.5"},
		},
		{
			name: "URI: {study} of 65 characters", source: "PS3.5 §9.1",
			path: "/studies/" + strings.Repeat("1", 65), body: multipart(a), status: 400, detail: []string{"64"},
		},
		{
			name: "query: parameters that are not supported are ignored", source: "PS3.18 §10.5.1.2, §8.3",
			path: "/studies?limit=1&includefield=all&x", body: multipart(a), status: 200, want: "stored 1.1", stored: [][]byte{a},
		},
		{
			name: "header: Content-Length", source: "PS3.18 Table 10.5.1-2",
			body: multipart(a, b), status: 200, want: "stored 1.1 | stored 1.2", stored: [][]byte{a, b},
		},
		{
			name: "header: Transfer-Encoding: chunked", source: "PS3.18 Table 10.5.1-2",
			body: multipart(a, b), chunked: true, status: 200, want: "stored 1.1 | stored 1.2", stored: [][]byte{a, b},
		},
		{
			name: "header: Content-Type is mandatory", source: "PS3.18 Table 10.5.1-2",
			contentType: noContentType, body: multipart(a), status: 415, detail: []string{"application/dicom"},
		},
		{
			name: "payload: one representation for each instance", source: "PS3.18 §10.5.1.4",
			body: multipart(a, b, other), status: 200, want: "stored 1.1 | stored 1.2 | stored 1.3", stored: [][]byte{a, b, other},
		},
		{
			name: "payload: a single part with Content-Length", source: "PS3.18 §8.6.1.1, 2020e Table 10.5.4-1",
			contentType: "application/dicom", body: b, status: 200, want: "stored 1.2", stored: [][]byte{b},
		},
		{
			name: "payload: a single part in chunks", source: "PS3.18 §8.6.1.1",
			path: "/studies/" + study, contentType: "Application/DICOM; transfer-syntax=" + explicitLE.UID, body: b, chunked: true, status: 200, want: "stored 1.2", stored: [][]byte{b},
		},
	})
}

// The accept query parameter is mandatory for all services (PS3.18 §8.3.3.1, Table 10.1.2-1).
func TestAcceptQueryParameter(t *testing.T) {
	s := newService(t)
	for accept, want := range map[string]string{"application/dicom%2Bxml": storeresponse.MediaTypeXML, "application/dicom%2Bjson": storeresponse.MediaTypeJSON} {
		got := s.post(t, "/studies?accept="+accept, "", bytes.NewReader(multipart(ct("1.1", 10))))
		if got.status != 200 || got.header.Get("Content-Type") != want || got.outcomes() != "stored 1.1" {
			t.Errorf("accept=%s: got %d, %s, %q; want 200, %s", accept, got.status, got.header.Get("Content-Type"), got.outcomes(), want)
		}
	}
}
