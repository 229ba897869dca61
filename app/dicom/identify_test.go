package dicom_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

const wholeWindow = 32 << 20

type identifyTest struct {
	name  string
	input []byte
	want  dicom.Identity
}

func runIdentified(t *testing.T, tests []identifyTest) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := dicom.Identify(bytes.NewReader(test.input), wholeWindow)
			if err != nil {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIdentifyReadsEachTransferSyntax(t *testing.T) {
	const (
		jpeg      = "1.2.840.10008.1.2.4.50"  // PS3.5 §A.4.1
		htj2k     = "1.2.840.10008.1.2.4.201" // newer than the library
		jpip      = "1.2.840.10008.1.2.4.95"  // JPIP Referenced Deflate
		jpipHTJ2K = "1.2.840.10008.1.2.4.205"
		private   = "1.3.46.670589.33.1.4.1"
		privateGE = "1.2.840.113619.5.2"
	)
	zlibHeader := []byte{0x78, 0x9C} // RFC 1950 §2.2
	runIdentified(t, []identifyTest{
		{"implicit VR little endian, PS3.5 §A.1", file(implicitSyntax, implicit.dataset()), want(implicitSyntax)},
		{"explicit VR little endian, PS3.5 §A.2", file(explicitSyntax, explicit.dataset()), want(explicitSyntax)},
		{"explicit VR big endian, PS3.5 §A.3", file(bigSyntax, big.dataset()), want(bigSyntax)},
		{"encapsulated, PS3.5 §A.4", file(jpeg, explicit.dataset()), want(jpeg)},
		{"deflated, PS3.5 §A.5", file(deflatedSyntax, dicomtest.Deflate(explicit.dataset())), want(deflatedSyntax)},
		{"deflated behind a zlib header", file(deflatedSyntax, join(zlibHeader, dicomtest.Deflate(explicit.dataset()))), want(deflatedSyntax)},
		{"JPIP Referenced Deflate, PS3.6 Table A-1", file(jpip, dicomtest.Deflate(explicit.dataset())), want(jpip)},
		{"JPIP HTJ2K Referenced Deflate, PS3.6 Table A-1", file(jpipHTJ2K, dicomtest.Deflate(explicit.dataset())), want(jpipHTJ2K)},
		{"unknown to the library", file(htj2k, explicit.dataset()), want(htj2k)},
		{"private, explicit", file(private, explicit.dataset()), want(private)},
		{"private, implicit", file(privateGE, implicit.dataset()), want(privateGE)},
		{"absent, explicit", file("", explicit.dataset()), want(explicitSyntax)},
		{"absent, implicit", file("", implicit.dataset()), want(implicitSyntax)},
		{"absent, big endian", file("", big.dataset()), want(bigSyntax)},
	})
}

// The transfer syntax is the one that the bytes obey, so that readers can parse them.
func TestIdentifyBelievesBytesOverTransferSyntax(t *testing.T) {
	const jpeg = "1.2.840.10008.1.2.4.50"
	runIdentified(t, []identifyTest{
		{"implicit declared, explicit written", file(implicitSyntax, explicit.dataset()), want(explicitSyntax)},
		{"explicit declared, implicit written", file(explicitSyntax, implicit.dataset()), want(implicitSyntax)},
		{"big endian declared, little endian written", file(bigSyntax, explicit.dataset()), want(explicitSyntax)},
		{"big endian declared, implicit written", file(bigSyntax, implicit.dataset()), want(implicitSyntax)},
		{"little endian declared, big endian written", file(explicitSyntax, big.dataset()), want(bigSyntax)},
		{"deflated declared, not deflated", file(deflatedSyntax, explicit.dataset()), want(explicitSyntax)},
		{"JPEG declared, implicit written: no other one tells of the JPEG", file(jpeg, implicit.dataset()), want(jpeg)},
	})
}

// PS3.10 §7.1 requires preamble, prefix and File Meta. Some devices omit
// some of them.
func TestIdentifyToleratesMissingFileParts(t *testing.T) {
	meta := metaGroup(explicit, explicitSyntax)
	wrongLength := bytes.Clone(meta)
	wrongLength[8] = 0xFF // the value of (0002,0000)
	noLength := meta[12:]
	prefix := []byte("DICM")
	preamble := bytes.Repeat([]byte("II*\x00"), 32) // TIFF, PS3.10 §7.1 allows it
	runIdentified(t, []identifyTest{
		{"preamble of another format", join(preamble, prefix, meta, explicit.dataset()), want(explicitSyntax)},
		{"no preamble", join(prefix, meta, explicit.dataset()), want(explicitSyntax)},
		{"no preamble, no prefix", join(meta, explicit.dataset()), want(explicitSyntax)},
		{"preamble, no File Meta", join(preamble, prefix, explicit.dataset()), wantBare(explicitSyntax)},
		{"wrong group length", join(preamble, prefix, wrongLength, explicit.dataset()), want(explicitSyntax)},
		{"no group length", join(preamble, prefix, noLength, explicit.dataset()), want(explicitSyntax)},
		{"implicit VR File Meta", join(preamble, prefix, metaGroup(implicit, implicitSyntax), implicit.dataset()), want(implicitSyntax)},
		{"implicit VR File Meta, no preamble", join(metaGroup(implicit, implicitSyntax), implicit.dataset()), want(implicitSyntax)},
		{"bare dataset, explicit", explicit.dataset(), wantBare(explicitSyntax)},
		{"bare dataset, implicit", implicit.dataset(), wantBare(implicitSyntax)},
		{"bare dataset, big endian", big.dataset(), wantBare(bigSyntax)},
		{"bare dataset, under 132 bytes", join(explicit.UI(sopClass, ctStorage), explicit.UI(sopUID, "1.2.3.4.5"),
			explicit.UI(studyUID, "1.2.3"), explicit.UI(seriesUID, "1.2.3.4")), wantBare(explicitSyntax)},
	})
}

// PS3.5 §7.1.2: which VRs have a 16-bit length is a closed list.
func TestIdentifySkipsValuesOfEachVR(t *testing.T) {
	var tests []identifyTest
	add := func(name string, extra []byte) {
		tests = append(tests, identifyTest{name, file(explicitSyntax, explicit.dataset(extra)), want(explicitSyntax)})
	}
	for _, vr := range []string{
		"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST",
		"TM", "UI", "UL", "US", "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV",
	} {
		add(vr, explicit.Element(0x00091001, vr, "some bytes"))
		add(vr+" empty", explicit.Element(0x00091001, vr, ""))
	}
	add("unknown VR", explicit.Element(0x00091001, "ZZ", "some bytes"))
	add("VR of NULs: implicit for this element", implicit.Element(0x00091001, "", "some bytes"))
	add("lower-case VR bytes: implicit for this element", implicit.Element(0x00091001, "", string(make([]byte, 0x6C6C))))
	runIdentified(t, tests)
}

func TestIdentifyTrimsPadding(t *testing.T) {
	for name, value := range map[string]string{
		"NUL, PS3.5 §6.2":      "1.2.3.4.5\x00",
		"space":                "1.2.3.4.5 ",
		"fixed-width field":    "1.2.3.4.5" + string(make([]byte, 55)),
		"NUL and spaces mixed": "1.2.3.4.5\x00  \x00",
		"odd length":           "1.2.3.4.5",
	} {
		t.Run(name, func(t *testing.T) {
			input := join(explicit.UI(sopClass, ctStorage), explicit.Element(sopUID, "UI", value),
				explicit.UI(studyUID, "1.2.3"), explicit.UI(seriesUID, "1.2.3.4"))
			got, err := dicom.Identify(bytes.NewReader(input), wholeWindow)
			if diff := cmp.Diff(wantBare(explicitSyntax), got); err != nil || diff != "" {
				t.Errorf("error %v, identity (-want +got):\n%s", err, diff)
			}
		})
	}
}

// An invalid UID is kept unchanged, so that ValidUID refuses it (PS3.5 §9.1).
func TestIdentifyKeepsInvalidValues(t *testing.T) {
	digits := string(bytes.Repeat([]byte("1"), 300))
	spaces := string(bytes.Repeat([]byte(" "), 300))
	for _, test := range []struct{ name, value, want string }{
		{"65 characters", digits[:65], digits[:65]},
		{"300 characters", digits, digits[:128]},
		{"blanks hide what follows", "1.2" + spaces + "junk", "1.2" + spaces[:125]},
		{"two values", `1.2\1.3`, `1.2\1.3`},
		{"path", "../../etc", "../../etc"},
		{"leading space", " 1.2", " 1.2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			input := join(explicit.UI(sopClass, ctStorage), explicit.Element(sopUID, "UI", test.value),
				explicit.UI(studyUID, "1.2.3"), explicit.UI(seriesUID, "1.2.3.4"))
			got, err := dicom.Identify(bytes.NewReader(input), wholeWindow)
			if err != nil || got.SOPInstanceUID != test.want || dicom.ValidUID(got.SOPInstanceUID) {
				t.Errorf("got %q, error %v, want %q, not valid", got.SOPInstanceUID, err, test.want)
			}
		})
	}
}

// PS3.5 §7.1: an element occurs at most once. If one of the UIDs occurs twice, with different values,
// the identity is in doubt; readers differ in which they use.
func TestIdentifyRefusesTwoNames(t *testing.T) {
	for element, uid := range map[uint32]string{sopClass: "9.9", sopUID: "9.9.9", studyUID: "9.9.8"} {
		input := join(explicit.UI(sopClass, ctStorage), explicit.UI(sopUID, "1.2.3.4.5"), explicit.UI(studyUID, "1.2.3"), explicit.UI(element, uid), explicit.UI(seriesUID, "1.2.3.4"))
		if _, err := dicom.Identify(bytes.NewReader(input), wholeWindow); !errors.Is(err, dicom.ErrNamedTwice) {
			t.Errorf("(%08X) twice: error %v, want %v", element, err, dicom.ErrNamedTwice)
		}
	}
	same := file(explicitSyntax, explicit.dataset(explicit.UI(sopUID, want(explicitSyntax).SOPInstanceUID)))
	got, err := dicom.Identify(bytes.NewReader(same), wholeWindow)
	if diff := cmp.Diff(want(explicitSyntax), got); err != nil || diff != "" {
		t.Errorf("twice the same: error %v, identity (-want +got):\n%s", err, diff)
	}
}
