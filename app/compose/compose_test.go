package compose_test

import (
	"fmt"
	"strings"
	"testing"

	"stowrs-to-s3/app/storeresponse"
)

// PS3.18 §10.5.1.4: bulkdata fill the elements that refer to them, whether their
// length is declared, follows from the Image Pixel attributes, or is known only at the end.
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
			[]bodyPart{jsonPart(jsonOf("1.1", grey(64, 64), reference("7FE00010", "OW", "/bulk/1"))), bulkPart("http://stow.example/bulk/1", pixels)},
			[][]byte{wantPixels},
		},
		"text is padded with a space": {
			[]bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "UT", "a"))), bulkPart("a", []byte("abc"))},
			[][]byte{element(0x42, 0x11, "UT", []byte("abc "))},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 1<<20)
			if got := s.compose(t, multipart(test.parts...)); got.outcomes() != "stored 1.1" {
				t.Fatalf("got %s: %s", got.outcomes(), got.says)
			}
			s.wantEnd(t, "1.1", test.want...)
		})
	}
}

// Several instances in one array; their bulkdata in any order, as dcm4che sends them from a hash map.
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
			s := newService(t, 1<<20)
			parts := []bodyPart{jsonPart(metadata...)}
			for _, i := range order {
				parts = append(parts, bulk[i])
			}
			if got := s.compose(t, multipart(parts...)); len(got.stored) != count || len(got.failed)+len(got.other) > 0 {
				t.Fatalf("got %s: %s", got.outcomes(), got.says)
			}
			for i := range count {
				s.wantEnd(t, fmt.Sprintf("1.%d", i+1), element(0x7FE0, 0x0010, "OW", noise(2*16*(16+i))))
			}
		})
	}
}

// dcm4che's stowrs sends XML metadata, one part for each instance, just before its
// bulkdata. Other clients declare them with a general XML type, or with none.
func TestMetadataBetweenBulkdata(t *testing.T) {
	for _, header := range []string{"Content-Type: application/dicom+xml", "Content-Type: text/xml", "Content-Type: Application/XML; charset=UTF-8", "X: y"} {
		s := newService(t, 1<<20)
		s.mediaType = storeresponse.MediaTypeXML
		got := s.compose(t, multipart(
			xmlPart("Content-Type: application/dicom+xml", "1.1", "bulk1"), codedPart("application/pdf", "bulk1", noise(999)),
			xmlPart(header, "1.2", "bulk2"), codedPart("application/pdf", "bulk2", noise(500))))
		if got.outcomes() != "stored 1.1 | stored 1.2" {
			t.Fatalf("%s: got %s: %s", header, got.outcomes(), got.says)
		}
		s.wantEnd(t, "1.1", element(0x42, 0x11, "OB", noise(999)))
		s.wantEnd(t, "1.2", element(0x42, 0x11, "OB", noise(500)))
	}
}

// PS3.18 Table 10.5.4-1 of 2020e: metadata alone, as for a structured report, may be the whole body.
func TestMetadataAlone(t *testing.T) {
	for name, body := range map[string]string{"an array": "[" + jsonOf("1.1") + "]", "an object, not an array": jsonOf("1.1")} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 1<<20)
			if got := s.run(t, strings.NewReader(body), nil); got.outcomes() != "stored 1.1" || got.err != nil {
				t.Fatalf("got %s: %s", got.outcomes(), got.says)
			}
		})
	}
	s := newService(t, 1<<20)
	got := s.compose(t, multipart(jsonPart(jsonOf("1.2")), bodyPart{"Content-Type: application/dicom+JSON; charset=utf-8", []byte(jsonOf("1.1"))}))
	if got.outcomes() != "stored 1.2 | stored 1.1" {
		t.Errorf("got %s: %s", got.outcomes(), got.says)
	}
}
