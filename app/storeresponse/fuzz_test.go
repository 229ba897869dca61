package storeresponse_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/storeresponse"
)

var mediaTypes = []string{storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML}

func encode(t *testing.T, r storeresponse.Response, mediaType string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Module().Encode(&b, mediaType); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ParseResponse reads what Encode writes, with any values.
func FuzzEncode(f *testing.F) {
	f.Add("1.2.840.10008.5.1.4.1.1.2", "1.2.3", `https://wado/?a=1&b="<2>"\`, uint16(0xB007), uint8(3), uint8(2), uint8(1))
	f.Add("", "", "", uint16(0), uint8(0), uint8(0), uint8(1))
	f.Fuzz(func(t *testing.T, class, instance, url string, reason uint16, stored, failed, other uint8) {
		for _, s := range []string{class, instance, url} {
			// White space around a UID is padding, and XML cannot contain control characters.
			if !utf8.ValidString(s) || strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Skip()
			}
		}
		want := storeresponse.Response{RetrieveURL: url}
		for range stored % 4 {
			want.Referenced = append(want.Referenced, storeresponse.Referenced{SOPClassUID: class, SOPInstanceUID: instance, RetrieveURL: url, WarningReason: storeresponse.Reason(reason)})
		}
		for range failed % 4 {
			want.Failed = append(want.Failed, storeresponse.Failed{SOPClassUID: class, SOPInstanceUID: instance, FailureReason: storeresponse.Reason(reason)})
		}
		for range other % 4 {
			want.OtherFailures = append(want.OtherFailures, storeresponse.Reason(reason))
		}
		for _, mediaType := range mediaTypes {
			body := encode(t, want, mediaType)
			got, err := storeresponse.ParseResponse(mediaType, body)
			if err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s differs (-want +got):\n%s\n%s", mediaType, diff, body)
			}
		}
	})
}

// Any bytes are decoded or refused; a decoded module can be encoded, and is the same when it is decoded again.
func FuzzParseResponse(f *testing.F) {
	f.Add(false, []byte(`[{"00081190":{"vr":"UR","Value":["u"]},"0008119a":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":["272"]}}]}}]`))
	f.Add(false, []byte(`{"00081198":{"vr":"SQ","Value":[{"00081150":{"vr":"UI"},"00081155":{"vr":"UI","Value":["1.2"]},"00081197":{"vr":"US","Value":[272,1]}},{}]}}`))
	f.Add(true, []byte(`<NativeDicomModel><DicomAttribute tag="00081199"><Item number="1"><DicomAttribute tag="00081155"><Value>1.2</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>`))
	f.Fuzz(func(t *testing.T, isXML bool, body []byte) {
		mediaType := mediaTypes[0]
		if isXML {
			mediaType = mediaTypes[1]
		}
		want, err := storeresponse.ParseResponse(mediaType, body)
		if err != nil {
			return
		}
		got, err := storeresponse.ParseResponse(mediaType, encode(t, want, mediaType))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("encoded and parsed again (-first +second):\n%s", diff)
		}
	})
}
