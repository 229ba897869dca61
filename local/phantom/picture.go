package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
)

// gapPixels is the dark margin between the slices of the picture.
const gapPixels = 8

// render returns the slices side by side through the window of the instances.
func render(images []*plane) *image.Gray {
	width := len(images)*(columns+gapPixels) - gapPixels
	picture := image.NewGray(image.Rect(0, 0, width, rows))
	for i, img := range images {
		left := i * (columns + gapPixels)
		for r, row := range img {
			for c, hu := range row {
				picture.SetGray(left+c, r, color.Gray{Y: windowed(hu)})
			}
		}
	}
	return picture
}

// windowed maps Hounsfield units to a grey level by the linear function of
// PS3.3 §C.11.2.1.2.1.
func windowed(hu int) uint8 {
	y := (float64(hu)-(windowCenterHU-0.5))/(windowWidthHU-1) + 0.5
	return uint8(255 * min(max(y, 0), 1))
}

// writePicture writes the slices as a PNG file.
func writePicture(name string, images []*plane) error {
	var file bytes.Buffer
	if err := png.Encode(&file, render(images)); err != nil {
		return err
	}
	return os.WriteFile(name, file.Bytes(), 0o644) //nolint:gosec // to be read by everyone
}
