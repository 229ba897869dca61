package stow_test

import (
	"bytes"
	"testing"

	"stowrs-to-s3/app/dicomtest"
)

// Request media types (PS3.18 Table 10.5.4-1) and their syntax (§8.6, §8.7). What
// clients write beyond the syntax is in quirks_framing_test.go; the rows of metadata
// and bulkdata have tests of their own.
func TestRequestMediaTypes(t *testing.T) {
	a, b := ct("1.1", 10), ct("1.2", 3000)
	const (
		everyCharacter = `0Az'()+_,-./:=? end`                                                    // of bchars (RFC 2046 §5.1.1)
		longest        = "0123456789012345678901234567890123456789012345678901234567890123456789" // 70 characters
	)
	parts := bytes.ReplaceAll(multipart(a, b), []byte("Content-Type: application/dicom\r\n"),
		[]byte("Content-Type: application/dicom\r\nContent-Location: http://pacs/instances/1\r\nContent-ID: <1@pacs>\r\nX-Other: x: y\r\n"))
	exchanges := []exchange{
		{name: "application/dicom is required", source: "PS3.18 Table 10.5.4-1", contentType: `multipart/related; type="application/dicom"; boundary=myboundary`},
		{name: "type in quotes", source: "PS3.18 §8.7.1", contentType: `multipart/related; boundary=myboundary; type="application/dicom"`},
		{name: "type without quotes", source: "PS3.18 §8.7.1, RFC 2387 §3.4", contentType: `multipart/related; type=application/dicom; boundary=myboundary`},
		{name: "quoted and unquoted values are equivalent", source: "PS3.18 §8.7", contentType: `multipart/related;type=application/dicom;boundary="myboundary"`},
		{name: "names and types in any case", source: "PS3.18 §8.7", contentType: `Multipart/RELATED; TYPE="Application/DICOM"; Boundary=myboundary`},
		{name: "a quoted pair", source: "RFC 9110 §5.6.4", contentType: `multipart/related; type="application/dicom"; boundary="my\boundary"`},
		{
			name: "boundary of every character", source: "PS3.18 §8.6.1.2.1",
			contentType: `multipart/related; type="application/dicom"; boundary="` + everyCharacter + `"`, body: framed(everyCharacter, a, b),
		},
		{
			name: "boundary of 70 characters", source: "PS3.18 §8.6.1.2.1",
			contentType: multipartType(longest), body: framed(longest, a, b),
		},
		{name: "parts with Content-Location and other headers", source: "PS3.18 §8.6.1.2.1", body: parts},
		{
			name: "start names the root part", source: "PS3.18 §8.6.1.2.1, RFC 2387 §3.2",
			contentType: `multipart/related; type="application/dicom"; start="<1@pacs>"; start-info=x; boundary=myboundary`, body: parts,
		},
		{
			name: "transfer-syntax of the request", source: "PS3.18 §8.7.9",
			contentType: `multipart/related; type="application/dicom; transfer-syntax=` + explicitLE.UID + `"; boundary=myboundary`,
		},
	}
	for i := range exchanges {
		e := &exchanges[i]
		if e.body == nil {
			e.body = multipart(a, b)
		}
		e.status, e.want, e.stored = 200, "stored 1.1 | stored 1.2", [][]byte{a, b}
	}
	runExchanges(t, append(exchanges, []exchange{
		{
			name: "another type is refused with the list of those supported", source: "PS3.18 §8.5 (415), Table 10.5.3-1",
			contentType: `multipart/related; type="text/plain"; boundary=myboundary`, body: multipart(a), status: 415,
			detail: []string{"text/plain", "multipart/related", `type="application/dicom"`},
		},
		{
			name: "no media type at all", source: "PS3.18 §8.5 (415)",
			contentType: ";;;", body: multipart(a), status: 415, detail: []string{"application/dicom"},
		},
		{
			name: "zero parts are allowed by the syntax, and store nothing", source: "PS3.18 §8.6.1.2.1, Table 10.5.3-1",
			body: multipart(), status: 400, detail: []string{"no part"},
		},
		{
			name: "boundary is mandatory", source: "RFC 2046 §5.1.1",
			contentType: `multipart/related; type="application/dicom"`, body: multipart(a), status: 400, detail: []string{"boundary"},
		},
		{
			name: "boundary is not empty", source: "RFC 2046 §5.1.1",
			contentType: multipartType(`""`), body: multipart(a), status: 400, detail: []string{"boundary"},
		},
	}...))
}

// PS3.18 §8.7.9: on conflict the File Meta Information takes precedence over transfer-syntax.
// §8.7.3 excludes implicit VR and big endian; they are stored nevertheless, without
// a warning, as every other server does.
func TestTransferSyntax(t *testing.T) {
	for _, encoding := range []dicomtest.Syntax{implicitLE, explicitLE, explicitBE} {
		data := dicomtest.File("1.1", classUID, encoding.UID, dataset(encoding, "1.1", study, series, classUID, 10))
		for _, parameter := range []string{"", "; transfer-syntax=" + jpegBaseline, "; transfer-syntax=*", "; transfer-syntax="} {
			t.Run(encoding.UID+parameter, func(t *testing.T) {
				s := newService(t)
				body := bytes.Replace(multipart(data), []byte("application/dicom"), []byte("application/dicom"+parameter), 1)
				if got := s.post(t, "/studies", "", bytes.NewReader(body)); got.status != 200 || got.outcomes() != "stored 1.1" {
					t.Errorf("got %d %q", got.status, got.outcomes())
				}
				s.wantStored(t, data)
				if _, metadata, _ := s.s3.Object(study + "/" + series + "/1.1"); metadata["transfer-syntax"] != encoding.UID {
					t.Errorf("recorded with transfer syntax %q", metadata["transfer-syntax"])
				}
			})
		}
	}
}
