package stow_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

// Answers: the media type of the response (PS3.18 §8.7.5, §8.7.8.1, §10.5.3.3),
// by default and with STRICTACCEPT.
func TestAnswers(t *testing.T) {
	const refused = "406" // by STRICTACCEPT
	lenient := newService(t)
	strict := newService(t, func(h *stow.Handler, _ *s3store.Config) { h.Config.StrictAccept = true })
	body := multipart(ct("1.1", 10))
	for _, test := range []struct {
		name, source string
		accept       []string // the values of the header
		query        string
		want, strict string
	}{
		{"JSON", "PS3.18 §10.5.3.3", []string{"application/dicom+json"}, "", storeresponse.MediaTypeJSON, storeresponse.MediaTypeJSON},
		{"XML", "PS3.18 §10.5.3.3", []string{"application/dicom+xml"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"in any case", "PS3.18 §8.7", []string{"APPLICATION/DICOM+XML"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"no Accept: 406 by the letter", "PS3.18 §8.7.5, §8.7.7", nil, "", storeresponse.MediaTypeJSON, refused},
		{"*/* is the default", "PS3.18 §8.7.8.1", []string{"*/*"}, "", storeresponse.MediaTypeJSON, storeresponse.MediaTypeJSON},
		{"application/* is the default", "PS3.18 §8.7.8.1", []string{"application/*"}, "", storeresponse.MediaTypeJSON, storeresponse.MediaTypeJSON},
		{"unknown types are ignored", "PS3.18 §8.7.8.1", []string{"image/png, application/dicom+xml;q=0.1"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"the query parameter comes first", "PS3.18 §8.7.8.1", []string{"application/dicom+json"}, "application/dicom+xml", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"then the header", "PS3.18 §8.7.8.1", []string{"application/dicom+xml"}, "image/png", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"the header by q: JSON", "RFC 9110 §12.5.1", []string{"application/dicom+xml;q=0.5, application/dicom+json;q=0.9"}, "", storeresponse.MediaTypeJSON, storeresponse.MediaTypeJSON},
		{"the header by q: XML", "RFC 9110 §12.5.1", []string{"application/dicom+json;q=0.5, application/dicom+xml;q=0.9"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"a type comes before a wildcard", "RFC 9110 §12.5.1", []string{"*/*, application/dicom+xml"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"q=0 is not acceptable", "RFC 9110 §12.4.2", []string{"application/dicom+xml;q=0, */*"}, "", storeresponse.MediaTypeJSON, storeresponse.MediaTypeJSON},
		{"q=0 of the default", "RFC 9110 §12.5.1", []string{"application/dicom+json;q=0, */*"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"q=0 of all that is available", "RFC 9110 §12.4.2", []string{"application/*;q=0, */*"}, "", storeresponse.MediaTypeJSON, refused},
		{"a wildcard of a higher q", "RFC 9110 §12.5.1", []string{"application/dicom+xml;q=0.1, */*;q=0.9"}, "", storeresponse.MediaTypeJSON, storeresponse.MediaTypeJSON},
		{"a wildcard of a lower q", "RFC 9110 §12.5.1", []string{"*/*;q=0.1, application/dicom+xml;q=0.9"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"the closer range has the q", "RFC 9110 §12.5.1", []string{"application/*;q=0.9, application/dicom+json;q=0.1, */*;q=0.5"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"the first of two of the same q", "robustness", []string{"application/dicom+xml, application/dicom+json"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"an alias beside a wildcard of the same q", "robustness", []string{"text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeJSON},
		{"several fields are one list", "RFC 9110 §5.3", []string{"image/png", "application/dicom+xml"}, "", storeresponse.MediaTypeXML, storeresponse.MediaTypeXML},
		{"else 406", "PS3.18 §8.7.8.1", []string{"image/png"}, "", storeresponse.MediaTypeJSON, refused},
		{"empty Accept", "clients that send one", []string{""}, "", storeresponse.MediaTypeJSON, refused},
		{"application/json", "clients that send it", []string{"application/json"}, "", storeresponse.MediaTypeJSON, refused},
		{"the Accept of a retrieve request", "OHIF/Viewers#3497", []string{`multipart/related; type="application/octet-stream"; transfer-syntax=*`}, "", storeresponse.MediaTypeJSON, refused},
		{"nothing that could be parsed", "robustness", []string{"garbage;;q=,,"}, "", storeresponse.MediaTypeJSON, refused},
		{"application/xml", "an alias of XML", []string{"application/xml"}, "", storeresponse.MediaTypeXML, refused},
		{"text/xml", "an alias of XML", []string{"text/xml"}, "", storeresponse.MediaTypeXML, refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			for s, want := range map[*service]string{lenient: test.want, strict: test.strict} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/studies?accept="+url.QueryEscape(test.query), bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if test.accept != nil {
					r.Header["Accept"] = test.accept
				}
				got := s.do(t, r, "")
				switch mediaType := got.header.Get("Content-Type"); {
				case want == refused:
					if got.status != 406 || !strings.Contains(got.body, storeresponse.MediaTypeJSON) || !strings.Contains(got.body, storeresponse.MediaTypeXML) {
						t.Errorf("%s: got %d %s, want 406 and the types available", test.source, got.status, got.body)
					}
				case got.status != 200 || mediaType != want || got.outcomes() != "stored 1.1":
					t.Errorf("%s: got %d, %q, %q; want 200, %q", test.source, got.status, mediaType, got.outcomes(), want)
				}
			}
		})
	}
}

// One object, neither an array nor multipart (PS3.18 §10.5.3.3): JSON of Annex F, XML of PS3.19 §A.1.
func TestAnswerIsOneObject(t *testing.T) {
	s := newService(t)
	body := multipart(ct("1.1", 10), []byte("not DICOM"))
	var object map[string]json.RawMessage
	answer := s.post(t, "/studies?accept=application/dicom%2Bjson", "", bytes.NewReader(body))
	if err := json.Unmarshal([]byte(answer.body), &object); err != nil || len(object) != 3 {
		t.Errorf("JSON: %v; got %s", err, answer.body)
	}
	type attribute struct {
		Tag     string `xml:"tag,attr"`
		VR      string `xml:"vr,attr"`
		Keyword string `xml:"keyword,attr"`
	}
	var model struct {
		XMLName    xml.Name    `xml:"http://dicom.nema.org/PS3.19/models/NativeDICOM NativeDicomModel"`
		Attributes []attribute `xml:"DicomAttribute"`
	}
	answer = s.post(t, "/studies?accept=application/dicom%2Bxml", "", bytes.NewReader(body))
	if err := xml.Unmarshal([]byte(answer.body), &model); err != nil || len(model.Attributes) != 3 {
		t.Errorf("XML: %v; got %s", err, answer.body)
	}
	for _, a := range model.Attributes {
		if len(a.Tag) != 8 || len(a.VR) != 2 || a.Keyword == "" || object[a.Tag] == nil {
			t.Errorf("XML: attribute %+v, JSON has %s", a, object[a.Tag])
		}
	}
}
