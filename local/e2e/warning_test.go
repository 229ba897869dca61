package e2e

import (
	"strings"
	"testing"
)

// Every failure of an instance is described in a Warning header
// (PS3.18 Table 10.5.3-2), without a value of an attribute.
func TestFailuresAreToldInWords(t *testing.T) {
	t.Parallel()
	const secret = "SECRET^PATIENT"
	name := string(le.Header(0x00100010, "PN", 14)) + secret
	good := instance{serial: 1, pixelBytes: 1000}
	dataset := func(sop, study, series string) string {
		return "DICM" + string(le.UI(0x00020010, "1.2.840.10008.1.2.1")) + string(le.UI(0x00080016, ctImageStorage)) + sop + name + study + series + string(le.Header(0x7FE00010, "OW", 2)) + "\x00\x00"
	}
	sop, study, series := string(le.UI(0x00080018, "2.25.5")), string(le.UI(0x0020000D, studyInstanceUID)), string(le.UI(0x0020000E, seriesInstanceUID))
	whole := strings.TrimSuffix(strings.TrimPrefix(whole(t, good), partHeader), partEnd+bodyEnd)
	for _, test := range []struct {
		name, path, content string
		variables           []string
		before              string // is stored before, under the same key
		fault               *fault
		words               string // at least one of them is contained, separated by |
	}{
		{name: "not DICOM", content: "hello", words: "not DICOM"},
		{name: "empty", content: "", words: "empty|not DICOM"},
		{name: "no study", content: dataset(sop, "", series), words: "Study Instance UID|StudyInstanceUID"},
		{name: "no series", content: dataset(sop, study, ""), words: "Series Instance UID|SeriesInstanceUID"},
		{name: "no SOP instance", content: dataset("", study, series), words: "SOP Instance UID|SOPInstanceUID"},
		{name: "empty study", content: dataset(sop, string(le.UI(0x0020000D, "")), series), words: "Study Instance UID|StudyInstanceUID"},
		{name: "a study that is no UID", content: dataset(sop, string(le.UI(0x0020000D, "SECRET^PATIENT")), series), words: "Study Instance UID|StudyInstanceUID"},
		{name: "another study", path: "/2.25.9", content: whole, words: "study"},
		{name: "cut in a head", content: whole[:200], words: "end|cut|not DICOM"},
		{name: "no UIDs within the window", content: string(append([]byte("DICM"), le.UI(0x00020010, "1.2.840.10008.1.2.1")...)) + string(le.Header(0x00090010, "OB", 200_000)) + pattern(200_000), variables: []string{"HEADWINDOW=64KiB"}, words: "HEADWINDOW|first 64|64 KiB"},
		{name: "too large", content: whole, variables: []string{"MAXINSTANCESIZE=500"}, words: "MAXINSTANCESIZE|500"},
		{name: "a duplicate with other bytes", content: whole, before: "other bytes", variables: []string{"ONDUPLICATE=reject"}, words: "duplicate|other bytes"},
		{name: "access denied", content: whole, fault: &fault{operation: "PutObject", status: 403, code: "AccessDenied"}, words: "storage|S3"},
		{name: "out of order", content: whole, fault: &fault{operation: "PutObject", status: 500, code: "InternalError"}, variables: []string{"RETRYTIME=1s"}, words: "storage|S3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s3 := startS3(t)
			if test.before != "" {
				s3.store.Put(good.key(), []byte(test.before))
			}
			if test.fault != nil {
				s3.inject(*test.fault)
			}
			s := startService(t, s3, test.variables...)
			got := s.mustDo(t, "/studies"+test.path, contentType, parts(test.content))
			if got.status < 400 || len(got.module.Referenced) > 0 {
				t.Fatalf("status %d %s, want a failure", got.status, got.outcomes())
			}
			told := strings.ReplaceAll(got.warnings(), "stowrs-to-s3", "")
			found := false
			for words := range strings.SplitSeq(test.words, "|") {
				found = found || strings.Contains(strings.ToLower(told), strings.ToLower(words))
			}
			if !found {
				t.Errorf("Warning %q has none of %s", got.warnings(), test.words)
			}
			if strings.Contains(got.warnings()+got.body+s.stderr.String(), "SECRET") {
				t.Errorf("the value of an attribute is told: %s %s", got.warnings(), got.body)
			}
		})
	}
}
