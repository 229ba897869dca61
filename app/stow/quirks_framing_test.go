package stow_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

// Framing quirks of clients: how they write Content-Type, boundary and multipart.
// Sources like owner/repository#1 are issues and pull requests on GitHub.
//
// Elsewhere: a trailing slash and a base URL without /studies in TestRoutes, Expect:
// 100-continue in TestExpectContinue, both of package server; every place where a
// body can be cut in TestSplit and FuzzSplit.
func TestFramingQuirks(t *testing.T) {
	a, b := ct("1.1", 10), ct("1.2", 3000)
	const (
		// Orthanc's client: two UUIDs and a hyphen, 73 characters.
		orthanc = "2c4f7a3e-58ab-4f7d-9d1c-0a6b7e2f4c11-7b0d6a52-3a7c-4d0f-8e55-1f2a3b4c5d6e"
		odd     = "a=b/c:d?e'f"
		dashes  = "----WebKitFormBoundary7MA4YWxk"
	)
	long := strings.Repeat("x", 256)
	lines := func(body []byte) []byte { return bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")) }
	tricky := with("1.5", explicitLE.Element(0x00091001, "OB", "\r\n--myboundary0\r\n--myboundary-\r\n\r\nx--myboundary--\n--myboundary--\r\n--myboundary \x00\r\n\r\n"))
	partHeader := func(header string) []byte {
		return bytes.ReplaceAll(multipart(a, b), []byte("Content-Type: application/dicom\r\n"), []byte(header))
	}
	good := []exchange{
		{name: "type without quotes", source: "PS3.18 §8.7.1, dcmjs-org/dcmjs#113, dcmjs-org/dicomweb-client#30, DICOMcloud/DICOMcloud#12, #89", contentType: "multipart/related; type=application/dicom; boundary=myboundary"},
		{name: "no type", source: "clients older than PS3.18 §8.7.1", contentType: "multipart/related; boundary=myboundary"},
		{name: "boundary with = / : ? without quotes", source: "Go's mime.ParseMediaType fails on it", contentType: "multipart/related; boundary=" + odd + "; type=application/dicom", body: framed(odd, a, b)},
		{name: "boundary in quotes", source: "Orthanc bug 190, dcm4che/dcm4che#415", contentType: multipartType(`"myboundary"`)},
		{name: "boundary in quotes, with a semicolon", source: "RFC 2045 §5.1", contentType: multipartType(`"a;b"`), body: framed("a;b", a, b)},
		{name: "boundary in quotes, with an escaped quote", source: "RFC 9110 §5.6.4", contentType: multipartType(`"a\"b"`), body: framed(`a"b`, a, b)},
		{name: "boundary in quotes, in chunks", source: "ImagingDataCommons/dicomweb-client#42", contentType: multipartType(`"myboundary"`), chunked: true},
		{name: "boundary of 73 characters, without quotes", source: "Orthanc Plugin/DicomWebClient.cpp", contentType: multipartType(orthanc), body: framed(orthanc, a, b)},
		{name: "boundary of 256 characters", source: "our limit", contentType: multipartType(long), body: framed(long, a, b)},
		{name: "CRLF before the first boundary", source: "both dicomweb-clients, dcm4che's stowrs; open5gs/open5gs#3059, defnull/multipart#64, ruma/ruma#1909", body: join([]byte("\r\n"), multipart(a, b))},
		{name: "preamble and epilogue", source: "RFC 2046 §5.1.1", body: join([]byte("This is MIME,\r\n--not --myboundary here\r\n"), multipart(a, b), []byte("\r\n--myboundary\r\n\r\nnot a part"))},
		{name: "preamble of one long line", source: "Go's mime/multipart peeks 4096 bytes; redpanda-data/redpanda#29621", body: join(bytes.Repeat([]byte("-"), 200_000), []byte("\r\n"), multipart(a, b))},
		{name: "no CRLF after the last boundary", source: "Orthanc Plugin/DicomWebClient.cpp", body: bytes.TrimSuffix(multipart(a, b), []byte("\r\n"))},
		{name: "lines end in LF only", source: "Go's mime/multipart; dcm4che wants CRLF", body: lines(multipart(a, b))},
		{name: "boundary begins with hyphens", source: "staktrace/mailparse#100, RadicalImaging/Static-DICOMWeb multipartStream.mjs", contentType: multipartType(dashes), body: framed(dashes, a, b)},
		{name: "boundary of hyphens", source: "RFC 2046 §5.1.1", contentType: multipartType("--"), body: framed("--", a, b)},
		{name: "parts with Content-Length", source: "Orthanc Plugin/DicomWebClient.cpp", body: join(
			text("--myboundary\r\nContent-Type: application/dicom\r\nContent-Length: ", len(a), "\r\n\r\n"), a,
			text("\r\n--myboundary\r\nContent-Type: application/dicom\r\ncontent-length:", len(b), "\r\n\r\n"), b, text("\r\n--myboundary--"))},
		{name: "parts without Content-Type", source: "microsoft/dicom-server AspNetCoreMultipartReader.cs", body: partHeader("")},
		{name: "parts with transfer-syntax and charset", source: "dcm4chee's exporter, dcm4che/dcm4che#501, dcm4che/dcm4chee-arc-light#2051", body: partHeader("Content-Type: application/dicom;transfer-syntax=1.2.840.10008.1.2.4.90; charset=utf-8\r\n")},
		{name: "parts of application/octet-stream", source: "RadicalImaging/Static-DICOMWeb", body: partHeader("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n")},
		{name: "mime/multipart trap: quoted-printable is not decoded", source: "RFC 9110 §8.3.3: HTTP has no Content-Transfer-Encoding", body: partHeader("Content-Transfer-Encoding: quoted-printable\r\n")},
		{name: "multipart by hand: echo -ne, cat", source: "dcm4che/dcm4chee-arc-light#194", body: join(
			text("--myboundary\r\nContent-Type: application/dicom\r\n\r\n"), a, text("\r\n--myboundary\r\nContent-Type: application/dicom\r\n\r\n"), b, text("\r\n--myboundary--"))},
	}
	for i := range good {
		e := &good[i]
		if e.body == nil {
			e.body = multipart(a, b)
		}
		e.status, e.want, e.stored = 200, "stored 1.1 | stored 1.2", [][]byte{a, b}
	}
	longer := bytes.Replace(multipart(a, b), []byte("\r\n\r\n"), []byte("\r\nContent-Length: 9999\r\n\r\n"), 1)
	shorter := bytes.Replace(multipart(a, b), []byte("\r\n\r\n"), []byte("\r\nContent-Length: 300\r\n\r\n"), 1)
	supported := []string{"multipart/related", `type="application/dicom"`}
	runExchanges(t, slices.Concat(good, []exchange{
		{name: "chunks that hold no part are never a success", source: "ImagingDataCommons/dicomweb-client#42", contentType: multipartType(`"other"`), body: multipart(a), chunked: true, status: 400, detail: []string{"no part"}},
		{name: "boundary of 257 characters", source: "our limit", contentType: multipartType(long + "x"), body: multipart(a), status: 400, detail: []string{"256"}},
		{name: "no closing boundary", source: "microsoft/dicom-server GivenStreamMissingEndingBoundary", body: bytes.TrimSuffix(multipart(a, b), []byte("--\r\n")), status: 202, want: "stored 1.1 | failed 1.2 C000", stored: [][]byte{a}},
		{name: "cut within the second instance", source: "mjl-/mox#315", body: multipart(a, b)[:len(multipart(a))+1500], status: 202, want: "stored 1.1 | failed 1.2 C000", stored: [][]byte{a}},
		{name: "cut within the only instance", source: "dcm4che MultipartParser", body: multipart(b)[:1000], status: 400, want: "failed 1.2 C000"},
		{name: "cut within its head", source: "dcm4che MultipartParser", body: multipart(b)[:200], chunked: true, status: 400, want: "other C000"},
		{name: "the boundary within an instance", source: "Orthanc DICOMweb NEWS 0.4, UMEssen/DICOM-RST#59", body: multipart(tricky, b), status: 200, want: "stored 1.5 | stored 1.2", stored: [][]byte{tricky, b}},
		{name: "Content-Length longer than its part", source: "verified when present", body: longer, status: 202, want: "stored 1.2 | failed 1.1 C000", stored: [][]byte{b}},
		{name: "Content-Length shorter than its part", source: "verified when present", body: shorter, status: 202, want: "stored 1.2 | failed 1.1 C000", stored: [][]byte{b}},
		{name: "multipart/form-data", source: "dicomweb-conformance-tests test 12", contentType: "multipart/form-data; boundary=myboundary", body: multipart(a), status: 415, detail: supported},
		{name: "application/x-www-form-urlencoded", source: "ImagingDataCommons/dicomweb-client#31", contentType: "application/x-www-form-urlencoded", body: multipart(a), status: 415, detail: supported},
		{name: "what was received is told, and what is supported", source: "nroduit/Weasis#833", contentType: "application/zip; x=y", body: multipart(a), status: 415, detail: append(supported, "application/zip; x=y")},
		{name: "%2f in the study", source: "innovative-io/io-dicom#55", path: "/studies/..%2f..%2fetc", body: multipart(a), status: 400},
		{name: "NUL in the study", source: "innovative-io/io-dicom#55", path: "/studies/1.2%00", body: multipart(a), status: 400},
		{name: "over the limit nothing is cut to size", source: "innovative-io/io-dicom#43", options: []option{func(h *stow.Handler, _ *s3store.Config) { h.Config.MaxRequestBytes = 3000 }},
			body: multipart(a, b), chunked: true, status: 202, want: "stored 1.1 | failed 1.2 A700", stored: [][]byte{a}},
	}))
}

func text(words ...any) []byte { return fmt.Append(nil, words...) }

// The record of a refused request contains its Content-Type, which helps integrators.
func TestContentTypeOfARefusedRequestIsLogged(t *testing.T) {
	s := newService(t)
	s.post(t, "/studies", "application/zip; x=y", bytes.NewReader(ct("1.1", 10)))
	if refusal, _ := s.audit(t)["refusal"].(string); !strings.Contains(refusal, "application/zip; x=y") {
		t.Errorf("audit record: %v", s.audit(t))
	}
}

// GoogleCloudPlatform's adapter sends a single part over HTTP/2, which has no
// Transfer-Encoding, and no length.
func TestHTTP2(t *testing.T) {
	s := &service{s3: s3test.Start(t, "dicom")}
	server := httptest.NewUnstartedServer(s.handler(t))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	s.url, s.client = server.URL, server.Client()
	data := ct("1.1", 9<<20)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/studies", undeclared(data))
	if err != nil {
		t.Fatal(err)
	}
	got := s.do(t, r, "application/dicom")
	if got.status != 200 || got.outcomes() != "stored 1.1" || got.proto != "HTTP/2.0" {
		t.Errorf("%s: got %d %q; body %s", got.proto, got.status, got.outcomes(), got.body)
	}
	s.wantStored(t, data)
}

// The outcomes of a request are kept in memory, so their number is limited.
func TestTooManyParts(t *testing.T) {
	const limit = 100_000
	s := newService(t, func(h *stow.Handler, _ *s3store.Config) { h.Log = slog.New(slog.DiscardHandler) })
	a, b := ct("1.1", 10), ct("1.2", 10)
	empty := bytes.Repeat([]byte("--myboundary\r\n\r\n"), limit-1)
	got := s.post(t, "/studies", "", bytes.NewReader(join(empty, multipart(a, b))))
	want := append(slices.Repeat([]storeresponse.Reason{storeresponse.ReasonCannotUnderstand}, limit-1), storeresponse.ReasonOutOfResources)
	if got.status != 202 || len(got.module.Referenced) != 1 || !slices.Equal(got.module.OtherFailures, want) {
		t.Errorf("got %d, %d stored, %d failures", got.status, len(got.module.Referenced), len(got.module.OtherFailures))
	}
	s.wantStored(t, a)
}
