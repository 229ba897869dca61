package compose_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose"
	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/related"
	"stowrs-to-s3/app/storeresponse"
)

const (
	boundary = "myboundary"
	classUID = "1.2.840.10008.5.1.4.1.1.2"
	study    = "1.2.3"
	series   = "1.2.3.4"
)

// service composes requests, each with its own memory account.
type service struct {
	kept      *memory.RequestMemory
	mediaType string
	base      string
	lateBytes int64
	most      int               // instances
	reads     func() bool       // called before an instance is read; nil: all are read
	objects   map[string][]byte // by SOP Instance UID
	late      bool              // at least one instance was Late
}

// newService keeps at most limit bytes; at the end of the test it must keep nothing.
func newService(t testing.TB, limit int64) *service {
	t.Helper()
	s := &service{
		kept: memory.New(4<<20, 1<<20, limit).Keep(), mediaType: storeresponse.MediaTypeJSON, base: "http://stow.example/studies",
		lateBytes: 8 << 20, most: 100_000, objects: map[string][]byte{},
	}
	t.Cleanup(func() {
		if held := s.kept.HeldBytes(); held != 0 {
			t.Errorf("%d bytes of memory are held", held)
		}
	})
	return s
}

// answer is the result of a request.
type answer struct {
	stored, failed, other []string // UIDs, with reasons
	says                  string   // the errors' texts
	failure               error    // of the last instance that failed
	err                   error    // of the whole
}

// outcomes is "stored 1.2 | failed 1.3 C000 | other C000".
func (a answer) outcomes() string {
	return strings.Join(slices.Concat(a.stored, a.failed, a.other), " | ")
}

// newParts splits a body into parts.
func newParts(body io.Reader) *related.Reader { return related.NewReader(body, boundary, nil) }

// compose composes a body whose first part is metadata.
func (s *service) compose(t testing.TB, body []byte) answer {
	t.Helper()
	parts := newParts(bytes.NewReader(body))
	defer parts.Close()
	first, err := parts.Next()
	if err != nil {
		t.Fatal(err)
	}
	return s.run(t, first, parts)
}

func (s *service) run(t testing.TB, first io.Reader, parts compose.Parts) answer {
	t.Helper()
	base, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	c := compose.New(compose.Request{MediaType: s.mediaType, Base: base, Memory: s.kept, LateBytes: s.lateBytes, MaxInstances: s.most}, first, parts)
	defer c.Close()
	var a answer
	for i := range c.Instances() {
		id, err := i.Identity(), i.Err()
		if s.reads != nil && err == nil && !s.reads() {
			continue
		}
		if err == nil {
			var object []byte
			s.late = s.late || i.Late()
			if object, err = readAll(i); err == nil {
				a.stored = append(a.stored, "stored "+id.SOPInstanceUID)
				s.objects[id.SOPInstanceUID] = object
				checkFile(t, id, object)
				continue
			}
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("a failure may be taken for a success: %v", err)
		}
		a.failure = err
		if len(a.says) < 1<<16 {
			a.says += err.Error() + "\n"
		}
		if id.SOPInstanceUID == "" {
			a.other = append(a.other, "other "+reasonOf(err))
		} else {
			a.failed = append(a.failed, "failed "+id.SOPInstanceUID+" "+reasonOf(err))
		}
	}
	if a.err = c.Err(); a.err != nil {
		a.says += a.err.Error()
	}
	return a
}

// readAll reads an instance in pieces of many sizes, like its user: if it is Late, nothing
// of its beginning is final before its end.
func readAll(i *compose.Instance) ([]byte, error) {
	var object []byte
	buffer := make([]byte, 40_000)
	for size := 1; ; size = size*3%40_000 + 1 {
		n, err := i.Read(buffer[:size])
		object = append(object, buffer[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if offset, b := i.Correction(); len(b) > 0 {
		if !i.Late() {
			return nil, errors.New("a correction that Late does not tell of")
		}
		copy(object[offset:offset+int64(len(b))], b)
	}
	return object, nil
}

// reasonOf is the Failure Reason for an error in the answer.
func reasonOf(err error) string {
	var uid *dicom.UIDError
	switch {
	case errors.As(err, &uid):
		return "0120"
	case errors.Is(err, compose.ErrNoRoom), errors.Is(err, memory.ErrTooMuch), errors.Is(err, memory.ErrBusy):
		return "A700"
	case errors.Is(err, compose.ErrInvalid), errors.Is(err, compose.ErrSyntax), errors.Is(err, related.ErrTruncated):
		return "C000"
	}
	return err.Error()
}

// wantEnd checks that the object ends with these elements.
func (s *service) wantEnd(t *testing.T, sop string, elements ...[]byte) {
	t.Helper()
	got, found := s.objects[sop]
	if !found {
		t.Fatalf("%s is not stored", sop)
	}
	if want := slices.Concat(elements...); !bytes.HasSuffix(got, want) {
		t.Errorf("%s: got %d bytes that do not end with the %d wanted: …%x, want …%x", sop, len(got), len(want), tail(got), tail(want))
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-64):] }

// bodyPart is a part of a request with metadata and bulkdata.
type bodyPart struct {
	header  string // lines without line ends, separated by |
	content []byte
}

func jsonPart(instances ...string) bodyPart {
	return bodyPart{"Content-Type: application/dicom+json", []byte("[" + strings.Join(instances, ",") + "]")}
}

func codedPart(mediaType, location string, content []byte) bodyPart {
	return bodyPart{"Content-Type: " + mediaType + "|Content-Location: " + location, content}
}

func bulkPart(location string, content []byte) bodyPart {
	return codedPart("application/octet-stream", location, content)
}

// multipart is a multipart/related body of parts.
func multipart(parts ...bodyPart) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		b.WriteString("\r\n--" + boundary + "\r\n" + strings.ReplaceAll(p.header, "|", "\r\n") + "\r\n\r\n")
		b.Write(p.content)
	}
	b.WriteString("\r\n--" + boundary + "--")
	return b.Bytes()
}

// jsonOf is a dataset in the DICOM JSON Model (PS3.18 Annex F) with the UIDs and these elements.
func jsonOf(sop string, elements ...string) string {
	return fmt.Sprintf(`{"00080016":{"vr":"UI","Value":[%q]},"00080018":{"vr":"UI","Value":[%q]},"0020000D":{"vr":"UI","Value":[%q]},"0020000E":{"vr":"UI","Value":[%q]}%s}`,
		classUID, sop, study, series, strings.Join(append([]string{""}, elements...), ","))
}

// xmlPart is a document of the Native DICOM Model (PS3.19 Annex A) whose encapsulated document is bulkdata.
func xmlPart(header, sop, uri string) bodyPart {
	return bodyPart{header, []byte(fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xml:space="preserve">`+
		`<DicomAttribute tag="00080016" vr="UI"><Value number="1">%s</Value></DicomAttribute><DicomAttribute tag="00080018" vr="UI"><Value number="1">%s</Value></DicomAttribute>`+
		`<DicomAttribute tag="0020000D" vr="UI"><Value number="1">%s</Value></DicomAttribute><DicomAttribute tag="0020000E" vr="UI"><Value number="1">%s</Value></DicomAttribute>`+
		`<DicomAttribute tag="00420011" vr="OB"><BulkData uri="%s"/></DicomAttribute></NativeDicomModel>`, classUID, sop, study, series, uri))}
}

// pixelsOf is the Image Pixel attributes of a grey image.
func pixelsOf(rows, columns, bits int) string {
	return fmt.Sprintf(`"00280002":{"vr":"US","Value":[1]},"00280004":{"vr":"CS","Value":["MONOCHROME2"]},"00280010":{"vr":"US","Value":[%d]},"00280011":{"vr":"US","Value":[%d]},`+
		`"00280100":{"vr":"US","Value":[%d]},"00280101":{"vr":"US","Value":[%d]},"00280102":{"vr":"US","Value":[%d]},"00280103":{"vr":"US","Value":[0]}`, rows, columns, bits, bits, bits-1)
}

func grey(rows, columns int) string { return pixelsOf(rows, columns, 16) }

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
