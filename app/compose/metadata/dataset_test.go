package metadata_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/compose/metadata"
	"stowrs-to-s3/app/dicom"
)

// TestElementHeader: PS3.5 §7.1.2, Tables 7.1-1 and 7.1-2.
func TestElementHeader(t *testing.T) {
	for _, row := range []struct {
		tag    uint32
		vr     string
		length uint32
		want   string
	}{
		{0x00080060, "CS", 2, "\x08\x00\x60\x00CS\x02\x00"},
		{0x00204000, "LT", 0xFFFE, "\x20\x00\x00\x40LT\xFE\xFF"},
		{0x7FE00010, "OW", 0x01020304, "\xE0\x7F\x10\x00OW\x00\x00\x04\x03\x02\x01"},
		{0x7FE00010, "OB", undefined, "\xE0\x7F\x10\x00OB\x00\x00\xFF\xFF\xFF\xFF"},
		{0xFFFEE000, "", 16, "\xFE\xFF\x00\xE0\x10\x00\x00\x00"},
	} {
		if got := string(metadata.ElementHeader(tagOf(row.tag), row.vr, row.length)); got != row.want {
			t.Errorf("%08X %s %d: %q, want %q", row.tag, row.vr, row.length, got, row.want)
		}
	}
	long := "OB OD OF OL OV OW SQ SV UC UN UR UT UV"
	for _, vr := range strings.Fields(long + " AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US") {
		want := 8
		if strings.Contains(long, vr) {
			want = 12
		}
		if got := len(metadata.ElementHeader(tagOf(0x00090001), vr, 2)); got != want {
			t.Errorf("%s: %d bytes, want %d", vr, got, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a short VR with 65535 bytes: no panic")
		}
	}()
	metadata.ElementHeader(tagOf(0x00204000), "LT", 0xFFFF)
}

// TestFileMeta: FileMeta and a dataset together are an instance (PS3.10 §7.1).
func TestFileMeta(t *testing.T) {
	d, err := oneJSON(t, `"00080016":{"vr":"UI","Value":["1.2"]},"00080018":{"vr":"UI","Value":["1.2.3"]},
		"0020000D":{"vr":"UI","Value":["1.2.3.4"]},"0020000E":{"vr":"UI","Value":["1.2.3.4.5"]}`)
	if err != nil {
		t.Fatal(err)
	}
	meta := metadata.FileMeta("1.2", "1.2.3", "1.2.840.10008.1.2.1")
	got, err := dicom.Identify(bytes.NewReader(append(meta, d.Encoded...)), 1<<20)
	want := dicom.Identity{
		SOPClassUID: "1.2", SOPInstanceUID: "1.2.3", StudyInstanceUID: "1.2.3.4", SeriesInstanceUID: "1.2.3.4.5",
		TransferSyntaxUID: "1.2.840.10008.1.2.1", MediaStorageSOPClassUID: "1.2", MediaStorageSOPInstanceUID: "1.2.3",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	group := el(0x00020001, "OB", "\x00\x01") + el(0x00020002, "UI", "1.2\x00") + el(0x00020003, "UI", "1.2.3\x00") +
		el(0x00020010, "UI", "1.2.840.10008.1.2.1\x00") + el(0x00020012, "UI", "2.25.215779401977613425225944430812809397031") +
		el(0x00020013, "SH", "STOWRS_TO_S3")
	file := strings.Repeat("\x00", 128) + "DICM" + el(0x00020000, "UL", le(uint32(len(group)))) + group
	if diff := cmp.Diff(file, string(meta)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDatasetLookup(t *testing.T) {
	items := `[{"00280010":{"vr":"US","Value":[7]}}]`
	d, err := oneJSON(t, `"00100010":{"vr":"PN","Value":["A^B","C"]},"0020000D":{"vr":"UI","Value":["1.2.3"]},
		"00204000":{"vr":"LT","Value":[" a\\b "]},"00081140":{"vr":"SQ","Value":`+items+`},"00081115":{"vr":"SQ"},
		"7FE00010":{"vr":"OW","BulkDataURI":"a"},"00200013":{"vr":"IS","Value":["+12 ",3]},"00200012":{"vr":"IS"},
		"00181310":{"vr":"US","Value":[65535,1]},"00280106":{"vr":"SS","Value":[-2]},"00081161":{"vr":"UL","Value":[4294967295]},
		"00186020":{"vr":"SL","Value":[-3]},"00720083":{"vr":"UV","Value":[1]},"00280011":{"vr":"US"},"00089459":{"vr":"FL","Value":[1]}`)
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[uint32]string{
		0x00100010: `A^B\C `,
		0x0020000D: "1.2.3\x00",
		0x00081140: it(el(0x00280010, "US", le(uint16(7)))),
		0x00081115: "",
	} {
		if got, found := d.Lookup(tagOf(tag)); !found || string(got) != want {
			t.Errorf("%08X: %q %v, want %q", tag, got, found, want)
		}
	}
	for _, tag := range []uint32{0x7FE00010, 0x00080060, 0xFFFFFFFF, 0} { // a hole; absent
		if got, found := d.Lookup(tagOf(tag)); found {
			t.Errorf("%08X: %q", tag, got)
		}
	}
	for tag, want := range map[uint32]string{0x00100010: "A^B", 0x0020000D: "1.2.3", 0x00204000: `a\b`, 0x00200013: "+12", 0x00080060: "", 0x00186020: ""} {
		if got := d.String(tagOf(tag)); got != want {
			t.Errorf("%08X: %q, want %q", tag, got, want)
		}
	}
	for tag, want := range map[uint32]int64{0x00200013: 12, 0x00181310: 65535, 0x00280106: -2, 0x00081161: math.MaxUint32, 0x00186020: -3} {
		if got, ok := d.Int(tagOf(tag)); !ok || got != want {
			t.Errorf("%08X: %d %v, want %d", tag, got, ok, want)
		}
	}
	for _, tag := range []uint32{0x00200012, 0x00280011, 0x00720083, 0x00100010, 0x00080060, 0x00089459, 0x00081140} {
		if got, ok := d.Int(tagOf(tag)); ok {
			t.Errorf("%08X: %d", tag, got)
		}
	}
}

// TestDatasetSet starts from a dataset with two elements and holes at the start,
// between them, within the second, and at the end.
func TestDatasetSet(t *testing.T) {
	const start = `"00041200":{"vr":"UL","BulkDataURI":"1"},"00080060":{"vr":"CS","Value":["CT"]},"00091001":{"vr":"OB","BulkDataURI":"2"},
		"54000100":{"vr":"SQ","Value":[{"54001010":{"vr":"OB","BulkDataURI":"3"}}]},"7FE00010":{"vr":"OW","BulkDataURI":"4"}`
	wave := string(metadata.ElementHeader(tagOf(0xFFFEE000), "", undefined)) + el(0xFFFEE00D, "", "")
	modality, waves := el(0x00080060, "CS", "CT"), sq(0x54000100, wave)
	for _, row := range []struct {
		name      string
		tag       uint32
		vr, value string
		want      string // encoded
		holes     string // the remaining ones
	}{
		{"before all", 0x00040001, "US", le(uint16(1)), el(0x00040001, "US", le(uint16(1))) + modality + waves, "1234"},
		{"behind the first hole", 0x00080005, "CS", "A", el(0x00080005, "CS", "A ") + modality + waves, "1234"},
		{"before a hole", 0x00080070, "LO", "AB", modality + el(0x00080070, "LO", "AB") + waves, "1234"},
		{"behind a hole", 0x0020000D, "UI", "1.2", modality + el(0x0020000D, "UI", "1.2\x00") + waves, "1234"},
		{"behind all but one hole", 0x60003000, "OW", "", modality + waves + el(0x60003000, "OW", ""), "1234"},
		{"behind all", 0xFFFCFFFC, "OB", "abc", modality + waves + el(0xFFFCFFFC, "OB", "abc\x00"), "1234"},
		{"longer", 0x00080060, "CS", "CT123", el(0x00080060, "CS", "CT123 ") + waves, "1234"},
		{"shorter", 0x00080060, "CS", "", el(0x00080060, "CS", "") + waves, "1234"},
		{"a sequence with a hole", 0x54000100, "SQ", "", modality + el(0x54000100, "SQ", ""), "124"},
		{"a hole between", 0x00091001, "OB", "a", modality + el(0x00091001, "OB", "a\x00") + waves, "134"},
		{"the last hole", 0x7FE00010, "OW", "ab", modality + waves + el(0x7FE00010, "OW", "ab"), "123"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d, err := oneJSON(t, start)
			wantEncoded(t, d, err, modality+waves)
			d.Set(tagOf(row.tag), row.vr, []byte(row.value))
			wantEncoded(t, d, nil, row.want)
			var holes string
			for _, h := range d.Holes {
				holes += h.URI
			}
			if holes != row.holes {
				t.Errorf("holes %s, want %s", holes, row.holes)
			}
			got, found := d.Lookup(tagOf(row.tag))
			if !found || !strings.HasPrefix(string(got), row.value) {
				t.Errorf("set, but looked up %q %v", got, found)
			}
			for _, tag := range []uint32{0x00080060, 0x54000100} {
				if _, found := d.Lookup(tagOf(tag)); !found {
					t.Errorf("%08X is lost", tag)
				}
			}
			d.Set(tagOf(row.tag), row.vr, []byte(row.value))
			wantEncoded(t, d, nil, row.want)
		})
	}
	var empty metadata.Dataset
	empty.Set(tagOf(0x00080060), "CS", []byte("CT"))
	wantEncoded(t, &empty, nil, modality)
}

// TestCharsetMovesHoles: if another SpecificCharacterSet needs more room, also in items,
// everything after it moves. That the holes are in the correct places is visible when they
// are filled and tags still ascend.
func TestCharsetMovesHoles(t *testing.T) {
	wave := `{"00080005":{"vr":"CS","Value":["A"]},"54001010":{"vr":"OB","BulkDataURI":"a"},"54001012":{"vr":"CS","Value":["X"]}}`
	d, err := oneJSON(t, `"00041200":{"vr":"UL","BulkDataURI":"a"},"54000100":{"vr":"SQ","Value":[`+wave+`,`+wave+`]},
		"00100010":{"vr":"PN","Value":["Ä"]},"00091001":{"vr":"OB","BulkDataURI":"a"},"7FE00010":{"vr":"OW","BulkDataURI":"a"}`)
	charset := el(0x00080005, "CS", "ISO_IR 192")
	waveItem := it(charset, el(0x54001012, "CS", "X "))
	wantEncoded(t, d, err, charset+el(0x00100010, "PN", "Ä")+sq(0x54000100, waveItem, waveItem))
	if len(d.Holes) != 5 {
		t.Errorf("%d holes, want 5", len(d.Holes))
	}
}
