// Command phantom writes the project's sample instances: three CT slices of
// one study that show a computed head phantom, so that no patient exists.
//
//	go run ./local/phantom -out dcm-samples
//
// writes dcm-samples/slice-1.dcm to slice-3.dcm and the picture
// img/dcm-samples.png (-picture names another file; empty writes none).
// Paths are relative to the working directory. The same source always writes
// the same bytes in the instances, on every machine: all UIDs, dates and
// values are constants, and the geometry is computed without rounding that
// depends on the processor.
package main

import (
	"flag"
	"fmt"
	"log"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "dcm-samples", "existing `folder` for the three instances")
	picture := flag.String("picture", filepath.Join("img", "dcm-samples.png"),
		"`file` for the picture of the slices side by side; empty: none")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("phantom: unexpected argument %q", flag.Arg(0))
	}
	if err := run(*out, *picture); err != nil {
		log.Fatal("phantom: ", err)
	}
}

// run writes the instances into the folder out and, unless picture is empty,
// their picture to that file. Files of the same names are replaced; both
// folders must exist.
func run(out, picture string) error {
	images := make([]*plane, 0, len(series))
	for _, s := range series {
		img := cut(s.positionMM)
		if err := writeInstance(filepath.Join(out, s.fileName), s, img); err != nil {
			return fmt.Errorf("write instance: %w", err)
		}
		images = append(images, img)
	}
	if picture == "" {
		return nil
	}
	if err := writePicture(picture, images); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}
