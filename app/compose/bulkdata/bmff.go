package bulkdata

import (
	"encoding/binary"
	"errors"
)

// box is one of the boxes that JP2 (ISO/IEC 15444-1 §I.4) and MP4 (ISO/IEC 14496-12
// §4.2) files are made of.
type box struct {
	kind   string
	start  int64  // of the content, in the data that boxAt was given
	length int64  // of the content; -1: up to the end of the stream
	body   []byte // the content, as far as the data goes
}

// whole says that body is all of the content, as far as the box tells.
func (b box) whole() bool { return b.length >= 0 && int64(len(b.body)) == b.length }

// next is where the box behind b begins; -1: none does.
func (b box) next() int64 {
	if b.length < 0 {
		return -1
	}
	return b.start + b.length
}

// boxAt reads the header of the box at an offset. The error is ErrShort when the
// data do not reach to the end of that header.
func boxAt(data []byte, at int64) (box, error) {
	if at < 0 || at > int64(len(data)) || len(data)-int(at) < 8 {
		return box{}, ErrShort
	}
	head := data[at:]
	size, header := uint64(binary.BigEndian.Uint32(head)), uint64(8)
	if size == 1 {
		if len(head) < 16 {
			return box{}, ErrShort
		}
		size, header = binary.BigEndian.Uint64(head[8:]), 16
	}
	b := box{kind: string(head[4:8]), start: at + int64(header), length: -1}
	if size != 0 {
		if size < header || size > 1<<62 {
			return box{}, errors.New("a box of an impossible length")
		}
		b.length = int64(size - header)
	}
	b.body = data[b.start:]
	if b.length >= 0 && int64(len(b.body)) > b.length {
		b.body = b.body[:b.length]
	}
	return b, nil
}
