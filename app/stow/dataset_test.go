package stow_test

import (
	"bytes"

	"stowrs-to-s3/app/dicomtest"
)

const (
	classUID         = dicomtest.CTImageStorage
	study            = "1.2.3"
	series           = "1.2.3.4"
	absent           = dicomtest.Absent
	jpegBaseline     = "1.2.840.10008.1.2.4.50"
	mpeg4HighProfile = "1.2.840.10008.1.2.4.102"
)

var (
	implicitLE = dicomtest.ImplicitLE
	explicitLE = dicomtest.ExplicitLE
	explicitBE = dicomtest.ExplicitBE
)

// dataset contains the UIDs of an instance, with more elements between SOP and study, and with pixel data at the end.
func dataset(s dicomtest.Syntax, sop, study, series, class string, pixelBytes int, more ...[]byte) []byte {
	return dicomtest.Instance{SOP: sop, Study: study, Series: series, Class: class, Syntax: s, More: join(more...), Pixels: pixels(pixelBytes)}.Dataset()
}

func pixels(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	return b
}

// instance is a PS3.10 file, explicit VR little endian, with pixels of pixelBytes.
func instance(sop, study, series, class string, pixelBytes int) []byte {
	return dicomtest.Instance{SOP: sop, Study: study, Series: series, Class: class, Pixels: pixels(pixelBytes)}.File()
}

func ct(sop string, pixelBytes int) []byte { return instance(sop, study, series, classUID, pixelBytes) }

// with is ct with more elements before its study.
func with(sop string, more ...[]byte) []byte {
	return dicomtest.Instance{SOP: sop, Study: study, Series: series, More: join(more...), Pixels: pixels(10)}.File()
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
