package dicom_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"stowrs-to-s3/app/dicom"
)

// BenchmarkIdentify names a CT instance of 512 KiB, as a store service does.
func BenchmarkIdentify(b *testing.B) {
	extra := explicit.open(0x00081140, "SQ", explicit.open(item, "", explicit.decoys()))
	for i := range uint32(30) {
		extra = append(extra, explicit.element(0x00180010+i, "LO", "some value")...)
	}
	pixels := explicit.element(0x7FE00010, "OW", string(make([]byte, 512<<10)))
	dataset := join(explicit.dataset(extra), pixels)
	for _, bench := range []struct {
		name  string
		input []byte
	}{
		{"explicit", file(explicitSyntax, dataset)},
		{"deflated", file(deflatedSyntax, deflate(b, dataset))},
		{"refused", binary.LittleEndian.AppendUint64(nil, 1)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			r := bytes.NewReader(nil)
			for b.Loop() {
				r.Reset(bench.input)
				_, err := dicom.Identify(r, wholeWindow)
				if (err == nil) == (bench.name == "refused") {
					b.Fatal(err)
				}
			}
		})
	}
}
