package stow_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"stowrs-to-s3/app/dicomtest"
	"stowrs-to-s3/app/storeresponse"
)

// What clients expect of answers. CORS for browsers (DICOMcloud/DICOMcloud#69): TestCORS of package server.
func TestClientsUnderstandAnswers(t *testing.T) {
	a, b := ct("1.1", 10), ct("1.2", 3000)
	good, bad := multipart(a, b), multipart(a, []byte("not DICOM"))
	implicit := dicomtest.File("1.3", classUID, implicitLE.UID, dataset(implicitLE, "1.3", study, series, classUID, 10))
	bare := dataset(explicitLE, "1.4", study, series, classUID, 10)
	for _, test := range []struct {
		name, source string
		accept       string // "": the client sends none
		body         []byte
		check        func(answer) error
	}{
		{"dicomweb-client for Python: the media type is compared for equality", "web.py", "", good, func(a answer) error {
			return wantEqual(a.header.Values("Content-Type"), []string{"application/dicom+json"})
		}},
		{"dicomweb-client for Python: a JSON object", "web.py", "", good, func(a answer) error {
			return json.Unmarshal([]byte(a.body), &map[string]any{})
		}},
		{"dicomweb-client.js: no Accept, 200 and not 201", "api.js", "*/*", good, func(a answer) error { return wantEqual(a.status, 200) }},
		{"OHIF: the Accept of a retrieve request is no reason for 406", "OHIF/Viewers#3497, #3498",
			`multipart/related; type="application/octet-stream"; transfer-syntax=*, multipart/related; type="image/jpeg"`, good,
			func(a answer) error { return wantEqual(a.status, 200) }},
		{"Google's adapter: anything but 200 is a failure, so a peculiarity is no warning", "GoogleCloudPlatform/healthcare-dicom-dicomweb-adapter#138", "", multipart(implicit),
			func(a answer) error { return wantEqual(a.status, 200) }},
		{"Google's adapter: the same instance again is no conflict", "GoogleCloudPlatform/healthcare-dicom-dicomweb-adapter#138", "", multipart(a, a),
			func(a answer) error { return wantEqual(a.status, 200) }},
		{"Orthanc: one item for each instance, and none for failures", "Plugin/DicomWebClient.cpp", "", good, func(a answer) error {
			return wantEqual(fmt.Sprint(len(a.module.Referenced), strings.Contains(a.body, "00081198"), strings.Contains(a.body, "0008119A")), "2 false false")
		}},
		{"dcm4chee's exporter: no empty FailedSOPSequence", "Orthanc DICOMweb NEWS 1.19", "", bad, func(a answer) error {
			return wantEqual(strings.Contains(a.body, "00081198"), false)
		}},
		{"dcm4che's stowrs: XML", "dcm4che/dcm4che#882", "application/dicom+xml", good, func(a answer) error {
			return wantEqual(a.header.Get("Content-Type")+" "+a.outcomes(), "application/dicom+xml stored 1.1 | stored 1.2")
		}},
		{"dcm4che's stowrs up to 5.24: preamble and File Meta are stripped", "dcm4che/dcm4che#1042, dcm4che/dcm4chee-arc-light#3392", "application/dicom+xml", multipart(bare),
			func(a answer) error { return wantEqual(a.outcomes(), "stored 1.4") }},
		{"3D Slicer: Accept: */*", "the Python original", "*/*", good, func(a answer) error {
			return wantEqual(a.header.Get("Content-Type"), storeresponse.MediaTypeJSON)
		}},
		{"dcm4chee: a part that is not DICOM is no 500", "dcm4che/dcm4chee-arc-light#3517, #3518", "", bad, func(a answer) error {
			return wantEqual(fmt.Sprint(a.status, " ", a.outcomes(), " ", a.header.Get("Warning")), `202 stored 1.1 | other C000 299 stowrs-to-s3 "1 of 2 not stored: C000"`)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			header := map[string]string{}
			if test.accept != "" {
				header["Accept"] = test.accept
			}
			got := s.exchange(t, exchange{header: header, body: test.body})
			if err := test.check(got); err != nil {
				t.Errorf("%s: %v; the answer is %d %s", test.source, err, got.status, got.body)
			}
			s.wantReferenced(t, got)
		})
	}
}

func wantEqual(got, want any) error {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

// Behind a proxy, the address in a request is of no use to other clients:
// RetrieveURLs come only from WADOURL (Orthanc DICOMweb NEWS 1.8 and 1.14, OHIF/Viewers#1665).
func TestRetrieveURLBehindAProxy(t *testing.T) {
	s := newService(t, withWADOURL)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/studies", bytes.NewReader(multipart(ct("1.1", 10))))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "internal:8080"
	r.Header.Set("X-Forwarded-Host", "evil.example.org")
	r.Header.Set("Forwarded", "host=evil.example.org;proto=https")
	got := s.do(t, r, "")
	const study = "https://wado/dicomweb/studies/1.2.3"
	if got.module.RetrieveURL != study || !strings.HasPrefix(got.module.Referenced[0].RetrieveURL, study+"/series/") || got.header.Get("Location") != study {
		t.Errorf("got %s, Location %q", got.body, got.header.Get("Location"))
	}
}
