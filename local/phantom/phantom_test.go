package main

import (
	"bytes"
	"image"
	"image/png"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"
)

// The committed results, from the folder of this package.
var (
	samples       = filepath.Join("..", "..", "dcm-samples")
	samplePicture = filepath.Join("..", "..", "img", "dcm-samples.png")
)

func TestRegenerationReproducesTheCommittedInstances(t *testing.T) {
	out := t.TempDir()
	if err := run(out, ""); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"slice-1.dcm", "slice-2.dcm", "slice-3.dcm"}, fileNames(t, out)); diff != "" {
		t.Fatalf("files written (-want +got):\n%s", diff)
	}
	for _, name := range fileNames(t, out) {
		got, want := readFile(t, filepath.Join(out, name)), readFile(t, filepath.Join(samples, name))
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the generator writes other bytes than are committed; run it and commit the result", name)
		}
		if len(want) >= 300_000 {
			t.Errorf("%s has %d bytes, want under 300,000", name, len(want))
		}
	}
}

func TestSampleFolderHoldsThreeInstancesAndTheREADME(t *testing.T) {
	want := []string{"README.md", "slice-1.dcm", "slice-2.dcm", "slice-3.dcm"}
	if diff := cmp.Diff(want, fileNames(t, samples)); diff != "" {
		t.Errorf("files in dcm-samples (-want +got):\n%s", diff)
	}
	readme := string(readFile(t, filepath.Join(samples, "README.md")))
	for _, s := range series {
		row := "| " + s.fileName + " | " + s.sopInstanceUID + " | " + number(s.positionMM) + " mm |"
		if !strings.Contains(readme, row) {
			t.Errorf("README.md lacks the row %q", row)
		}
	}
}

// PNG encoders may compress differently from one release of Go to the next, so
// the pixels are compared and not the files.
func TestCommittedPictureShowsTheInstances(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "picture.png")
	if err := run(t.TempDir(), picture); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decodeGray(t, samplePicture), decodeGray(t, picture)); diff != "" {
		t.Errorf("%s is not what the generator draws (-committed +drawn):\n%s", samplePicture, diff)
	}
}

// PS3.10 §7.1, Table 7.1-1: the type 1 elements of the file meta information,
// and the media storage UIDs equal to those of the dataset.
func TestFileMetaInformationIsComplete(t *testing.T) {
	for _, s := range series {
		t.Run(s.fileName, func(t *testing.T) {
			dataset := parse(t, s)
			version, err := dataset.FindElementByTag(tag.FileMetaInformationVersion)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]byte{0, 1}, version.Value.GetValue()); diff != "" {
				t.Errorf("FileMetaInformationVersion (-want +got):\n%s", diff)
			}
			got := map[string]string{}
			for name, attr := range map[string]tag.Tag{
				"MediaStorageSOPClassUID":    tag.MediaStorageSOPClassUID,
				"MediaStorageSOPInstanceUID": tag.MediaStorageSOPInstanceUID,
				"TransferSyntaxUID":          tag.TransferSyntaxUID,
				"ImplementationClassUID":     tag.ImplementationClassUID,
				"ImplementationVersionName":  tag.ImplementationVersionName,
				"SOPClassUID":                tag.SOPClassUID,
				"SOPInstanceUID":             tag.SOPInstanceUID,
			} {
				got[name] = stringValue(t, dataset, attr)
			}
			want := map[string]string{
				"MediaStorageSOPClassUID":    ctImageStorage,
				"MediaStorageSOPInstanceUID": s.sopInstanceUID,
				"TransferSyntaxUID":          explicitVRLittleEndian,
				"ImplementationClassUID":     implementationClassUID,
				"ImplementationVersionName":  implementationVersionName,
				"SOPClassUID":                ctImageStorage,
				"SOPInstanceUID":             s.sopInstanceUID,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("UIDs (-want +got):\n%s", diff)
			}
		})
	}
}

// PS3.5 §7.1: data elements are in increasing order of their tags, each once.
func TestElementsAreInTheOrderOfTheirTags(t *testing.T) {
	all := attributes(series[0], new(plane))
	for i := 1; i < len(all); i++ {
		if all[i-1].tag.Compare(all[i].tag) >= 0 {
			t.Errorf("%v does not come after %v", all[i].tag, all[i-1].tag)
		}
	}
}

// PS3.5 §B.2: a UID under 2.25 is a UUID of 128 bits as a decimal without
// leading zeros; two things never share one.
func TestUIDsAreDistinctUUIDs(t *testing.T) {
	uids := []string{studyInstanceUID, seriesInstanceUID, frameOfReferenceUID, implementationClassUID}
	for _, s := range series {
		uids = append(uids, s.sopInstanceUID)
	}
	seen := map[string]bool{}
	for _, uid := range uids {
		decimal, ok := strings.CutPrefix(uid, "2.25.")
		if !ok {
			t.Errorf("%s is not under 2.25", uid)
			continue
		}
		n, ok := new(big.Int).SetString(decimal, 10)
		if !ok || n.String() != decimal || n.BitLen() > 128 {
			t.Errorf("%s is not 2.25 and a UUID as a decimal", uid)
		}
		if seen[uid] {
			t.Errorf("%s is used twice", uid)
		}
		seen[uid] = true
	}
}

// PS3.3 §C.11.1.1.2: output = slope * stored value + intercept, in Hounsfield
// units here. The points are named after the head seen from the feet.
func TestStoredPixelsAreHounsfieldUnits(t *testing.T) {
	tests := []struct {
		name              string
		instance          int
		row, column, want int
	}{
		{"air in the corner", 0, 0, 0, -1000},
		{"skull at the front", 1, 14, 128, 1000},
		{"brain behind the ventricles", 1, 190, 128, 35},
		{"larger ventricle, patient's right", 1, 128, 100, 5},
		{"smaller ventricle, patient's left", 1, 128, 156, 5},
		{"frontal mass in the lowest slice", 0, 84, 128, 50},
		{"nodule only in the highest slice", 2, 141, 128, 55},
		{"no nodule there in the middle", 1, 141, 128, 35},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dataset := parse(t, series[tt.instance])
			element, err := dataset.FindElementByTag(tag.PixelData)
			if err != nil {
				t.Fatal(err)
			}
			native, err := dicom.MustGetPixelDataInfo(element.Value).Frames[0].GetNativeFrame()
			if err != nil {
				t.Fatal(err)
			}
			stored, err := native.GetPixel(tt.column, tt.row)
			if err != nil {
				t.Fatal(err)
			}
			if got := stored[0] + rescaleIntercept; got != tt.want {
				t.Errorf("got %d HU, want %d HU", got, tt.want)
			}
		})
	}
}

// fileNames returns the names of everything in folder, sorted.
func fileNames(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// parse reads a committed instance.
func parse(t *testing.T, s slice) dicom.Dataset {
	t.Helper()
	dataset, err := dicom.ParseFile(filepath.Join(samples, s.fileName), nil)
	if err != nil {
		t.Fatal(err)
	}
	return dataset
}

func stringValue(t *testing.T, dataset dicom.Dataset, attr tag.Tag) string {
	t.Helper()
	element, err := dataset.FindElementByTag(attr)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(dicom.MustGetStrings(element.Value), `\`)
}

func decodeGray(t *testing.T, name string) *image.Gray {
	t.Helper()
	decoded, err := png.Decode(bytes.NewReader(readFile(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	gray, ok := decoded.(*image.Gray)
	if !ok {
		t.Fatalf("%s decodes to %T, want grey", name, decoded)
	}
	return gray
}
