package bulkdata

import (
	"encoding/binary"
	"errors"
)

// jp2File is what the boxes around a codestream say (ISO/IEC 15444-1 Annex I). JPX
// and JPH files have the same ones, and further boxes that do not matter here.
type jp2File struct {
	codestream  box // length -1: up to the end
	colourspace uint32
	palette     bool
}

// readJP2 finds the first codestream of a JP2 file. A stream that begins with a
// codestream is one without boxes.
func readJP2(head []byte) (jp2File, error) {
	var f jp2File
	if len(head) < 12 {
		return f, ErrShort
	}
	if binary.BigEndian.Uint16(head) == markerSOC {
		f.codestream = box{length: -1, body: head}
		return f, nil
	}
	if string(head[:12]) != "\x00\x00\x00\x0CjP  \r\n\x87\n" {
		return f, errors.New("neither a JPEG 2000 codestream nor a JP2 file")
	}
	for at := int64(12); at >= 0; {
		b, err := boxAt(head, at)
		if err != nil {
			return f, err
		}
		switch b.kind {
		case "jp2h":
			if err := f.readHeader(b); err != nil {
				return f, err
			}
		case "jp2c":
			f.codestream = b
			return f, nil
		}
		at = b.next()
	}
	return f, errors.New("a JP2 file without a codestream")
}

// readHeader reads the boxes of jp2h: the first enumerated colourspace, and
// whether there is a palette.
func (f *jp2File) readHeader(header box) error {
	for at := int64(0); at < header.length || header.length < 0; {
		b, err := boxAt(header.body, at)
		if header.whole() && (err != nil || !b.whole()) {
			return errors.New("the JP2 header box is broken")
		}
		if err != nil {
			return err
		}
		switch b.kind {
		case "pclr":
			f.palette = true
		case "colr":
			if !b.whole() {
				return ErrShort
			}
			if len(b.body) >= 7 && b.body[0] == 1 && f.colourspace == 0 {
				f.colourspace = binary.BigEndian.Uint32(b.body[3:])
			}
		}
		if at = b.next(); at < 0 {
			return errors.New("the JP2 header box is broken")
		}
	}
	return nil
}
