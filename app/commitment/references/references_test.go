package references_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/commitment/references"
	"stowrs-to-s3/app/storeresponse"
)

func free(int64) error { return nil }

func written(t *testing.T, mediaType string, all []references.Reference) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := references.Write(&b, mediaType, all); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Requests and answers can be written and read again, in both syntaxes (PS3.18 Tables J.1-1 and J.2-1).
func TestRoundTrip(t *testing.T) {
	in := func(study, series string) *references.Series {
		return &references.Series{StudyInstanceUID: study, SeriesInstanceUID: series}
	}
	all := []references.Reference{
		{SOPClassUID: "1.9", SOPInstanceUID: "1.3"},
		{SOPClassUID: "1.9", SOPInstanceUID: "1.4", FailureReason: 0x0110},
		{Series: in("1.1", "1.2"), SOPClassUID: "1.8", SOPInstanceUID: "1.5"},
		{Series: in("1.1", "1.2"), SOPClassUID: "1.9", SOPInstanceUID: "1.3", FailureReason: 0x0112},
		{Series: in("1.1", "1.2"), SOPClassUID: "1.9", SOPInstanceUID: "1.6"},
		{Series: in("1.1", "1.20"), SOPInstanceUID: "1.7"},
		{Series: in("2.1", "1.2"), SOPClassUID: "1.9", SOPInstanceUID: `1."<&>`, FailureReason: 0x0112},
	}
	for _, mediaType := range []string{storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML} {
		module, err := references.Read(bytes.NewReader(written(t, mediaType, all)), mediaType, free)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.Clone(module.All)
		references.Sort(got)
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("%s (-written +read):\n%s", mediaType, diff)
		}
	}
}

// The sequences and their tags, in ascending order, as in PS3.18 Annex J.
func TestLayout(t *testing.T) {
	all := []references.Reference{
		{SOPClassUID: "1.9", SOPInstanceUID: "1.4", FailureReason: 0x0110},
		{Series: &references.Series{StudyInstanceUID: "1.1", SeriesInstanceUID: "1.2"}, SOPClassUID: "1.9", SOPInstanceUID: "1.5"},
	}
	const want = `{"00081110":{"vr":"SQ","Value":[{"00081115":{"vr":"SQ","Value":[{"00081112":{"vr":"SQ","Value":[` +
		`{"0008114A":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.5"]}}]},"00081150":{"vr":"UI","Value":["1.9"]}}]},` +
		`"0020000E":{"vr":"UI","Value":["1.2"]}}]},"0020000D":{"vr":"UI","Value":["1.1"]}}]},` +
		`"00081198":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.9"]},"00081155":{"vr":"UI","Value":["1.4"]},"00081197":{"vr":"US","Value":[272]}}]}}`
	if got := string(written(t, storeresponse.MediaTypeJSON, all)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Attributes may come in any order, and instances directly below a series.
func TestOtherWriters(t *testing.T) {
	const text = `{"00081110":{"Value":[{"0020000D":{"Value":["1.1 "]},"00081115":{"Value":[` +
		`{"0020000E":{"Value":["1.2\u0000"]},"00081199":{"Value":[{"00081155":{"Value":["1.3"]},"00081150":{"Value":["1.9"]}}]}},` +
		`{"00081112":{"Value":[{"00081150":{"Value":["1.8"]},"0008114a":{"Value":[{"00081155":{"Value":["1.4","1.5"]},"00091001":{"Value":[{"00081155":{"Value":["9"]}}]}}]}}]},"0020000E":{"Value":["1.6"]}}]}}]}}`
	module, err := references.Read(strings.NewReader(text), storeresponse.MediaTypeJSON, free)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range module.All {
		got = append(got, fmt.Sprint(*r.Series, r.SOPClassUID, r.SOPInstanceUID))
	}
	if want := []string{"{1.1 1.2}1.91.3", "{1.1 1.6}1.81.4"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A UID is kept without its padding: 1,000 references with 30 KB of spaces each need little memory.
func TestPaddingIsNotKept(t *testing.T) {
	for _, form := range []struct{ mediaType, begin, item, end string }{
		{storeresponse.MediaTypeJSON, `{"00081199":{"Value":[`, `{"00081155":{"Value":["1.3%s"]}},`, `{"00081155":{"Value":["1.3"]}}]}}`},
		{storeresponse.MediaTypeXML, `<NativeDicomModel><DicomAttribute tag="00081199">`, `<Item><DicomAttribute tag="00081155"><Value number="1">1.3%s</Value></DicomAttribute></Item>`, `</DicomAttribute></NativeDicomModel>`},
	} {
		item := fmt.Sprintf(form.item, strings.Repeat(" ", 30_000))
		text := form.begin + strings.Repeat(item, 1000) + form.end
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		module, err := references.Read(strings.NewReader(text), form.mediaType, free)
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 4<<20 {
			t.Errorf("%s: %d bytes are kept of %d references", form.mediaType, kept, len(module.All))
		}
		runtime.KeepAlive(module)
		runtime.KeepAlive(text)
	}
}

// FuzzRead: no text causes a panic, the counted memory is never negative, and a module that was read can be written and read again.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.3"]}}]}}`,
		`{"00081110":{"Value":[{"00081115":{"Value":[{"0008114A":{"Value":[{"00081155":{"Value":["1"]}}]},"0020000E":{"Value":["2"]}}]},"0020000D":{"Value":["3"]}}]}}`,
		`<NativeDicomModel><DicomAttribute tag="00081198"><Item><DicomAttribute tag="00081155"><Value>1</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>`,
		`[{}]`, `{"a":[[{}]]}`,
	} {
		f.Add([]byte(seed), strings.HasPrefix(seed, "<"))
	}
	f.Fuzz(func(t *testing.T, text []byte, isXML bool) {
		mediaType := storeresponse.MediaTypeJSON
		if isXML {
			mediaType = storeresponse.MediaTypeXML
		}
		var held int64
		module, err := references.Read(bytes.NewReader(text), mediaType, func(n int64) error {
			if held += n; held < 0 {
				t.Errorf("%d bytes are counted", held)
			}
			return nil
		})
		if err != nil {
			return
		}
		references.Sort(module.All)
		again, err := references.Read(bytes.NewReader(written(t, storeresponse.MediaTypeJSON, module.All)), storeresponse.MediaTypeJSON, free)
		if err != nil {
			t.Fatal(err)
		}
		references.Sort(again.All)
		if diff := cmp.Diff(module.All, again.All); diff != "" {
			t.Errorf("(-read +again):\n%s", diff)
		}
	})
}
