package metadata_test

import (
	"fmt"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose/metadata"
)

// multiFrame writes metadata of an enhanced CT instance: four functional groups
// for each frame, about 1.1 kB in JSON.
func multiFrame(frames int) string {
	var s strings.Builder
	s.WriteString(`[{"00080005":{"vr":"CS","Value":["ISO_IR 100"]},"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2.1"]},
		"00080018":{"vr":"UI","Value":["1.2.3"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Nobody^At All"}]},
		"0020000D":{"vr":"UI","Value":["1.2"]},"0020000E":{"vr":"UI","Value":["1.2.9"]},"52009230":{"vr":"SQ","Value":[`)
	for i := range frames {
		if i > 0 {
			s.WriteString(",")
		}
		fmt.Fprintf(&s, `{"00180081":{"vr":"DS","Value":[%d.5]},"00189301":{"vr":"SQ","Value":[{"00080008":{"vr":"CS","Value":["ORIGINAL","PRIMARY","VOLUME","NONE"]},
			"00089205":{"vr":"CS","Value":["MONOCHROME"]},"00089206":{"vr":"CS","Value":["VOLUME"]}}]},
			"00209111":{"vr":"SQ","Value":[{"00189074":{"vr":"DT","Value":["20260102101112.%06d"]},"00189151":{"vr":"DT","Value":["20260102101112.%06d"]},
			"00189220":{"vr":"FD","Value":[%d.123456789]},"00209056":{"vr":"SH","Value":["1"]},"00209057":{"vr":"UL","Value":[%d]},
			"00209128":{"vr":"UL","Value":[1]},"00209157":{"vr":"UL","Value":[1,%d]}}]},
			"00209113":{"vr":"SQ","Value":[{"00200032":{"vr":"DS","Value":[-250.123456,-250.654321,%d.25]}}]},
			"00209116":{"vr":"SQ","Value":[{"00200037":{"vr":"DS","Value":[1,0,0,0,1,0]}}]},
			"00289110":{"vr":"SQ","Value":[{"00180050":{"vr":"DS","Value":["1.25"]},"00280030":{"vr":"DS","Value":["0.976562","0.976562"]}}]},
			"00289132":{"vr":"SQ","Value":[{"00281050":{"vr":"DS","Value":[40]},"00281051":{"vr":"DS","Value":[400]},"00281055":{"vr":"LO","Value":["Soft"]}}]}}`,
			i, i, i, i, i, i, i)
	}
	s.WriteString(`]},"7FE00010":{"vr":"OW","BulkDataURI":"pixels"}}]`)
	return s.String()
}

// BenchmarkReadJSON reads 3 MB of an enhanced multi-frame instance.
func BenchmarkReadJSON(b *testing.B) {
	text := multiFrame(2800)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		err := metadata.ReadJSON(strings.NewReader(text), unlimited, func(d *metadata.Dataset, err error) error {
			if len(d.Holes) != 1 {
				b.Fatal("no hole")
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
