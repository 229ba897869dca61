package compose_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose"
	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/related"
	"stowrs-to-s3/app/storeresponse"
)

// FuzzCompose holds for any metadata and bulkdata, in any order, cut at any byte, with
// any memory: no panic; no memory is held at the end; every error is of a documented
// kind; each composed instance is a readable file, identified as its Identity says, and its
// native Pixel Data have the length and VR that its attributes require.
func FuzzCompose(f *testing.F) {
	frame := []byte("\xFF\xD8\xFF\xC0\x00\x0B\x08\x00\x01\x00\x01\x01\x01\x11\x00\xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00\x00\xFF\xD9")
	pixels := reference("7FE00010", "OB", "p")
	array := func(instances ...string) []byte { return jsonPart(instances...).content }
	f.Add(array(jsonOf("1.1", grey(2, 2), reference("7FE00010", "OW", "p"))), "p", []byte("12345678"), "q", []byte{}, "", uint8(0), uint8(20))
	f.Add(array(jsonOf("1.1", reference("00420011", "OB", "p"), reference("00540011", "OB", "q")), jsonOf("1.2")), "q", []byte("odd"), "p", []byte("even"), "", uint8(3), uint8(12))
	f.Add(array(jsonOf("1.1", framesOf(2), pixels), jsonOf("1.2", framesOf(2), pixels)), "p/frames/2", frame, "p/frames/1", frame, "image/jpeg", uint8(1), uint8(20))
	f.Add(array(jsonOf("1.1", framesOf(1), `"00280009":{"vr":"AT"}`, pixels)), "p", frame, "p", frame, "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", uint8(0), uint8(20))
	f.Add(array(jsonOf("1.1", `"00091010":{"vr":"SQ","Value":[{`+pixels+`}]}`)), "p", frame, "p", []byte("\x89PNG\r\n\x1a\n"), "image/png", uint8(2), uint8(20))
	f.Add(array(jsonOf("1.1", `"00100010":{"vr":"PN","Value":["Ä"]},"00080005":{"vr":"CS","Value":["ISO_IR 100"]}`, reference("00420011", "UT", "p"), reference("00420012", "LO", "p"))), "%70", []byte("Gr\xc3\xbc"), "http://stow.example/p", []byte(nil), "text/plain", uint8(0), uint8(20))
	f.Add(xmlPart("", "1.1", "p").content, "p", []byte("odd"), "", xmlPart("", "1.2", "p").content, "text/xml", uint8(0), uint8(20))
	f.Add(array(jsonOf("1.1", grey(1, 4), `"7FE00010":{"vr":"UN","InlineBinary":"AAAAAAAAAAA="}`)), "", []byte(nil), "", []byte(nil), "", uint8(0), uint8(14))
	f.Fuzz(func(t *testing.T, metadata []byte, uri1 string, bulk1 []byte, uri2 string, bulk2 []byte, mediaType string, cut, room uint8) {
		s := newService(t, 1<<min(room, 22))
		header := "Content-Type: application/dicom+json"
		if bytes.HasPrefix(metadata, []byte("<")) {
			s.mediaType, header = storeresponse.MediaTypeXML, "Content-Type: application/dicom+xml"
		}
		if mediaType == "" {
			mediaType = "application/octet-stream"
		}
		body := multipart(bodyPart{header, metadata}, codedPart(mediaType, uri1, bulk1), codedPart(mediaType, uri2, bulk2))
		parts := newParts(bytes.NewReader(body[:max(0, len(body)-int(cut))]))
		defer parts.Close()
		first, err := parts.Next()
		if err != nil {
			return
		}
		got := s.run(t, first, parts)
		if got.err != nil && !errors.Is(got.err, compose.ErrSyntax) && !errors.Is(got.err, related.ErrTruncated) && !errors.Is(got.err, related.ErrPartHeader) &&
			!errors.Is(got.err, memory.ErrTooMuch) && !errors.Is(got.err, compose.ErrTooMany) {
			t.Errorf("error of the whole: %v", got.err)
		}
		for _, outcome := range append(got.failed, got.other...) {
			if reason := outcome[strings.LastIndexByte(outcome, ' ')+1:]; reason != "C000" && reason != "A700" && reason != "0120" {
				t.Errorf("an error of no documented kind: %s: %s", outcome, got.says)
			}
		}
	})
}

// checkFile checks that a composed file can be read, and contains the UIDs of its Identity.
func checkFile(t testing.TB, want dicom.Identity, object []byte) {
	t.Helper()
	got, err := dicom.Identify(bytes.NewReader(object), int64(len(object))+1)
	want.MediaStorageSOPClassUID, want.MediaStorageSOPInstanceUID = got.SOPClassUID, got.SOPInstanceUID
	if dicom.ValidUID(want.SOPInstanceUID) && (err != nil || got != want) {
		t.Errorf("got %+v, error %v, want %+v", got, err, want)
	}
	w := &walker{b: object[132:], numbers: map[uint32]int64{}}
	if err := w.dataset(0, false); err != nil || len(w.b) > 0 {
		t.Errorf("the file cannot be read: %v, %d bytes are left", err, len(w.b))
	}
	if w.pixels >= 0 && w.number(0x00280100) > 0 {
		bits := w.number(0x00280010) * w.number(0x00280011) * w.number(0x00280002) * w.number(0x00280100)
		if want := (bits + 7) / 8 * max(1, w.frames); w.frames >= 0 && bits%8 == 0 && !w.subsampled && w.pixels != want+want&1 {
			t.Errorf("%d bytes of Pixel Data, want %d", w.pixels, want)
		}
		if w.number(0x00280100) > 8 && w.pixelsVR != "OW" || w.pixelsVR != "OW" && w.pixelsVR != "OB" {
			t.Errorf("Pixel Data of %d bits are %s", w.number(0x00280100), w.pixelsVR)
		}
	}
}

// walker reads Explicit VR Little Endian strictly by PS3.5 §7.
type walker struct {
	b          []byte
	numbers    map[uint32]int64 // US of the top level
	frames     int64            // -1: more than one
	subsampled bool
	pixels     int64 // length of native Pixel Data, if they are not empty
	pixelsVR   string
}

func (w *walker) number(tag uint32) int64 { return w.numbers[tag] }

func (w *walker) take(n int64) ([]byte, error) {
	if n > int64(len(w.b)) {
		return nil, fmt.Errorf("%d bytes where %d are left", n, len(w.b))
	}
	taken := w.b[:n]
	w.b = w.b[n:]
	return taken, nil
}

func (w *walker) header() (tag uint32, vr string, length uint32, err error) {
	b, err := w.take(8)
	if err != nil {
		return 0, "", 0, err
	}
	tag = uint32(binary.LittleEndian.Uint16(b))<<16 | uint32(binary.LittleEndian.Uint16(b[2:]))
	if tag>>16 == 0xFFFE {
		return tag, "", binary.LittleEndian.Uint32(b[4:]), nil
	}
	vr = string(b[4:6])
	if !strings.Contains("OB OD OF OL OV OW SQ SV UC UN UR UT UV", vr) {
		if !strings.Contains("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US", vr) {
			return 0, "", 0, fmt.Errorf("%08X has vr %q", tag, vr)
		}
		return tag, vr, uint32(binary.LittleEndian.Uint16(b[6:])), nil
	}
	long, err := w.take(4)
	if err != nil {
		return 0, "", 0, err
	}
	return tag, vr, binary.LittleEndian.Uint32(long), nil
}

// dataset reads a dataset, within an item up to its delimiter.
func (w *walker) dataset(depth int, inItem bool) error {
	if depth == 0 {
		w.pixels, w.frames = -1, 1
	}
	for last := uint32(0); len(w.b) > 0; {
		tag, vr, length, err := w.header()
		switch {
		case err != nil:
			return err
		case inItem && tag == 0xFFFEE00D && length == 0:
			return nil
		case vr == "" || tag <= last:
			return fmt.Errorf("%08X after %08X", tag, last)
		}
		if last = tag; length == 0xFFFFFFFF {
			if vr != "SQ" && (tag != 0x7FE00010 || vr != "OB") {
				return fmt.Errorf("%08X %s has no length", tag, vr)
			}
			if err := w.items(depth, vr == "SQ"); err != nil {
				return err
			}
			continue
		}
		value, err := w.take(int64(length))
		if err != nil || length%2 == 1 {
			return fmt.Errorf("%08X has the length %d: %w", tag, length, err)
		}
		w.note(depth, tag, vr, value)
	}
	if inItem {
		return errors.New("an item has no end")
	}
	return nil
}

func (w *walker) note(depth int, tag uint32, vr string, value []byte) {
	switch {
	case depth > 0:
	case vr == "US" && len(value) >= 2:
		w.numbers[tag] = int64(binary.LittleEndian.Uint16(value))
	case tag == 0x00280008 && strings.Trim(string(value), " ") != "1":
		w.frames = -1
	case tag == 0x00280004:
		w.subsampled = strings.Contains(string(value), "422")
	case tag == 0x7FE00010 && len(value) > 0:
		w.pixels, w.pixelsVR = int64(len(value)), vr
	}
}

func (w *walker) items(depth int, sequence bool) error {
	for {
		tag, _, length, err := w.header()
		switch {
		case err != nil:
			return err
		case tag == 0xFFFEE0DD && length == 0:
			return nil
		case tag != 0xFFFEE000:
			return fmt.Errorf("%08X where an item belongs", tag)
		case length == 0xFFFFFFFF && sequence:
			err = w.dataset(depth+1, true)
		case length > 0 && sequence || length%2 == 1:
			err = fmt.Errorf("an item of %d bytes", length)
		default:
			_, err = w.take(int64(length))
		}
		if err != nil {
			return err
		}
	}
}
