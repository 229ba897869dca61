package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"
)

// stored is an object as read by an independent library.
func (s *faultyS3) stored(t *testing.T, sop string) (dataset dicom.Dataset, content string, ok bool) {
	t.Helper()
	object, ok := s.object(keyOf(sop))
	if !ok {
		return dicom.Dataset{}, "", false
	}
	dataset, err := dicom.Parse(bytes.NewReader(object), int64(len(object)), nil, dicom.SkipPixelData())
	if err != nil {
		t.Fatalf("what is stored is not DICOM: %v", err)
	}
	return dataset, string(object), true
}

func valueOf(dataset dicom.Dataset, wanted tag.Tag) string {
	found, err := dataset.FindElementByTag(wanted)
	if err != nil {
		return ""
	}
	return found.Value.String()
}

// PS3.5 §A.2: native Pixel Data with more than 8 bits are OW,
// even if the metadata name another VR; a VR that Pixel Data cannot have is refused.
func TestNativePixelDataAreStoredAsOW(t *testing.T) {
	pixels := pattern(32)
	for _, vr := range []string{"OW", "OB", "UN", "UT", "LO", "UI", "SQ", "OF"} {
		t.Run(vr, func(t *testing.T) {
			s3 := startS3(t)
			s := startService(t, s3)
			got := s.mustDo(t, "/studies", relatedJSON, composed(
				jsonPart(jsonOf("2.25.7", grey16(4, 4), reference("7FE00010", vr, "p"))), bulkPart(octetStream, "p", pixels)))
			_, content, ok := s3.stored(t, "2.25.7")
			switch {
			case ok != got.reportsStored("2.25.7"):
				t.Errorf("stored: %v, and the answer says %s", ok, got.outcomes())
			case ok && !strings.HasSuffix(content, native(pixels)):
				t.Errorf("status %d, and Pixel Data are stored as …%q", got.status, content[max(0, len(content)-44):])
			case !ok && vr == "OW":
				t.Errorf("status %d %s %s; want it stored", got.status, got.outcomes(), got.warnings())
			case !ok && got.warnings() == "":
				t.Error("no Warning says what is wrong")
			}
		})
	}
}

// If the metadata contradict the bit stream, they are corrected or the instance fails: PS3.5
// §8.2.1 (8 bits in JPEG Baseline), PS3.3 §C.7.6.1.1.5 (lossy compression is never undone).
func TestMetadataDoNotContradictTheBitStream(t *testing.T) {
	picture := jpegOf(t, 40, 60, 1)
	for _, test := range []struct {
		name, element string
		tag           tag.Tag
		right         string // the value that may be stored
	}{
		{"16 bits allocated", bits(16), tag.BitsAllocated, "[8]"},
		{"12 bits stored", strings.Join([]string{number("00280100", "US", 8), number("00280101", "US", 12), number("00280102", "US", 11)}, ","), tag.BitsStored, "[8]"},
		{"lossless", `"00282110":{"vr":"CS","Value":["00"]}`, tag.LossyImageCompression, "[01]"},
		{"two samples a pixel", number("00280002", "US", 3), tag.SamplesPerPixel, "[1]"},
		{"other rows", number("00280010", "US", 41), tag.Rows, "[40]"},
		{"in colour", `"00280004":{"vr":"CS","Value":["RGB"]}`, tag.PhotometricInterpretation, "[MONOCHROME2]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s3 := startS3(t)
			s := startService(t, s3)
			got := s.mustDo(t, "/studies", relatedJSON, composed(
				jsonPart(jsonOf("2.25.7", test.element, reference("7FE00010", "OB", "p"))), bulkPart("image/jpeg", "p", picture)))
			dataset, _, ok := s3.stored(t, "2.25.7")
			switch {
			case ok && valueOf(dataset, test.tag) != test.right:
				t.Errorf("status %d, and %v is stored as %s, which the JPEG says is %s", got.status, test.tag, valueOf(dataset, test.tag), test.right)
			case ok != got.reportsStored("2.25.7"):
				t.Errorf("stored: %v, and the answer says %s", ok, got.outcomes())
			case !ok && got.warnings() == "":
				t.Error("no Warning says what is wrong")
			}
		})
	}
}

// Bulkdata are in the sender's character set. They are never stored with another one.
func TestBulkTextKeepsItsCharacterSet(t *testing.T) {
	const latin = "Gr\xfc\xdfe "
	s3 := startS3(t)
	s := startService(t, s3)
	got := s.mustDo(t, "/studies", relatedJSON, composed(
		jsonPart(jsonOf("2.25.7", `"00080005":{"vr":"CS","Value":["ISO_IR 100"]}`, `"00100010":{"vr":"PN","Value":[{"Alphabetic":"M\u00fcller"}]}`, reference("00420011", "UT", "p"))),
		bulkPart(octetStream, "p", latin)))
	object, ok := s3.object(keyOf("2.25.7"))
	content := string(object)
	if ok && strings.Contains(content, "ISO_IR 192") && strings.Contains(content, latin) {
		t.Errorf("status %d, and text in Latin-1 is stored under ISO_IR 192", got.status)
	}
	if ok && strings.Contains(content, "ISO_IR 100") && strings.Contains(content, "M\u00fcller") {
		t.Errorf("status %d, and text in UTF-8 is stored under ISO_IR 100", got.status)
	}
	if !ok && got.warnings() == "" {
		t.Error("no Warning says what is wrong")
	}
}

// Rows, Columns and bits determine the length of Pixel Data (PS3.5 §8.1.1), whether or not the
// sender declares the length of the part.
func TestPixelDataOfTheWrongLengthAreRefused(t *testing.T) {
	for _, lengthBytes := range []int{0, 2, 198, 199, 200, 201, 202, 210, 2000} {
		for _, declared := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d of 200 bytes, declared %v", lengthBytes, declared), func(t *testing.T) {
				s3 := startS3(t)
				s := startService(t, s3)
				part := bulkPart(octetStream, "p", pattern(lengthBytes))
				if declared {
					part.header += fmt.Sprintf("|Content-Length: %d", lengthBytes)
				}
				got := s.mustDo(t, "/studies", relatedJSON, composed(jsonPart(jsonOf("2.25.7", grey16(10, 10), reference("7FE00010", "OW", "p"))), part))
				status, want := http.StatusConflict, "failed 2.25.7 C000"
				if lengthBytes == 200 {
					status, want = http.StatusOK, "stored 2.25.7"
				}
				if got.status != status || got.outcomes() != want {
					t.Errorf("status %d, %s; want %d, %s", got.status, got.outcomes(), status, want)
				}
				if _, ok := s3.object(keyOf("2.25.7")); ok != (lengthBytes == 200) {
					t.Errorf("stored: %v", ok)
				}
			})
		}
	}
}

// PS3.18 §10.5.1.4: a URI names bulkdata, not an instance; several instances can refer to the same.
func TestInstancesMayShareBulkdata(t *testing.T) {
	picture, document := jpegOf(t, 40, 60, 1), pattern(1000)
	for _, test := range []struct {
		name, element string
		part          bodyPart
		want          string
	}{
		{"a JPEG", reference("7FE00010", "OB", "p"), bulkPart("image/jpeg", "p", picture), encapsulated(picture)},
		{"a document", reference("00420011", "OB", "p"), bulkPart("application/pdf", "p", document), string(le.Header(0x00420011, "OB", 1000)) + document},
	} {
		t.Run(test.name, func(t *testing.T) {
			s3 := startS3(t)
			s := startService(t, s3)
			got := s.mustDo(t, "/studies", relatedJSON, composed(jsonPart(jsonOf("2.25.7", test.element), jsonOf("2.25.8", test.element)), test.part))
			if want := "stored 2.25.7 | stored 2.25.8"; got.status != http.StatusOK || got.outcomes() != want {
				t.Errorf("status %d, %s; want 200, %s; %s", got.status, got.outcomes(), want, got.warnings())
			}
			for _, sop := range []string{"2.25.7", "2.25.8"} {
				if content, _ := s3.object(keyOf(sop)); !strings.HasSuffix(string(content), test.want) {
					t.Errorf("%s is not stored with its bulkdata", sop)
				}
			}
		})
	}
}

// A Baseline stream can be decoded by Extended decoders, so the sender may
// declare it as Extended (PS3.5 §A.4.1, PS3.18 §8.7.3.5.2).
func TestTransferSyntaxParameterIsBelievedWhereTheStreamAllowsIt(t *testing.T) {
	picture := jpegOf(t, 40, 60, 1)
	for syntax, fits := range map[string]bool{"1.2.840.10008.1.2.4.50": true, "1.2.840.10008.1.2.4.51": true, "1.2.840.10008.1.2.4.70": false, "1.2.840.10008.1.2.4.90": false} {
		t.Run(syntax, func(t *testing.T) {
			s3 := startS3(t)
			s := startService(t, s3)
			got := s.mustDo(t, "/studies", relatedJSON, composed(
				jsonPart(jsonOf("2.25.7", reference("7FE00010", "OB", "p"))), bulkPart("image/jpeg; transfer-syntax="+syntax, "p", picture)))
			dataset, content, ok := s3.stored(t, "2.25.7")
			switch {
			case !ok && fits:
				t.Errorf("status %d %s %s; want it stored", got.status, got.outcomes(), got.warnings())
			case ok && !fits && strings.Contains(content, syntax):
				t.Errorf("a stream of JPEG Baseline is stored under %s", syntax)
			case ok && fits && (valueOf(dataset, tag.TransferSyntaxUID) != "["+syntax+"]" || !strings.HasSuffix(content, encapsulated(picture))):
				t.Errorf("stored with Transfer Syntax %s, want %s and the frame as it is", valueOf(dataset, tag.TransferSyntaxUID), syntax)
			}
		})
	}
}
