package bulkdata_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/bulkdata"
)

// stream returns a file of testdata. Its README says how it was made.
func stream(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// uid completes 1.2.840.10008.1.2.4.n.
func uid(n string) string { return "1.2.840.10008.1.2.4." + n }

type inspection struct {
	file, mediaType, said string // said completes a transfer syntax; empty: none
	want                  bulkdata.Image
}

func (tt inspection) name() string { return tt.file + " as " + tt.mediaType + " " + tt.said }

// inspectAll checks the complete stream, and that each shorter head gives the same
// or asks for more.
func inspectAll(t *testing.T, tests []inspection) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name(), func(t *testing.T) {
			data := stream(t, tt.file)
			said := ""
			if tt.said != "" {
				said = uid(tt.said)
			}
			got, err := bulkdata.Inspect(tt.mediaType, said, data, true)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("image, -want +got:\n%s", diff)
			}
			for n := range data {
				got, err := bulkdata.Inspect(tt.mediaType, said, data[:n], false)
				if errors.Is(err, bulkdata.ErrShort) {
					continue
				}
				if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
					t.Fatalf("head of %d bytes: %v, -want +got:\n%s", n, err, diff)
				}
			}
		})
	}
}

type refusal struct {
	file, mediaType, said string
	reason                string // part of the error
}

func refuseAll(t *testing.T, tests []refusal) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.file+" as "+tt.mediaType+" "+tt.said, func(t *testing.T) {
			said := ""
			if tt.said != "" {
				said = uid(tt.said)
			}
			wantRefused(t, tt.mediaType, said, stream(t, tt.file), tt.reason)
		})
	}
}

func wantRefused(t *testing.T, mediaType, said string, data []byte, reason string) bulkdata.Image {
	t.Helper()
	got, err := bulkdata.Inspect(mediaType, said, data, true)
	if err == nil || !strings.Contains(err.Error(), reason) || errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("error is %v, want one with %q", err, reason)
	}
	if said != "" && got.TransferSyntaxUID != said && !strings.Contains(reason, "is said to be") && got.TransferSyntaxUID == "" {
		t.Errorf("the sender's transfer syntax is lost: %+v", got)
	}
	return got
}

// PS3.18 Table 10.5.2-1.
func TestMediaTypesOfTheTable(t *testing.T) {
	for mediaType, want := range map[string][2]bool{
		"image/jpeg": {true, false}, "image/jls": {true, false}, "image/jp2": {true, false}, "image/jpx": {true, false},
		"image/jph": {true, false}, "image/jphc": {true, false}, "image/jxl": {true, false}, "image/dicom-rle": {true, false},
		"video/mpeg": {true, false}, "video/mp4": {true, false}, "video/H265": {true, false},
		"IMAGE/JPEG": {true, false}, "video/h265": {true, false},
		"image/png": {false, true}, "image/gif": {false, true}, "Image/PNG": {false, true},
		"application/octet-stream": {}, "image/tiff": {}, "": {}, "image/jpeg; q=1": {},
	} {
		if got := [2]bool{bulkdata.Compressed(mediaType), bulkdata.Transformed(mediaType)}; got != want {
			t.Errorf("%q: compressed and transformed are %v, want %v", mediaType, got, want)
		}
	}
	if _, err := bulkdata.Inspect("image/png", "", nil, false); err == nil || errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("Inspect of a PNG: %v", err)
	}
	if _, _, err := bulkdata.Configure("image/jpeg", nil, false); err == nil || errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("Configure of a JPEG: %v", err)
	}
	if _, err := bulkdata.Decode("image/jpeg", strings.NewReader(""), bulkdata.Image{}); err == nil {
		t.Error("Decode of a JPEG: no error")
	}
}

// A parameter that is none of the media type's is passed over, and padding of the
// UID does not matter.
func TestTransferSyntaxParameter(t *testing.T) {
	data := stream(t, "444.jpg")
	for _, said := range []string{"*", "1.2.840.10008.1.2.1", uid("90"), uid("50"), uid("50") + " ", uid("50") + "\x00"} {
		got, err := bulkdata.Inspect("image/jpeg", said, data, true)
		if err != nil || got.TransferSyntaxUID != uid("50") {
			t.Errorf("said %q: %q, %v", said, got.TransferSyntaxUID, err)
		}
	}
}

// What cannot be read to the end leaves what its sender said.
func TestUnreadableHeadKeepsTheSendersSyntax(t *testing.T) {
	got := wantRefused(t, "image/jp2", uid("91"), []byte("this is no image at all"), "neither a JPEG 2000 codestream")
	if diff := cmp.Diff(bulkdata.Image{TransferSyntaxUID: uid("91")}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A head that does not end is an error at HeadBytes, not a request for more.
func TestHeadLongerThanTheLimit(t *testing.T) {
	comments := []byte("\xFF\xD8" + strings.Repeat("\xFF\xFE\x80\x00"+strings.Repeat("x", 0x7FFE), 40))
	if len(comments) <= bulkdata.HeadBytes {
		t.Fatal("the head is too short for this test")
	}
	_, err := bulkdata.Inspect("image/jpeg", "", comments[:bulkdata.HeadBytes-1], false)
	if !errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("below the limit: %v, want ErrShort", err)
	}
	for _, complete := range []bool{false, true} {
		for _, head := range [][]byte{comments[:bulkdata.HeadBytes], comments} {
			_, err = bulkdata.Inspect("image/jpeg", "", head, complete)
			if err == nil || errors.Is(err, bulkdata.ErrShort) || !strings.Contains(err.Error(), "first 1048576 bytes") &&
				!strings.Contains(err.Error(), "the stream ends") {
				t.Errorf("%d bytes, complete %t: %v", len(head), complete, err)
			}
		}
	}
}

// PS3.5 §G.5: the header of an RLE frame says nothing of the image.
func TestRLEGivesItsTransferSyntaxOnly(t *testing.T) {
	header := make([]byte, 64, 70)
	header[0], header[4] = 1, 64
	got, err := bulkdata.Inspect("image/dicom-rle", "", append(header, 0, 1), true)
	if want := (bulkdata.Image{TransferSyntaxUID: "1.2.840.10008.1.2.5"}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := bulkdata.Inspect("image/dicom-rle", "", header[:63], false); !errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("63 bytes: %v", err)
	}
	header[0] = 16
	wantRefused(t, "image/dicom-rle", "", header, "no RLE header")
}
