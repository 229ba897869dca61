package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"strings"
	"testing"
)

const (
	relatedJSON = `multipart/related; type="application/dicom+json"; boundary=e2e-boundary`
	relatedXML  = `multipart/related; type="application/dicom+xml"; boundary=e2e-boundary`
)

// bodyPart is a part of a request with metadata and bulkdata (PS3.18 §10.5.1.4).
type bodyPart struct {
	header  string // lines, separated by |
	content string
}

func jsonPart(instances ...string) bodyPart {
	return bodyPart{"Content-Type: application/dicom+json", "[" + strings.Join(instances, ",") + "]"}
}

func bulkPart(mediaType, location, content string) bodyPart {
	return bodyPart{"Content-Type: " + mediaType + "|Content-Location: " + location, content}
}

const octetStream = "application/octet-stream"

// composed is the body of a request with these parts.
func composed(parts ...bodyPart) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--e2e-boundary\r\n" + strings.ReplaceAll(p.header, "|", "\r\n") + "\r\n\r\n" + p.content + "\r\n")
	}
	return b.String() + bodyEnd
}

// jsonOf is a dataset in the DICOM JSON Model (PS3.18 Annex F) with the UIDs and these elements.
func jsonOf(sop string, elements ...string) string {
	return fmt.Sprintf(`{"00080016":{"vr":"UI","Value":[%q]},"00080018":{"vr":"UI","Value":[%q]},"0020000D":{"vr":"UI","Value":[%q]},"0020000E":{"vr":"UI","Value":[%q]}%s}`,
		ctImageStorage, sop, studyInstanceUID, seriesInstanceUID, strings.Join(append([]string{""}, elements...), ","))
}

// keyOf is the key of an instance of jsonOf.
func keyOf(sop string) string { return studyInstanceUID + "/" + seriesInstanceUID + "/" + sop }

func reference(tag, vr, uri string) string {
	return fmt.Sprintf(`%q:{"vr":%q,"BulkDataURI":%q}`, tag, vr, uri)
}

func number(tag, vr string, value int) string {
	return fmt.Sprintf(`%q:{"vr":%q,"Value":[%d]}`, tag, vr, value)
}

// bits are the Image Pixel attributes of one sample with so many bits.
func bits(n int) string {
	return strings.Join([]string{number("00280100", "US", n), number("00280101", "US", n), number("00280102", "US", n-1), number("00280103", "US", 0)}, ",")
}

// grey16 are the Image Pixel attributes of an image with 16 bits.
func grey16(rows, columns int) string {
	return strings.Join([]string{
		number("00280002", "US", 1), `"00280004":{"vr":"CS","Value":["MONOCHROME2"]}`,
		number("00280010", "US", rows), number("00280011", "US", columns), bits(16),
	}, ",")
}

// jpegOf is a JPEG (Baseline, 8 bits) with one colour component; each seed makes another image.
func jpegOf(t *testing.T, rows, columns, seed int) string {
	t.Helper()
	picture := image.NewGray(image.Rect(0, 0, columns, rows))
	for i := range picture.Pix {
		picture.Pix[i] = byte(i * seed)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// encapsulated are Pixel Data with an empty Basic Offset Table and a fragment for each frame (PS3.5 §A.4).
func encapsulated(frames ...string) string {
	item := func(value string) string {
		if len(value)%2 == 1 {
			value += "\x00"
		}
		return "\xFE\xFF\x00\xE0" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(value)))) + value
	}
	b := string(le.Header(0x7FE00010, "OB", 0xFFFFFFFF)) + item("")
	for _, frame := range frames {
		b += item(frame)
	}
	return b + "\xFE\xFF\xDD\xE0\x00\x00\x00\x00"
}

// native is a Pixel Data element with one value (PS3.5 §A.2).
func native(value string) string {
	return string(le.Header(0x7FE00010, "OW", uint32(len(value)))) + value
}

// pattern is n bytes that differ from place to place.
func pattern(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i>>7 + i)
	}
	return string(b)
}
