package dicom_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

// BenchmarkIdentify names a CT instance of 512 KiB, as a store service does.
func BenchmarkIdentify(b *testing.B) {
	dataset := join(
		explicit.Element(0x00080005, "CS", "ISO_IR 100"), explicit.UI(sopClass, ctStorage), explicit.UI(sopUID, "1.2.3.4.5"),
		explicit.Open(0x00081140, "SQ", explicit.Open(item, "", explicit.decoys())), explicit.Element(0x00100010, "PN", "Nobody^At All"))
	for i := range uint32(30) {
		dataset = append(dataset, explicit.Element(0x00180010+i, "LO", "some value")...)
	}
	dataset = join(dataset, explicit.UI(studyUID, "1.2.3"), explicit.UI(seriesUID, "1.2.3.4"), explicit.Element(0x00280010, "US", "\x00\x01"),
		explicit.Element(0x7FE00010, "OW", string(make([]byte, 512<<10))))
	for _, bench := range []struct {
		name  string
		input []byte
	}{
		{"explicit", file(explicitSyntax, dataset)},
		{"deflated", file(deflatedSyntax, dicomtest.Deflate(dataset))},
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
