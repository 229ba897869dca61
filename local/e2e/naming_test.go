package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dataset is what follows preamble and File Meta: two SOP UIDs, something, two more UIDs, something.
func datasetOf(sop, study, series, between, behind string) string {
	b := string(le.UI(0x00080016, ctImageStorage)) + sop + between + study + series + behind
	meta := string(le.UI(0x00020002, ctImageStorage)) + string(le.UI(0x00020003, "2.25.99")) + string(le.UI(0x00020010, "1.2.840.10008.1.2.1"))
	return string(make([]byte, 128)) + "DICM" + meta + b
}

// An instance is stored under the UIDs of its own dataset. Damage in other places does not
// matter; if the UIDs are in doubt, the instance is refused.
func TestInstancesAreNamedByTheirOwnDatasetOrNotAtAll(t *testing.T) {
	sop, study, series := string(le.UI(0x00080018, "2.25.7")), string(le.UI(0x0020000D, "2.25.8")), string(le.UI(0x0020000E, "2.25.9"))
	item := func(content string) string {
		return string(le.Header(0x00081140, "SQ", 0xFFFFFFFF)) + "\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF" + content + "\xFE\xFF\x0D\xE0\x00\x00\x00\x00" + "\xFE\xFF\xDD\xE0\x00\x00\x00\x00"
	}
	other := string(le.UI(0x00080018, "2.25.70")) + string(le.UI(0x0020000D, "2.25.80")) + string(le.UI(0x0020000E, "2.25.90"))
	pixels := native("\x01\x02")
	for _, test := range []struct {
		name, content string
		key           string // "": refused
	}{
		{"a whole one", datasetOf(sop, study, series, "", pixels), "2.25.8/2.25.9/2.25.7"},
		{"other UIDs in a sequence", datasetOf(sop, study, series, item(other), pixels), "2.25.8/2.25.9/2.25.7"},
		{"other UIDs behind", datasetOf(sop, study, series, "", pixels+other), "2.25.8/2.25.9/2.25.7"},
		{"damage behind the UIDs", datasetOf(sop, study, series, "", pattern(999)), "2.25.8/2.25.9/2.25.7"},
		{"nothing behind the UIDs", datasetOf(sop, study, series, "", ""), "2.25.8/2.25.9/2.25.7"},
		{"UIDs in a sequence only", datasetOf(sop, "", "", item(study+series), pixels), ""},
		{"a sequence that does not end", datasetOf(sop, study, series, string(le.Header(0x00081140, "SQ", 0xFFFFFFFF))+"\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF", pixels), ""},
		{"a length beyond the end", datasetOf(sop, study, series, string(le.Header(0x00091001, "OB", 1_000_000)), pixels), ""},
		{"a UID that leaves its folder", datasetOf(sop, string(le.UI(0x0020000D, "../../secret")), series, "", pixels), ""},
		{"a UID with a slash", datasetOf(sop, string(le.UI(0x0020000D, "2.25/8")), series, "", pixels), ""},
		{"a UID of 65 characters", datasetOf(sop, string(le.UI(0x0020000D, "2.25."+strings.Repeat("1", 60))), series, "", pixels), ""},
		{"a UID of two values", datasetOf(sop, string(le.UI(0x0020000D, `2.25.8\2.25.80`)), series, "", pixels), ""},
		{"an empty UID", datasetOf(sop, study, string(le.UI(0x0020000E, "")), "", pixels), ""},
		{"NULs for UIDs", datasetOf(sop, string(le.UI(0x0020000D, "\x00\x00\x00\x00")), series, "", pixels), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s3 := startS3(t)
			s := startService(t, s3)
			got := s.mustDo(t, "/studies", contentType, parts(test.content))
			want := []string{}
			if test.key != "" {
				want = append(want, test.key)
			}
			if diff := cmp.Diff(want, s3.store.Keys()); diff != "" {
				t.Errorf("status %d, %s: keys (-want +got):\n%s", got.status, got.outcomes(), diff)
			}
			if object, _ := s3.object(test.key); test.key != "" && string(object) != test.content {
				t.Errorf("what is stored (%d bytes) is not what was sent (%d)", len(object), len(test.content))
			}
			if stored := got.reportsStored("2.25.7"); stored != (test.key != "") {
				t.Errorf("status %d, %s", got.status, got.outcomes())
			}
		})
	}
}

// One bad part harms only itself.
func TestBadPartsHarmOnlyThemselves(t *testing.T) {
	bad := map[string]string{
		"no DICOM": "hello", "nothing": "", "zeros": strings.Repeat("\x00", 10_000), "a cut head": "DICM" + string(le.UI(0x00020002, ctImageStorage))[:9],
		"a length of 4 GiB": "DICM" + string(le.UI(0x00020010, "1.2.840.10008.1.2.1")) + string(le.Header(0x00080005, "OB", 0xFFFFFFF0)),
		"deep sequences":    "DICM" + string(le.UI(0x00020010, "1.2.840.10008.1.2.1")) + strings.Repeat(string(le.Header(0x00081140, "SQ", 0xFFFFFFFF))+"\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF", 5000),
		"a deflate bomb":    "DICM" + string(le.UI(0x00020010, "1.2.840.10008.1.2.1.99")) + strings.Repeat("\x00\x00\x00\xFF\xFF", 100_000),
	}
	for name, content := range bad {
		t.Run(name, func(t *testing.T) {
			s3 := startS3(t)
			s := startService(t, s3)
			before, after := instance{serial: 1, pixelBytes: 5000}, instance{serial: 2, pixelBytes: 9 * mib}
			one, two := strings.TrimSuffix(whole(t, before), bodyEnd), whole(t, after)
			got := s.mustDo(t, "/studies", contentType, one+strings.TrimSuffix(parts(content), bodyEnd)+two)
			want := []string{before.uid(), after.uid()}
			stored := []string{}
			for _, r := range got.module.Referenced {
				stored = append(stored, r.SOPInstanceUID)
			}
			if got.status != http.StatusAccepted || !slices.Equal(stored, want) || len(got.module.OtherFailures)+len(got.module.Failed) != 1 {
				t.Errorf("status %d, %s; want 202, two stored and one failed", got.status, got.outcomes())
			}
			s3.wantExactly(t, before, after)
		})
	}
}
