package metadata_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/suyashkumar/dicom/pkg/tag"

	"stowrs-to-s3/app/compose/metadata"
)

// Tags are one number in the tests, so that tables read like PS3.6.
func tagOf(n uint32) tag.Tag { return tag.Tag{Group: uint16(n >> 16), Element: uint16(n)} }

const undefined = 0xFFFFFFFF

// el encodes an element whose value has an even length.
func el(t uint32, vr, value string) string {
	return string(metadata.ElementHeader(tagOf(t), vr, uint32(len(value)))) + value
}

// sq encodes a sequence from encoded items.
func sq(t uint32, items ...string) string {
	return string(metadata.ElementHeader(tagOf(t), "SQ", undefined)) + strings.Join(items, "") + el(0xFFFEE0DD, "", "")
}

// it encodes an item.
func it(elements ...string) string {
	content := strings.Join(elements, "")
	if content == "" {
		return el(0xFFFEE000, "", "")
	}
	return string(metadata.ElementHeader(tagOf(0xFFFEE000), "", undefined)) + content + el(0xFFFEE00D, "", "")
}

// le encodes numbers in little endian.
func le(numbers ...any) string {
	var b []byte
	for _, n := range numbers {
		b, _ = binary.Append(b, binary.LittleEndian, n)
	}
	return string(b)
}

type outcome struct {
	dataset *metadata.Dataset
	err     error
}

// readJSON reads all instances; the text must be JSON.
func readJSON(t testing.TB, text string) []outcome {
	t.Helper()
	var all []outcome
	err := metadata.ReadJSON(strings.NewReader(text), unlimited, func(d *metadata.Dataset, err error) error {
		all = append(all, outcome{d, err})
		return nil
	})
	if err != nil {
		t.Fatalf("%v\n%.300s", err, text)
	}
	return all
}

// oneJSON reads a single instance with these attributes, valid or not.
func oneJSON(t testing.TB, attributes string) (*metadata.Dataset, error) {
	t.Helper()
	all := readJSON(t, "[{"+attributes+"}]")
	if len(all) != 1 {
		t.Fatalf("%d instances, want 1", len(all))
	}
	return all[0].dataset, all[0].err
}

// oneXML reads a document with these attributes, valid or not.
func oneXML(t testing.TB, attributes string) (*metadata.Dataset, error) {
	t.Helper()
	d, err := metadata.ReadXML(strings.NewReader(document(attributes)), unlimited)
	if errors.Is(err, metadata.ErrSyntax) {
		t.Fatalf("%v\n%.300s", err, attributes)
	}
	return d, err
}

func document(attributes string) string {
	return `<?xml version="1.0" encoding="UTF-8" xml:space="preserve" ?>` +
		`<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">` + attributes + `</NativeDicomModel>`
}

func wantEncoded(t *testing.T, d *metadata.Dataset, err error, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(d.Encoded)); diff != "" {
		t.Errorf("encoded (-want +got):\n%s", diff)
	}
	if err := valid(d); err != nil {
		t.Error(err)
	}
}

// wantWrong expects that the instance's error contains a text, and that the rest of the
// instance is still valid.
func wantWrong(t *testing.T, d *metadata.Dataset, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
	if err := valid(d); err != nil {
		t.Error(err)
	}
}

// valid walks a dataset whose holes are filled with empty elements, with its own
// code: every length must fit, every delimiter must exist, and tags must ascend at every
// level.
func valid(d *metadata.Dataset) error {
	rest, err := walk(filled(d), 0)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes left", len(rest))
	}
	if err != nil {
		return fmt.Errorf("%w in %q", err, d.Encoded[:min(len(d.Encoded), 2000)])
	}
	return nil
}

func filled(d *metadata.Dataset) []byte {
	var b []byte
	at := 0
	for _, h := range d.Holes {
		b = append(b, d.Encoded[at:h.Offset]...)
		b = append(b, metadata.ElementHeader(h.Tag, h.VR, 0)...)
		at = h.Offset
	}
	return append(b, d.Encoded[at:]...)
}

// walk consumes the elements of one level. Below the top it ends with the item.
func walk(b []byte, depth int) ([]byte, error) {
	last := int64(-1)
	for len(b) > 0 {
		h, err := headerOf(b)
		if err != nil {
			return nil, err
		}
		if h.tag == 0xFFFEE00D && depth > 0 && h.length == 0 {
			return h.rest, nil
		}
		if int64(h.tag) <= last || h.vr == "" {
			return nil, fmt.Errorf("%08X after %08X", h.tag, last)
		}
		last = int64(h.tag)
		if b = h.rest; h.length != undefined {
			if int(h.length) > len(b) || h.length%2 == 1 {
				return nil, fmt.Errorf("%08X has length %d of %d", h.tag, h.length, len(b))
			}
			b = b[h.length:]
			continue
		}
		if b, err = walkItems(b, depth+1); err != nil || h.vr != "SQ" {
			return nil, fmt.Errorf("in %08X: %w", h.tag, err)
		}
	}
	if depth > 0 {
		return nil, errors.New("item without end")
	}
	return nil, nil
}

func walkItems(b []byte, depth int) ([]byte, error) {
	for {
		h, err := headerOf(b)
		switch {
		case err != nil:
			return nil, err
		case h.tag == 0xFFFEE0DD && h.length == 0:
			return h.rest, nil
		case h.tag == 0xFFFEE000 && h.length == 0:
			b = h.rest
		case h.tag == 0xFFFEE000 && h.length == undefined:
			if b, err = walk(h.rest, depth); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("%08X among items", h.tag)
		}
	}
}

type header struct {
	tag    uint32
	vr     string
	length uint32
	rest   []byte
}

var errShort = errors.New("header cut off")

func headerOf(b []byte) (header, error) {
	if len(b) < 8 {
		return header{}, errShort
	}
	h := header{tag: uint32(binary.LittleEndian.Uint16(b))<<16 | uint32(binary.LittleEndian.Uint16(b[2:]))}
	if h.tag>>16 == 0xFFFE {
		h.length, h.rest = binary.LittleEndian.Uint32(b[4:]), b[8:]
		return h, nil
	}
	h.vr = string(b[4:6])
	if strings.Contains("OB OD OF OL OV OW SQ SV UC UN UR UT UV", h.vr) {
		if len(b) < 12 || !bytes.Equal(b[6:8], []byte{0, 0}) {
			return header{}, errShort
		}
		h.length, h.rest = binary.LittleEndian.Uint32(b[8:]), b[12:]
		return h, nil
	}
	if !strings.Contains("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US", h.vr) {
		return header{}, fmt.Errorf("vr %q", h.vr)
	}
	h.length, h.rest = uint32(binary.LittleEndian.Uint16(b[6:])), b[8:]
	return h, nil
}

// eof is what a reader returns with n bytes.
func eof(n int) error {
	if n == 0 {
		return io.EOF
	}
	return nil
}

// unlimited is the memory for tests about other things.
func unlimited(int64) error { return nil }
