package dicom_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"stowrs-to-s3/app/dicom"
)

// FuzzIdentify holds for any input: no panic; nothing read past the window; head
// ++ rest = input, so that a caller who keeps what was read can store every byte;
// an outcome that does not depend on how the reader cuts the bytes; only the
// documented errors.
func FuzzIdentify(f *testing.F) {
	for _, seed := range [][]byte{
		nil,
		[]byte("not DICOM"),
		file(explicitSyntax, explicit.dataset(nest(explicit, 2))),
		file(implicitSyntax, implicit.dataset(nest(implicit, 2))),
		file(bigSyntax, big.dataset(nest(big, 2))),
		file(deflatedSyntax, deflate(f, explicit.dataset(nest(explicit, 2)))),
		file("", explicit.dataset(explicit.open(0x00091001, "UN", implicit.open(item, "", implicit.decoys())))),
		file(explicitSyntax, explicit.dataset(explicit.open(0x00091001, "OB", explicit.element(item, "", "fragment")))),
		join(metaGroup(implicit, implicitSyntax), implicit.dataset()),
		explicit.dataset(),
		implicit.dataset(),
		big.dataset(),
		implicit.header(0x00080005, "", undefined-1),
	} {
		f.Add(seed, int64(1<<20))
		f.Add(seed, int64(300))
	}
	f.Fuzz(func(t *testing.T, input []byte, window int64) {
		var head bytes.Buffer
		rest := bytes.NewReader(input)
		got, err := dicom.Identify(io.TeeReader(rest, &head), window)
		if int64(head.Len()) > max(window, 0) {
			t.Fatalf("read %d bytes, window %d", head.Len(), window)
		}
		if _, err := rest.WriteTo(&head); err != nil || !bytes.Equal(head.Bytes(), input) {
			t.Fatalf("head and rest are not the input, error %v", err)
		}
		var missing *dicom.UIDError
		switch {
		case errors.As(err, &missing), errors.Is(err, dicom.ErrNotDICOM), errors.Is(err, dicom.ErrWindow):
		case err != nil:
			t.Fatalf("error of no documented kind: %v", err)
		case got.SOPClassUID == "", got.SOPInstanceUID == "", got.StudyInstanceUID == "", got.SeriesInstanceUID == "":
			t.Fatalf("no error, but %+v", got)
		}
		for name, r := range map[string]io.Reader{
			"one byte a read":        iotest.OneByteReader(bytes.NewReader(input)),
			"half of each read":      iotest.HalfReader(bytes.NewReader(input)),
			"EOF with the last data": iotest.DataErrReader(bytes.NewReader(input)),
		} {
			other, otherErr := dicom.Identify(r, window)
			if other != got || text(otherErr) != text(err) {
				t.Fatalf("%s: %+v, %v; at once: %+v, %v", name, other, otherErr, got, err)
			}
		}
	})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
