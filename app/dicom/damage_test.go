package dicom_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

// place is where in a dataset the damage is.
type place struct {
	name    string
	dataset func(s syntax, wrong []byte) []byte
}

// before, after and between the UIDs.
var places = []place{
	{"first", func(s syntax, wrong []byte) []byte {
		return join(s.Element(0x00080005, "CS", "ISO_IR 100"), wrong, s.dataset()[len(s.Element(0x00080005, "CS", "ISO_IR 100")):])
	}},
	{"between", func(s syntax, wrong []byte) []byte { return s.dataset(wrong) }},
	{"behind", func(s syntax, wrong []byte) []byte { return join(s.dataset(), wrong) }},
}

// damages leave no doubt about the UIDs. Each is made in each encoding.
var damages = []struct {
	name string
	make func(s syntax) []byte
}{
	{"a sequence delimiter closes an open item", func(s syntax) []byte {
		return join(s.Header(0x00081140, "SQ", undefined), s.Header(item, "", undefined), s.UI(0x00081150, "9.9"), s.Header(sequenceEnd, "", 0))
	}},
	{"an item begins in an open item", func(s syntax) []byte {
		return join(s.Header(0x00081140, "SQ", undefined), s.Header(item, "", undefined), s.decoys(), s.Open(item, "", s.decoys()), s.Header(sequenceEnd, "", 0))
	}},
	{"a nested sequence whose item is not closed", func(s syntax) []byte {
		return s.Open(0x00081140, "SQ", s.Open(item, "", s.Header(0x00081199, "SQ", undefined), s.Header(item, "", undefined), s.decoys(), s.Header(sequenceEnd, "", 0), s.UI(0x0020000D, "9.9")))
	}},
	{"a sequence of items of defined length has no delimiter", func(s syntax) []byte {
		return join(s.Header(0x00081140, "SQ", undefined), s.Element(item, "", string(s.decoys())), s.Element(item, "", string(s.decoys())))
	}},
	{"a sequence of items of undefined length has no delimiter", func(s syntax) []byte {
		return join(s.Header(0x00081140, "SQ", undefined), s.Open(item, "", s.decoys()), s.Open(item, "", s.decoys()))
	}},
	{"a sequence of no items has no delimiter", func(s syntax) []byte { return s.Header(0x00081140, "SQ", undefined) }},
	{"a stray item", func(s syntax) []byte { return s.Element(item, "", string(s.decoys())) }},
	{"a stray item of undefined length", func(s syntax) []byte { return s.Open(item, "", s.decoys()) }},
	{"a stray item with a nested sequence", func(s syntax) []byte {
		return s.Open(item, "", s.Open(0x00081140, "SQ", s.Open(item, "", s.decoys())), s.decoys())
	}},
	{"stray items and the end of their sequence", func(s syntax) []byte {
		return join(s.Open(item, "", s.decoys()), s.Element(item, "", string(s.decoys())), s.Header(sequenceEnd, "", 0))
	}},
	{"zeros", func(syntax) []byte { return make([]byte, 32) }},
	{"two zeros", func(syntax) []byte { return make([]byte, 2) }},
	{"six zeros", func(syntax) []byte { return make([]byte, 6) }},
	{"zeros between items", func(s syntax) []byte {
		return s.Open(0x00081140, "SQ", s.Open(item, "", s.decoys()), make([]byte, 8), s.Open(item, "", s.decoys()))
	}},
	{"a doubled item delimiter", func(s syntax) []byte {
		return s.Open(0x00081140, "SQ", s.Open(item, "", s.decoys()), s.Header(itemEnd, "", 0))
	}},
	{"a doubled sequence delimiter", func(s syntax) []byte {
		return join(s.Open(0x00081140, "SQ", s.Open(item, "", s.decoys())), s.Header(sequenceEnd, "", 0))
	}},
	{"a doubled sequence delimiter in an item", func(s syntax) []byte {
		return s.Open(0x00081140, "SQ", s.Open(item, "", s.Open(0x00081199, "SQ", s.Open(item, "", s.decoys())), s.Header(sequenceEnd, "", 0), s.UI(0x0020000E, "9.9")))
	}},
	{"fragments without a delimiter", func(s syntax) []byte {
		return join(s.Header(0x00091010, "OB", undefined), s.Element(item, "", ""), s.Element(item, "", "fragment"))
	}},
}

func TestIdentifyNamesDamagedDatasets(t *testing.T) {
	for _, encoded := range []struct {
		syntax syntax
		uid    string
		pack   func([]byte) []byte
	}{
		{explicit, explicitSyntax, nil},
		{implicit, implicitSyntax, nil},
		{big, bigSyntax, nil},
		{explicit, deflatedSyntax, func(b []byte) []byte { return dicomtest.Deflate(b) }},
	} {
		for _, damage := range damages {
			for _, place := range places {
				dataset := place.dataset(encoded.syntax, damage.make(encoded.syntax))
				if encoded.syntax == implicit && strings.HasPrefix(damage.name, "fragments") {
					continue // implicit VR has none
				}
				if encoded.pack != nil {
					dataset = encoded.pack(dataset)
				}
				t.Run(fmt.Sprintf("%s/%s/%s", damage.name, encoded.uid, place.name), func(t *testing.T) {
					got, err := dicom.Identify(bytes.NewReader(file(encoded.uid, dataset)), wholeWindow)
					if diff := cmp.Diff(want(encoded.uid), got); err != nil || diff != "" {
						t.Errorf("error %v, identity (-want +got):\n%s", err, diff)
					}
				})
			}
		}
	}
}

// Some writers give UN, OB, UT and SQ a length of 16 bits, or use a VR that does
// not exist, with a length of either size.
func TestIdentifyReadsLengthsThatAreNotOfTheirVR(t *testing.T) {
	for _, s := range []syntax{explicit, big} {
		short := func(vr, value string) []byte {
			return join(s.Header(0x00091010, "", 0)[:4], []byte(vr), s.Order.AppendUint16(nil, uint16(len(value))), []byte(value))
		}
		for _, vr := range []string{"UN", "OB", "OW", "UT", "SQ", "UC", "ZZ", "XX", "QQ"} {
			values := []string{"", "ab", "some bytes", strings.Repeat("many", 5000), string(s.decoys())}
			if vr == "SQ" {
				values = []string{"", string(s.Element(item, "", string(s.decoys()))), string(s.Open(item, "", s.decoys()))}
			}
			for _, value := range values {
				for _, place := range places {
					t.Run(fmt.Sprintf("%s/%s of %d/%s", s.UID, vr, len(value), place.name), func(t *testing.T) {
						input := file(s.UID, place.dataset(s, short(vr, value)))
						got, err := dicom.Identify(bytes.NewReader(input), wholeWindow)
						if diff := cmp.Diff(want(s.UID), got); err != nil || diff != "" {
							t.Errorf("error %v, identity (-want +got):\n%s", err, diff)
						}
					})
				}
			}
		}
	}
}

// PS3.5 §6.2.2 requires implicit VR little endian in a UN of undefined length. A content that
// is explicit VR is read as such.
func TestIdentifyBelievesExplicitVRInUN(t *testing.T) {
	for _, inner := range []syntax{implicit, explicit, big} {
		content := inner.Open(item, "", inner.decoys(), inner.Open(0x00291140, "SQ", inner.Open(item, "", inner.decoys())))
		for _, s := range []struct {
			syntax
			uid string
		}{{explicit, explicitSyntax}, {big, bigSyntax}} {
			un := join(s.Header(0x00091010, "UN", undefined), content, content, inner.Header(sequenceEnd, "", 0))
			got, err := dicom.Identify(bytes.NewReader(file(s.uid, s.dataset(un))), wholeWindow)
			if diff := cmp.Diff(want(s.uid), got); err != nil || diff != "" {
				t.Errorf("%v in %v: error %v, identity (-want +got):\n%s", inner, s.syntax, err, diff)
			}
		}
	}
}

// PS3.5 §7.1: tags ascend. If they do not, the UIDs are searched to the end.
func TestIdentifyLooksOnOutOfOrder(t *testing.T) {
	for _, s := range []struct {
		syntax
		uid string
	}{{explicit, explicitSyntax}, {implicit, implicitSyntax}, {big, bigSyntax}} {
		class, instance := s.UI(sopClass, ctStorage), s.UI(sopUID, "1.2.3.4.5")
		study, series := s.UI(studyUID, "1.2.3"), s.UI(seriesUID, "1.2.3.4")
		private, pixels := s.Element(0x00291010, "LO", "private"), s.Element(0x7FE00010, "OW", string(make([]byte, 10_000)))
		command := s.Element(0x00000000, "UL", "\x00\x00\x00\x00")
		for name, dataset := range map[string][]byte{
			"begins with a private element":       join(private, class, instance, study, series),
			"begins with pixel data":              join(pixels, class, instance, study, series),
			"backwards":                           join(series, study, instance, class),
			"study and series first":              join(study, series, class, instance),
			"a private element between":           join(class, instance, private, study, series),
			"behind pixel data":                   join(class, private, instance, pixels, study, series),
			"one of them twice, the same":         join(class, instance, study, study, series, pixels),
			"all twice, the same":                 join(class, instance, study, series, class, instance, study, series),
			"of a command in front":               join(command, s.UI(0x00000002, "1.2"), class, instance, study, series),
			"a group length that is not in order": join(class, s.Element(0x00080000, "UL", "\x00\x00\x00\x00"), instance, study, series),
		} {
			t.Run(s.uid+"/"+name, func(t *testing.T) {
				got, err := dicom.Identify(bytes.NewReader(file(s.uid, dataset)), wholeWindow)
				if diff := cmp.Diff(want(s.uid), got); err != nil || diff != "" {
					t.Errorf("error %v, identity (-want +got):\n%s", err, diff)
				}
			})
		}
		for name, dataset := range map[string][]byte{
			"behind the others":                join(class, instance, study, series, instance, s.UI(sopUID, "9.9")),
			"behind a tag that goes backwards": join(class, instance, study, series, s.Element(0x00100010, "PN", "Nobody"), s.UI(seriesUID, "9.9")),
			"the sequence before is too short": join(class, instance, s.Element(0x00081250, "SQ", string(s.Header(item, "", uint32(len(s.UI(studyUID, "9.9")))))), s.UI(studyUID, "9.9"), s.UI(seriesUID, "9.8"), s.Open(0x0040A170, "SQ"), study, series, pixels),
			"pixel data are first":             join(pixels, class, instance, study, series, s.UI(seriesUID, "9.9")),
		} {
			t.Run(s.uid+"/named twice, "+name, func(t *testing.T) {
				if got, err := dicom.Identify(bytes.NewReader(file(s.uid, dataset)), wholeWindow); !errors.Is(err, dicom.ErrNamedTwice) {
					t.Errorf("error %v, identity %+v", err, got)
				}
			})
		}
	}
}

// A refusal describes the damage.
func TestIdentifyTellsWhatIsWrong(t *testing.T) {
	s := explicit
	class, instance, series := s.UI(sopClass, ctStorage), s.UI(sopUID, "1.2.3.4.5"), s.UI(seriesUID, "1.2.3.4")
	for name, test := range map[string]struct {
		dataset []byte
		words   []string
	}{
		"a sequence without end":         {join(class, instance, s.Header(0x00081140, "SQ", undefined), s.Header(item, "", undefined), s.UI(studyUID, "1.2.3"), series), []string{"sequence (0008,1140) has no end"}},
		"not in order":                   {join(instance, class, series), []string{"StudyInstanceUID is not found", "(0008,0016) is not in order"}},
		"a value that is longer":         {join(class, instance, s.Header(0x00081140, "UN", 1<<20), series), []string{"the stream ends inside the value of (0008,1140)"}},
		"a sequence too long":            {join(class, instance, s.Header(0x00081140, "SQ", 80), s.Element(item, "", string(s.UI(0x00081150, "1.2"))), s.UI(studyUID, "1.2.3"), series, s.Element(0x00280010, "US", "\x00\x01"), s.Element(0x00280011, "US", "\x00\x01")), []string{"the length of (0008,1140) is not that of its items"}},
		"the head of an element is torn": {join(class, instance, []byte{0x20, 0, 0x0D}), []string{"ends inside the header of an element"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dicom.Identify(bytes.NewReader(file(explicitSyntax, test.dataset)), wholeWindow)
			if !errors.Is(err, dicom.ErrNotDICOM) {
				t.Fatalf("error %v, want ErrNotDICOM", err)
			}
			for _, words := range test.words {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("error %q does not say %q", err, words)
				}
			}
		})
	}
}
