package stow_test

import (
	"bytes"
	"testing"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/stow"
)

// Whatever comes as metadata and bulkdata, in whatever order: the service answers,
// keeps no memory, leaves nothing half-done, and what it has stored can be read.
func FuzzAssembly(f *testing.F) {
	frame := []byte("\xFF\xD8\xFF\xC0\x00\x0B\x08\x00\x01\x00\x01\x01\x01\x11\x00\xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00\x00\xFF\xD9")
	image := jsonOf("1.1", grey(2, 2), reference("7FE00010", "OW", "p"))
	f.Add([]byte("["+image+"]"), "p", []byte("12345678"), "q", []byte{}, "", uint8(0))
	f.Add([]byte("["+jsonOf("1.1", reference("00420011", "OB", "p"), reference("00540011", "OB", "q"))+","+jsonOf("1.2")+"]"), "q", []byte("odd"), "p", []byte("even"), "", uint8(3))
	f.Add([]byte("["+jsonOf("1.1", `"00280008":{"vr":"IS","Value":[2]}`, reference("7FE00010", "OB", "p"))+"]"), "p", frame, "p", frame, "image/jpeg", uint8(1))
	f.Add([]byte("["+jsonOf("1.1", `"00091010":{"vr":"SQ","Value":[{`+reference("7FE00010", "OB", "p")+`}]}`)+"]"), "p", frame, "p", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00"), "image/gif", uint8(2))
	var h *stow.Handler
	s := newService(f, func(handler *stow.Handler, config *s3store.Config) {
		h = handler
		h.Config.MetadataBytes, config.AsideBytes = 1<<20, 1<<20
	})
	f.Fuzz(func(t *testing.T, metadata []byte, uri1 string, bulk1 []byte, uri2 string, bulk2 []byte, mediaType string, cut uint8) {
		if mediaType == "" {
			mediaType = "application/octet-stream"
		}
		body := related(bodyPart{"Content-Type: application/dicom+json", metadata}, codedPart(mediaType, uri1, bulk1), codedPart(mediaType, uri2, bulk2))
		got := s.post(t, "/studies", relatedJSON, chunked(body[:max(0, len(body)-int(cut))]))
		if got.status < 200 || got.status == 500 {
			t.Errorf("got %d", got.status)
		}
		if held := h.Store.BufferedBytes(); held != 0 {
			t.Errorf("%d bytes of memory are held", held)
		}
		for _, key := range s.s3.Keys() {
			object, _, _ := s.s3.Object(key)
			id, err := dicom.Identify(bytes.NewReader(object), int64(len(object))+1)
			if err != nil || key != s3store.Key("", id.StudyInstanceUID, id.SeriesInstanceUID, id.SOPInstanceUID, "") {
				t.Errorf("%s holds %+v, error %v", key, id, err)
			}
		}
		s.s3.Clear()
	})
}
