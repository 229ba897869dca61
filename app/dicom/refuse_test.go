package dicom_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

func TestIdentifyRefusesWhatIsNotDICOMAtOnce(t *testing.T) {
	meta := string(join(make([]byte, 128), []byte("DICM"), metaGroup(explicit, explicitSyntax)))
	for name, head := range map[string]string{
		"text":                       "The quick brown fox jumps over the lazy dog. ",
		"JSON":                       `[{"00080018":{"vr":"UI","Value":["1.2.3"]}}]`,
		"JPEG":                       "\xFF\xD8\xFF\xE0\x00\x10JFIF\x00\x01",
		"PNG":                        "\x89PNG\r\n\x1A\n",
		"ZIP":                        "PK\x03\x04\x14\x00",
		"zeros":                      "\x00",
		"ones":                       "\xFF",
		"little-endian TIFF":         "II*\x00\x08\x00\x00\x00",
		"dataset begins at patient":  "\x10\x00\x10\x00PN\x04\x00X^Y ",
		"DICM, then text":            "DICMThe quick brown fox",
		"File Meta, then zeros":      meta + strings.Repeat("\x00", 4096),
		"File Meta, then text":       meta + strings.Repeat("text", 1024),
		"File Meta, then delimiters": meta + strings.Repeat("\xFE\xFF\xDD\xE0\x00\x00\x00\x00", 512),
	} {
		t.Run(name, func(t *testing.T) {
			r := &counter{r: endless(head)}
			_, err := dicom.Identify(r, wholeWindow)
			if !errors.Is(err, dicom.ErrNotDICOM) {
				t.Errorf("error %v, want ErrNotDICOM", err)
			}
			if r.n > 4096 {
				t.Errorf("read %d bytes to find out", r.n)
			}
		})
	}
}

func TestIdentifyRefusesShortStreams(t *testing.T) {
	for name, input := range map[string]string{
		"empty":                  "",
		"one byte":               "\x08",
		"preamble alone":         string(make([]byte, 128)),
		"6 bytes declaring 4 GB": "\x08\x00\x05\x00\xFE\xFF",
		"header declaring 4 GB":  "\x08\x00\x05\x00\xFE\xFF\xFF\xFF",
		"undefined length in File Meta": string(join([]byte("DICM"),
			explicit.Header(0x00020102, "OB", undefined), explicit.dataset())),
		"corrupt deflate":   string(file(deflatedSyntax, bytes.Repeat([]byte{0xFF}, 500))),
		"truncated deflate": string(file(deflatedSyntax, dicomtest.Deflate(explicit.dataset())[:40])),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dicom.Identify(strings.NewReader(input), wholeWindow)
			if !errors.Is(err, dicom.ErrNotDICOM) {
				t.Errorf("error %v, want ErrNotDICOM", err)
			}
		})
	}
}

// STOW-RS distinguishes a missing attribute (0120) from one without a value (0121),
// PS3.7 Annex C.
func TestIdentifyNamesWhatIsMissing(t *testing.T) {
	class, instance := explicit.UI(sopClass, ctStorage), explicit.UI(sopUID, "1.2.3.4.5")
	study, series := explicit.UI(studyUID, "1.2.3"), explicit.UI(seriesUID, "1.2.3.4")
	rows := explicit.Element(0x00280010, "US", "\x00\x01")
	nested := explicit.Open(0x00081140, "SQ", explicit.Open(item, "", explicit.decoys()))
	for _, test := range []struct {
		name    string
		dataset []byte
		want    dicom.UIDError
		blank   func(*dicom.Identity)
	}{
		{"class", join(instance, study, series, rows), dicom.UIDError{Keyword: "SOPClassUID"},
			func(id *dicom.Identity) { id.SOPClassUID = "" }},
		{"instance, though File Meta has it", join(class, study, series, rows), dicom.UIDError{Keyword: "SOPInstanceUID"},
			func(id *dicom.Identity) { id.SOPInstanceUID = "" }},
		{"study", join(class, instance, series, rows), dicom.UIDError{Keyword: "StudyInstanceUID"},
			func(id *dicom.Identity) { id.StudyInstanceUID = "" }},
		{"study, though nested", join(class, instance, nested, series, rows), dicom.UIDError{Keyword: "StudyInstanceUID"},
			func(id *dicom.Identity) { id.StudyInstanceUID = "" }},
		{"series", join(class, instance, study, rows), dicom.UIDError{Keyword: "SeriesInstanceUID"},
			func(id *dicom.Identity) { id.SeriesInstanceUID = "" }},
		{"series at the end of the stream", join(class, instance, study), dicom.UIDError{Keyword: "SeriesInstanceUID"},
			func(id *dicom.Identity) { id.SeriesInstanceUID = "" }},
		{"study empty", join(class, instance, explicit.UI(studyUID, ""), series, rows), dicom.UIDError{Keyword: "StudyInstanceUID", Empty: true},
			func(id *dicom.Identity) { id.StudyInstanceUID = "" }},
		{"study padding only", join(class, instance, explicit.UI(studyUID, " \x00"), series, rows), dicom.UIDError{Keyword: "StudyInstanceUID", Empty: true},
			func(id *dicom.Identity) { id.StudyInstanceUID = "" }},
		{"everything", nil, dicom.UIDError{Keyword: "SOPClassUID"}, func(id *dicom.Identity) {
			id.SOPClassUID, id.SOPInstanceUID, id.StudyInstanceUID, id.SeriesInstanceUID = "", "", "", ""
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wanted := want(explicitSyntax)
			test.blank(&wanted)
			got, err := dicom.Identify(bytes.NewReader(file(explicitSyntax, test.dataset)), wholeWindow)
			var missing *dicom.UIDError
			if !errors.As(err, &missing) {
				t.Fatalf("error %v, want a UIDError", err)
			}
			if !strings.HasPrefix(err.Error(), test.want.Keyword) {
				t.Errorf("error %q does not begin with the keyword", err)
			}
			if diff := cmp.Diff(test.want, *missing); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

// After an element of a group above 0020, no UID of the instance can follow: the
// pixel data are not read.
func TestIdentifyStopsAboveGroup0020(t *testing.T) {
	input := file(explicitSyntax, join(explicit.UI(sopClass, ctStorage), explicit.Header(0x7FE00010, "OW", 1<<31)))
	r := &counter{r: behind{front: input, rest: endless("x")}}
	_, err := dicom.Identify(r, wholeWindow)
	var missing *dicom.UIDError
	if !errors.As(err, &missing) || r.n > 8192 {
		t.Errorf("error %v after %d bytes", err, r.n)
	}
}

// Every prefix of a valid file, and every wrong length in it, gives a
// result and no panic.
func TestIdentifySurvivesDamage(t *testing.T) {
	for name, input := range map[string][]byte{
		"explicit":   file(explicitSyntax, explicit.dataset(nest(explicit, 3))),
		"implicit":   file(implicitSyntax, implicit.dataset(nest(implicit, 3))),
		"big endian": file(bigSyntax, big.dataset(nest(big, 3))),
		"bare":       explicit.dataset(nest(explicit, 3)),
		"deflated":   file(deflatedSyntax, dicomtest.Deflate(explicit.dataset(nest(explicit, 3)))),
	} {
		t.Run(name, func(t *testing.T) {
			whole, err := dicom.Identify(bytes.NewReader(input), wholeWindow)
			if err != nil {
				t.Fatal(err)
			}
			for cut := range len(input) {
				got, err := dicom.Identify(bytes.NewReader(input[:cut]), wholeWindow)
				var missing *dicom.UIDError
				switch {
				case err == nil && got != whole:
					t.Fatalf("prefix of %d bytes: %+v", cut, got)
				case err != nil && !errors.Is(err, dicom.ErrNotDICOM) && !errors.As(err, &missing):
					t.Fatalf("prefix of %d bytes: error %v", cut, err)
				}
			}
			for _, wrong := range []string{"\xFF\xFF\xFF\xFF", "\xFE\xFF\xFF\xFF", "\x00\x00\x00\x00", "\x00\x00\x00\x80", "\xFF"} {
				for at := range len(input) - len(wrong) {
					damaged := bytes.Clone(input)
					copy(damaged[at:], wrong)
					_, err := dicom.Identify(bytes.NewReader(damaged), wholeWindow)
					var missing *dicom.UIDError
					if err != nil && !errors.Is(err, dicom.ErrNotDICOM) && !errors.Is(err, dicom.ErrNamedTwice) && !errors.As(err, &missing) {
						t.Fatalf("%q at %d: error %v", wrong, at, err)
					}
				}
			}
		})
	}
}
