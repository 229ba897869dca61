package stow_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/stow"
)

// bodyPart is a part of a request of metadata and bulkdata.
type bodyPart struct {
	header  string // lines without line ends, separated by |
	content []byte
}

func jsonPart(instances ...string) bodyPart {
	return bodyPart{"Content-Type: application/dicom+json", []byte("[" + strings.Join(instances, ",") + "]")}
}

func bulkPart(location string, content []byte) bodyPart {
	return bodyPart{"Content-Type: application/octet-stream|Content-Location: " + location, content}
}

const (
	relatedJSON = `multipart/related; type="application/dicom+json"; boundary=` + boundary
	relatedXML  = `multipart/related; type="application/dicom+xml"; boundary=` + boundary
)

// related is a multipart/related body of parts.
func related(parts ...bodyPart) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		b.WriteString("\r\n--" + boundary + "\r\n" + strings.ReplaceAll(p.header, "|", "\r\n") + "\r\n\r\n")
		b.Write(p.content)
	}
	b.WriteString("\r\n--" + boundary + "--")
	return b.Bytes()
}

// jsonOf is a dataset of the DICOM JSON Model (PS3.18 Annex F) with these elements besides the UIDs.
func jsonOf(sop string, elements ...string) string {
	return fmt.Sprintf(`{"00080016":{"vr":"UI","Value":[%q]},"00080018":{"vr":"UI","Value":[%q]},"0020000D":{"vr":"UI","Value":[%q]},"0020000E":{"vr":"UI","Value":[%q]}%s}`,
		classUID, sop, study, series, strings.Join(append([]string{""}, elements...), ","))
}

// grey are the Image Pixel attributes of an image of 16 bits.
func grey(rows, columns int) string {
	return fmt.Sprintf(`"00280002":{"vr":"US","Value":[1]},"00280004":{"vr":"CS","Value":["MONOCHROME2"]},"00280010":{"vr":"US","Value":[%d]},"00280011":{"vr":"US","Value":[%d]},`+
		`"00280100":{"vr":"US","Value":[16]},"00280101":{"vr":"US","Value":[16]},"00280102":{"vr":"US","Value":[15]},"00280103":{"vr":"US","Value":[0]}`, rows, columns)
}

func reference(tag, vr, uri string) string {
	return fmt.Sprintf(`%q:{"vr":%q,"BulkDataURI":%q}`, tag, vr, uri)
}

// element is an element with a 32-bit length.
func element(group, number uint16, vr string, value []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, group)
	b = binary.LittleEndian.AppendUint16(b, number)
	b = append(b, vr+"\x00\x00"...)
	if len(value)%2 == 1 {
		value = append(slices.Clip(value), 0)
	}
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(value))), value...)
}

func noise(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i*i>>7 + i)
	}
	return data
}

// metadataService takes metadata and bulkdata; at its end no memory is held and nothing is half done.
func metadataService(t *testing.T, limit int64) *service {
	t.Helper()
	var h *stow.Handler
	s := newService(t, func(handler *stow.Handler, config *s3store.Config) {
		h = handler
		h.Config.MetadataBytes, config.AsideBytes = limit, limit
	})
	t.Cleanup(func() {
		if held := h.Store.BufferedBytes(); held != 0 {
			t.Errorf("%d bytes of memory are held", held)
		}
		if open := s.s3.OpenUploads(); len(open) > 0 {
			t.Errorf("multipart uploads are open: %v", open)
		}
	})
	return s
}

// object is the stored instance, which must end with the elements given.
func (s *service) wantEnd(t *testing.T, sop string, elements ...[]byte) {
	t.Helper()
	got, _, found := s.s3.Object(study + "/" + series + "/" + sop)
	if !found {
		t.Fatalf("%s is not stored", sop)
	}
	if want := slices.Concat(elements...); !bytes.HasSuffix(got, want) {
		t.Errorf("%s: got %d bytes that do not end with the %d wanted: …%x, want …%x", sop, len(got), len(want), tail(got), tail(want))
	}
	if string(got[128:132]) != "DICM" {
		t.Errorf("%s is not a PS3.10 file", sop)
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-64):] }

// chunked hides the length, so that the request has none.
func chunked(body []byte) io.Reader { return io.MultiReader(bytes.NewReader(body)) }

// PS3.18 §10.5.1.4: bulkdata fill the elements that refer to them, whether their
// length is declared, follows from the Image Pixel attributes, or shows at the end.
func TestBulkdataFillTheMetadata(t *testing.T) {
	pixels, document := noise(2*64*64), noise(1001)
	large := noise(21<<20 + 1)
	image := jsonOf("1.1", grey(64, 64), reference("7FE00010", "OW", "pixels"))
	wantPixels := element(0x7FE0, 0x0010, "OW", pixels)
	for name, test := range map[string]struct {
		parts []bodyPart
		want  [][]byte
	}{
		"derived length":   {[]bodyPart{jsonPart(image), bulkPart("pixels", pixels)}, [][]byte{wantPixels}},
		"declared length":  {[]bodyPart{jsonPart(image), bulkPart(fmt.Sprintf("pixels|Content-Length: %d", len(pixels)), pixels)}, [][]byte{wantPixels}},
		"unknown length":   {[]bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "OB", "pdf"))), bulkPart("pdf", document)}, [][]byte{element(0x42, 0x11, "OB", document)}},
		"long and unknown": {[]bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "OB", "pdf"))), bulkPart("pdf", large)}, [][]byte{element(0x42, 0x11, "OB", large)}},
		"empty":            {[]bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "OB", "pdf"))), bulkPart("pdf", nil)}, [][]byte{element(0x42, 0x11, "OB", nil)}},
		"two, in order": {
			[]bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "OB", "a"), reference("00540011", "OB", "b"))), bulkPart("a", document), bulkPart("b", pixels)},
			[][]byte{element(0x42, 0x11, "OB", document), element(0x54, 0x11, "OB", pixels)},
		},
		"two, in the other order": {
			[]bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "OB", "a"), reference("00540011", "OB", "b"))), bulkPart("b", pixels), bulkPart("a", document)},
			[][]byte{element(0x42, 0x11, "OB", document), element(0x54, 0x11, "OB", pixels)},
		},
		"pixels after something else": {
			[]bodyPart{jsonPart(jsonOf("1.1", reference("00091001", "OB", "a"), grey(64, 64), reference("7FE00010", "OW", "pixels"))), bulkPart("a", document), bulkPart("pixels", pixels)},
			[][]byte{wantPixels},
		},
		"pixels before something else": {
			[]bodyPart{jsonPart(jsonOf("1.1", reference("00091001", "OB", "a"), grey(64, 64), reference("7FE00010", "OW", "pixels"))), bulkPart("pixels", pixels), bulkPart("a", document)},
			[][]byte{wantPixels},
		},
		"something behind it": {
			[]bodyPart{jsonPart(jsonOf("1.1", grey(64, 64), reference("7FE00010", "OW", "pixels"), `"FFFCFFFC":{"vr":"OB","InlineBinary":"AAAA"}`)), bulkPart("pixels", pixels)},
			[][]byte{wantPixels, element(0xFFFC, 0xFFFC, "OB", []byte{0, 0, 0})},
		},
		"relative and absolute reference": {
			[]bodyPart{jsonPart(jsonOf("1.1", grey(64, 64), reference("7FE00010", "OW", "/bulk/1"))), bulkPart("HOST/bulk/1", pixels)},
			[][]byte{wantPixels},
		},
		"text is padded with a space": {
			[]bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "UT", "a"))), bulkPart("a", []byte("abc"))},
			[][]byte{element(0x42, 0x11, "UT", []byte("abc "))},
		},
	} {
		for _, framing := range []string{"fixed", "chunked"} {
			t.Run(name+", "+framing, func(t *testing.T) {
				s := metadataService(t, 1<<20)
				body := bytes.ReplaceAll(related(test.parts...), []byte("HOST"), []byte(s.url))
				reader := io.Reader(bytes.NewReader(body))
				if framing == "chunked" {
					reader = chunked(body)
				}
				if got := s.post(t, "/studies", relatedJSON, reader); got.status != http.StatusOK {
					t.Fatalf("got %d %s %v", got.status, got.body, got.header["Warning"])
				}
				s.wantEnd(t, "1.1", test.want...)
			})
		}
	}
}

// Several instances in one array; their bulkdata in any order, as dcm4che's come out of a hash map.
func TestBulkdataOfSeveralInstances(t *testing.T) {
	const count = 8
	var metadata []string
	var bulk []bodyPart
	for i := range count {
		uri := fmt.Sprintf("bulk2.25.%d", i)
		metadata = append(metadata, jsonOf(fmt.Sprintf("1.%d", i+1), grey(16, 16+i), reference("7FE00010", "OW", uri)))
		bulk = append(bulk, bulkPart(uri, noise(2*16*(16+i))))
	}
	for name, order := range map[string][]int{"in order": {0, 1, 2, 3, 4, 5, 6, 7}, "reversed": {7, 6, 5, 4, 3, 2, 1, 0}, "mixed": {3, 0, 7, 1, 6, 2, 5, 4}} {
		t.Run(name, func(t *testing.T) {
			s := metadataService(t, 1<<20)
			parts := []bodyPart{jsonPart(metadata...)}
			for _, i := range order {
				parts = append(parts, bulk[i])
			}
			got := s.post(t, "/studies", relatedJSON, bytes.NewReader(related(parts...)))
			if got.status != http.StatusOK || len(got.module.Referenced) != count {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			for i := range count {
				s.wantEnd(t, fmt.Sprintf("1.%d", i+1), element(0x7FE0, 0x0010, "OW", noise(2*16*(16+i))))
			}
		})
	}
}

// dcm4che's stowrs sends XML metadata, a part for each instance, just before their bulkdata.
func TestMetadataBetweenBulkdata(t *testing.T) {
	s := metadataService(t, 1<<20)
	xml := func(sop, uri string) bodyPart {
		return bodyPart{"Content-Type: application/dicom+xml", []byte(fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xml:space="preserve">`+
			`<DicomAttribute tag="00080016" vr="UI"><Value number="1">%s</Value></DicomAttribute><DicomAttribute tag="00080018" vr="UI"><Value number="1">%s</Value></DicomAttribute>`+
			`<DicomAttribute tag="0020000D" vr="UI"><Value number="1">%s</Value></DicomAttribute><DicomAttribute tag="0020000E" vr="UI"><Value number="1">%s</Value></DicomAttribute>`+
			`<DicomAttribute tag="00420011" vr="OB"><BulkData uri="%s"/></DicomAttribute></NativeDicomModel>`, classUID, sop, study, series, uri))}
	}
	got := s.post(t, "/studies", relatedXML, bytes.NewReader(related(
		xml("1.1", "bulk1"), bodyPart{"Content-Type: application/pdf|Content-Location: bulk1", noise(999)},
		xml("1.2", "bulk2"), bodyPart{"Content-Type: application/pdf|Content-Location: bulk2", noise(500)})))
	if got.status != http.StatusOK || len(got.module.Referenced) != 2 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	s.wantEnd(t, "1.1", element(0x42, 0x11, "OB", noise(999)))
	s.wantEnd(t, "1.2", element(0x42, 0x11, "OB", noise(500)))
}

// PS3.18 Table 10.5.4-1 of 2020e: metadata alone, as for a structured report, may be the whole body.
func TestMetadataAlone(t *testing.T) {
	for name, test := range map[string]struct {
		contentType string
		body        []byte
	}{
		"single part":                {"application/dicom+json", []byte("[" + jsonOf("1.1") + "]")},
		"an object, not an array":    {"application/dicom+json", []byte(jsonOf("1.1"))},
		"multipart":                  {relatedJSON, related(jsonPart(jsonOf("1.1")))},
		"upper case, as typed":       {`multipart/related; type="application/dicom+JSON"; boundary=` + boundary, related(jsonPart(jsonOf("1.1")))},
		"type only at the part":      {`multipart/related; boundary=` + boundary, related(jsonPart(jsonOf("1.1")))},
		"with parameters":            {relatedJSON, related(bodyPart{"Content-Type: application/dicom+json; charset=utf-8", []byte("[" + jsonOf("1.1") + "]")})},
		"two parts of JSON metadata": {relatedJSON, related(jsonPart(jsonOf("1.2")), jsonPart(jsonOf("1.1")))},
	} {
		t.Run(name, func(t *testing.T) {
			s := metadataService(t, 1<<20)
			if got := s.post(t, "/studies/"+study, test.contentType, bytes.NewReader(test.body)); got.status != http.StatusOK {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			s.wantEnd(t, "1.1")
		})
	}
}
