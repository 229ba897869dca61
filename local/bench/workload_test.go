package main

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/crc64nvme"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

func TestInstancesAreNamedAsTheirKeysSay(t *testing.T) {
	const size = 8 << 10
	w := workload{instances: 3, sizeBytes: size}
	for _, i := range w.generate() {
		got, err := dicom.Identify(i.section(0, size), size)
		if err != nil {
			t.Fatal(err)
		}
		want := dicom.Identity{
			SOPClassUID: dicomtest.CTImageStorage, SOPInstanceUID: i.sopInstanceUID,
			StudyInstanceUID: studyInstanceUID, SeriesInstanceUID: seriesInstanceUID, TransferSyntaxUID: dicomtest.ExplicitLE.UID,
			MediaStorageSOPClassUID: dicomtest.CTImageStorage, MediaStorageSOPInstanceUID: i.sopInstanceUID,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if want := studyInstanceUID + "/" + seriesInstanceUID + "/" + i.sopInstanceUID; i.key() != want {
			t.Errorf("key %s, want %s", i.key(), want)
		}
	}
}

// The bytes of an instance do not depend on the sizes of the reads, even if it repeats its pixels.
func TestSectionsJoinToTheWholeInstance(t *testing.T) {
	const size = 10_000
	i := newInstance(7, size, noise(999))
	whole, err := io.ReadAll(i.section(0, size))
	if err != nil {
		t.Fatal(err)
	}
	if len(whole) != size {
		t.Fatalf("%d bytes, want %d", len(whole), size)
	}
	var joined []byte
	for offset := int64(0); offset < size; offset += 777 {
		n := min(777, size-offset)
		part, err := io.ReadAll(i.section(offset, n))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := i.crc64(offset, n), crc64nvme.Checksum(part); got != want {
			t.Errorf("CRC of %d bytes at %d: %x, want %x", n, offset, got, want)
		}
		joined = append(joined, part...)
	}
	if !bytes.Equal(whole, joined) {
		t.Error("the sections differ from the whole")
	}
}

func TestBodyHasTheLengthThatIsDeclared(t *testing.T) {
	w := workload{instances: 2, sizeBytes: 4 << 10}
	body, length := multipartRelated(w.generate())
	n, err := io.Copy(io.Discard, body)
	if err != nil {
		t.Fatal(err)
	}
	if n != length {
		t.Errorf("%d bytes, declared %d", n, length)
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 2, 9}, 3},
	} {
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v: %v, want %v", test.values, got, test.want)
		}
	}
}

func TestAnInstanceThatIsNotReferencedIsAFailure(t *testing.T) {
	batch := []instance{{sopInstanceUID: "1.2"}, {sopInstanceUID: "1.3"}}
	const referenced12 = `{"00081199":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1"]},"00081155":{"vr":"UI","Value":["1.2"]}}]}}`
	if err := allStored(batch[:1], "application/dicom+json", []byte(referenced12)); err != nil {
		t.Error(err)
	}
	if err := allStored(batch, "application/dicom+json", []byte(referenced12)); err == nil {
		t.Error("1.3 is not referenced, and nobody complains")
	}
}
