package dicom_test

import (
	"bytes"
	"errors"
	"testing"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

// FuzzIdentify holds for any input: no panic; nothing is read beyond the window; a second call
// gives the same result; only the documented errors.
func FuzzIdentify(f *testing.F) {
	for _, seed := range [][]byte{
		nil,
		[]byte("not DICOM"),
		file(explicitSyntax, explicit.dataset(nest(explicit, 2))),
		file(implicitSyntax, implicit.dataset(nest(implicit, 2))),
		file(bigSyntax, big.dataset(nest(big, 2))),
		file(deflatedSyntax, dicomtest.Deflate(explicit.dataset(nest(explicit, 2)))),
		file("", explicit.dataset(explicit.Open(0x00091001, "UN", implicit.Open(item, "", implicit.decoys())))),
		file(explicitSyntax, explicit.dataset(explicit.Open(0x00091001, "OB", explicit.Element(item, "", "fragment")))),
		join(metaGroup(implicit, implicitSyntax), implicit.dataset()),
		explicit.dataset(),
		implicit.dataset(),
		big.dataset(),
		implicit.Header(0x00080005, "", undefined-1),
	} {
		f.Add(seed, int64(1<<20))
		f.Add(seed, int64(300))
	}
	f.Fuzz(func(t *testing.T, input []byte, window int64) {
		r := &counter{r: bytes.NewReader(input)}
		got, err := dicom.Identify(r, window)
		if r.n > max(window, 0) {
			t.Fatalf("read %d bytes, window %d", r.n, window)
		}
		var missing *dicom.UIDError
		switch {
		case errors.As(err, &missing), errors.Is(err, dicom.ErrNotDICOM), errors.Is(err, dicom.ErrWindow), errors.Is(err, dicom.ErrNamedTwice):
		case err != nil:
			t.Fatalf("error of no documented kind: %v", err)
		case got.SOPClassUID == "", got.SOPInstanceUID == "", got.StudyInstanceUID == "", got.SeriesInstanceUID == "":
			t.Fatalf("no error, but %+v", got)
		}
		if again, againErr := dicom.Identify(r, window); again != got || text(againErr) != text(err) {
			t.Fatalf("again: %+v, %v; at first: %+v, %v", again, againErr, got, err)
		}
	})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
