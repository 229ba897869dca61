package dicom_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

// meta is the content of a File Meta group; empty values are omitted.
type meta struct{ class, instance, transferSyntax string }

func (m meta) write(s syntax) []byte {
	var b []byte
	for _, e := range []struct {
		tag   uint32
		value string
	}{{0x00020002, m.class}, {0x00020003, m.instance}, {0x00020010, m.transferSyntax}} {
		if e.value != "" {
			b = append(b, s.UI(e.tag, e.value)...)
		}
	}
	return join(s.Element(0x00020000, "UL", string(s.Order.AppendUint32(nil, uint32(len(b))))), b)
}

// PS3.10 §7.1 allows one File Meta group. If there are two, the first is used, unless only the second
// matches the dataset; the transfer syntax is the one that the bytes obey.
func TestIdentifyReadsFileMetaTwice(t *testing.T) {
	const jpeg = "1.2.840.10008.1.2.4.50"
	fits, other := meta{ctStorage, "1.2.3.4.5", explicitSyntax}, meta{"1.2.840.10008.5.1.4.1.1.4", "9.9.9", jpeg}
	head := join(make([]byte, 128), []byte("DICM"))
	for _, test := range []struct {
		name    string
		front   []byte // File Meta
		again   meta   // a second File Meta before the dataset, in the encoding of the dataset
		dataset syntax
		want    meta
	}{
		{"the first fits", join(head, fits.write(explicit)), other, explicit, fits},
		{"only the second fits", join(head, other.write(explicit)), fits, explicit, fits},
		{"both fit", join(head, meta{ctStorage, "1.2.3.4.5", jpeg}.write(explicit)), fits, explicit, meta{ctStorage, "1.2.3.4.5", jpeg}},
		{"none fits", join(head, other.write(explicit)), meta{"1.2", "8.8.8", explicitSyntax}, explicit, other},
		{"the second tells only the transfer syntax", join(head, meta{ctStorage, "1.2.3.4.5", ""}.write(explicit)), meta{"", "", explicitSyntax}, explicit, fits},
		{"the first has the transfer syntax of another encoding", join(head, meta{ctStorage, "1.2.3.4.5", implicitSyntax}.write(explicit)), fits, explicit, fits},
		{"again in implicit VR", join(head, meta{ctStorage, "1.2.3.4.5", implicitSyntax}.write(explicit)), other, implicit, meta{ctStorage, "1.2.3.4.5", implicitSyntax}},
		{"again in big endian", join(head, meta{ctStorage, "1.2.3.4.5", bigSyntax}.write(explicit)), other, big, meta{ctStorage, "1.2.3.4.5", bigSyntax}},
		{"only the second fits, in implicit VR", join(head, other.write(explicit)), meta{ctStorage, "1.2.3.4.5", implicitSyntax}, implicit, meta{ctStorage, "1.2.3.4.5", implicitSyntax}},
		{"with its preamble", join(head, fits.write(explicit), head), other, explicit, fits},
		{"with its preamble, only the second fits", join(head, other.write(explicit), head), fits, explicit, fits},
		{"with its prefix", join(head, fits.write(explicit), []byte("DICM")), other, explicit, fits},
	} {
		t.Run(test.name, func(t *testing.T) {
			again := test.again.write(test.dataset)
			got, err := dicom.Identify(bytes.NewReader(join(test.front, again, test.dataset.dataset())), wholeWindow)
			wanted := want(test.want.transferSyntax)
			wanted.MediaStorageSOPClassUID, wanted.MediaStorageSOPInstanceUID = test.want.class, test.want.instance
			if diff := cmp.Diff(wanted, got); err != nil || diff != "" {
				t.Errorf("error %v, identity (-want +got):\n%s", err, diff)
			}
		})
	}
	t.Run("deflated", func(t *testing.T) {
		first := meta{ctStorage, "1.2.3.4.5", deflatedSyntax}
		input := join(head, first.write(explicit), dicomtest.Deflate(join(other.write(explicit), explicit.dataset())))
		got, err := dicom.Identify(bytes.NewReader(input), wholeWindow)
		if diff := cmp.Diff(want(deflatedSyntax), got); err != nil || diff != "" {
			t.Errorf("error %v, identity (-want +got):\n%s", err, diff)
		}
	})
}
