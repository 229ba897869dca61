package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// wholeRequest is a random request, and its allowed results.
type wholeRequest struct {
	description string
	path        string // contains the study of the client, so that other studies are refused
	contentType string
	body        string
	chunkBytes  int // 0: with a Content-Length
	cutAt       int // bytes of the body after which the connection ends; -1: all are sent

	instances map[string]func(object string) bool // checks of the objects that S3 may contain, by SOP Instance UID
	damaged   bool                                // some instances may fail
	reframed  bool                                // the framing is damaged: the parts may be different from the intended ones
	composed  bool
}

// requests makes random requests for one study.
type requests struct {
	random   *rand.Rand
	study    string
	serial   int64
	pictures []string // JPEG
}

// next is a request with PS3.10 instances, or with metadata and bulkdata, damaged or not.
func (g *requests) next() *wholeRequest {
	r := &wholeRequest{path: "/studies/" + g.study, cutAt: -1, instances: map[string]func(string) bool{}}
	var sections []bodyPart
	if g.random.IntN(3) > 0 {
		r.contentType = contentType
		for range 1 + g.random.IntN(6) {
			sections = append(sections, g.instance(r))
		}
	} else {
		r.contentType, r.composed = relatedJSON, true
		sections = g.metadataAndBulkdata(r)
	}
	r.body = g.frame(r, sections)
	if g.random.IntN(12) == 0 {
		b := []byte(r.body)
		for range 1 + g.random.IntN(4) {
			b[g.random.IntN(len(b))] ^= byte(1 << g.random.IntN(8))
		}
		r.body, r.reframed, r.damaged = string(b), true, true
		r.note("bits of the body flipped")
	}
	if g.random.IntN(2) == 0 {
		r.chunkBytes = []int{1 + g.random.IntN(100), 1000, 64 << 10, 1 << 20}[g.random.IntN(4)]
		if len(r.body) > 1<<20 {
			r.chunkBytes = 1 << 20
		}
	}
	if g.random.IntN(6) == 0 {
		r.cutAt, r.damaged = g.random.IntN(len(r.body)), true
		r.note("cut at %d of %d", r.cutAt, len(r.body))
	}
	return r
}

func (r *wholeRequest) note(format string, args ...any) {
	r.description += fmt.Sprintf(format, args...) + "; "
}

// uid is a UID that no other request contains, not even with a flipped bit.
func (g *requests) uid() string {
	g.serial++
	return fmt.Sprintf("%s.%d.%d", g.study, g.serial, 1+g.serial*7919%99991)
}

// payload is noise, or bytes that look like the framing.
func (g *requests) payload(most int) string {
	size := 2 * g.random.IntN(most/2+1)
	if g.random.IntN(3) > 0 {
		b := make([]byte, size)
		(&noise{seed: g.random.Uint64(), left: int64(size)}).Read(b)
		return string(b)
	}
	pieces := []string{"\r\n--e2e-boundar", "\r\n--e2e-boundary", "\r\n-", "\r", "\n", "--", "\r\n", "\r\n\r\n--e2e-boundarx--", "--e2e-boundary\r\n", "\x00\x00", "DICM"}
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(pieces[g.random.IntN(len(pieces))])
	}
	// It may begin the content of a part, after a line break.
	content := strings.ReplaceAll("\n"+b.String(), "\n--e2e-boundary", "\n--e2e-bound-ry")[1:]
	return content + strings.Repeat("x", len(content)%2)
}

// instance is a PS3.10 part, complete or with an error.
func (g *requests) instance(r *wholeRequest) bodyPart {
	sop, most := g.uid(), 100_000
	if g.random.IntN(20) == 0 {
		most = 20 * mib
	}
	pixels := g.payload(most)
	content := "DICM" + string(le.UI(0x00020010, "1.2.840.10008.1.2.1")) + string(le.UI(0x00080016, ctImageStorage)) + string(le.UI(0x00080018, sop)) +
		string(le.UI(0x0020000D, g.study)) + string(le.UI(0x0020000E, seriesInstanceUID)) + native(pixels)
	if g.random.IntN(2) == 0 {
		content = string(make([]byte, 128)) + content
	}
	part := bodyPart{header: "Content-Type: application/dicom"}
	head := len(content) - len(pixels)
	switch g.random.IntN(16) {
	case 0:
		content = content[:g.random.IntN(head)]
		r.damaged = true
		r.note("head cut")
	case 1:
		b := []byte(content)
		b[g.random.IntN(head)] ^= byte(1 << g.random.IntN(8))
		content = string(b)
		r.damaged = true
		r.note("bit of a head flipped")
	case 2:
		content = pixels
		r.damaged = true
		r.note("no head")
	case 3:
		part.header += fmt.Sprintf("|Content-Length: %d", len(content)+1+g.random.IntN(10))
		r.damaged = true
		r.note("wrong Content-Length of a part")
	case 4:
		part.header += fmt.Sprintf("|Content-Length: %d", len(content))
	case 5:
		part.header = "content-type:application/dicom;transfer-syntax=1.2.840.10008.1.2.1|Content-ID: <1>|X-Long: " + strings.Repeat("y", g.random.IntN(2000))
	}
	if strings.Contains("\r\n"+content, "\n--e2e-boundary") { // because of a flipped bit
		r.reframed, r.damaged = true, true
	}
	part.content = content
	r.instances[sop] = func(object string) bool { return object == content }
	return part
}

// metadataAndBulkdata are some instances with values in any order.
func (g *requests) metadataAndBulkdata(r *wholeRequest) []bodyPart {
	var metadata []string
	var bulk []bodyPart
	for n := range 1 + g.random.IntN(4) {
		sop, uri := g.uid(), fmt.Sprintf("bulk/%d", n)
		element, part, end := g.value(uri)
		sopElement := string(le.UI(0x00080018, sop))
		metadata = append(metadata, strings.ReplaceAll(jsonOf(sop, element), studyInstanceUID, g.study))
		bulk = append(bulk, part)
		r.instances[sop] = func(object string) bool {
			return strings.HasPrefix(object, string(make([]byte, 128))+"DICM") && strings.Contains(object, sopElement) &&
				strings.Contains(object, string(le.UI(0x0020000D, g.study))) && strings.HasSuffix(object, end)
		}
	}
	g.random.Shuffle(len(bulk), func(a, b int) { bulk[a], bulk[b] = bulk[b], bulk[a] })
	json := jsonPart(metadata...)
	switch g.random.IntN(14) {
	case 0:
		bulk = bulk[1:]
		r.damaged = true
		r.note("bulkdata missing")
	case 1:
		bulk = append(bulk, bulk[0])
		r.damaged = true
		r.note("bulkdata twice")
	case 2:
		b := []byte(json.content)
		b[g.random.IntN(len(b))] ^= byte(1 << g.random.IntN(8))
		json.content = string(b)
		r.damaged, r.reframed = true, true // other values or other URIs
		r.note("bit of the metadata flipped")
	case 3:
		b := []byte(bulk[0].content)
		bulk[0].content = string(b[:g.random.IntN(len(b))])
		r.damaged = true
		r.note("bulkdata cut")
		for sop := range r.instances { // a document can have any length
			whole := r.instances[sop]
			cut := bulk[0].content
			r.instances[sop] = func(object string) bool { return whole(object) || strings.Contains(object, cut) }
		}
	case 4:
		json.content = json.content[:g.random.IntN(len(json.content))]
		r.damaged = true
		r.note("metadata cut")
	}
	return slices.Concat([]bodyPart{json}, bulk)
}

// value returns an element that refers to a part, the part, and the end of the resulting instance.
func (g *requests) value(uri string) (element string, part bodyPart, end string) {
	switch g.random.IntN(3) {
	case 0:
		columns := 1 + g.random.IntN(300)
		pixels := pattern(2 * 32 * columns)
		part = bulkPart(octetStream, uri, pixels)
		if g.random.IntN(2) == 0 {
			part.header += fmt.Sprintf("|Content-Length: %d", len(pixels))
		}
		return grey16(32, columns) + "," + reference("7FE00010", "OW", uri), part, native(pixels)
	case 1:
		picture := g.pictures[g.random.IntN(len(g.pictures))]
		return reference("7FE00010", "OB", uri), bulkPart("image/jpeg", uri, picture), encapsulated(picture)
	}
	document := g.payload(50_000)
	return reference("00420011", "OB", uri), bulkPart("application/pdf", uri, document), string(le.Header(0x00420011, "OB", uint32(len(document)))) + document
}

// frame joins sections to a body, with everything that RFC 2046 §5.1.1 allows around them.
func (g *requests) frame(r *wholeRequest, sections []bodyPart) string {
	var b bytes.Buffer
	if g.random.IntN(4) == 0 {
		b.WriteString("This is a preamble.\r\n--\r\n\r\n")
	}
	for n, section := range sections {
		if n > 0 || g.random.IntN(3) == 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("--e2e-boundary" + strings.Repeat(" ", g.random.IntN(2)) + "\r\n")
		b.WriteString(strings.ReplaceAll(section.header, "|", "\r\n") + "\r\n\r\n" + section.content)
	}
	b.WriteString("\r\n--e2e-boundary--")
	if g.random.IntN(2) == 0 {
		b.WriteString("\r\n" + strings.Repeat("an epilogue", g.random.IntN(3)))
	}
	r.note("%d sections, %d bytes", len(sections), b.Len())
	return b.String()
}
