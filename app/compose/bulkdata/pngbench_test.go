package bulkdata_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"stowrs-to-s3/app/compose/bulkdata"
)

// BenchmarkPNG decodes an empty page of 4096 × 4096 pixels of each kind, which takes most time in relation to the bytes sent.
func BenchmarkPNG(b *testing.B) {
	for _, kind := range pngKinds {
		b.Run(fmt.Sprintf("colour %d, %d bits", kind.colour, kind.depth), func(b *testing.B) {
			page := wide(4096, 4096, kind.depth, kind.colour, 0)
			image, _, err := bulkdata.Configure("image/png", page, true)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(image.Rows * image.Columns * image.SamplesPerPixel * image.BitsAllocated / 8))
			for b.Loop() {
				pixels, err := bulkdata.Decode("image/png", bytes.NewReader(page), image)
				if err == nil {
					_, err = io.Copy(io.Discard, pixels)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
