package s3test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// listedPart is a part as CompleteMultipartUpload lists it.
type listedPart struct {
	PartNumber int
	ETag       string
	Others     []element `xml:",any"` // Checksum* among them
}

func (s *Server) completeMultipartUpload(c call) (response, error) {
	u, err := s.findUpload(c)
	if err != nil {
		return response{}, err
	}
	var list struct {
		Parts []listedPart `xml:"Part"`
	}
	if err := xml.Unmarshal(c.payload, &list); err != nil || len(list.Parts) == 0 {
		return response{}, refuse("MalformedXML", "the list of parts is empty or not well-formed")
	}
	parts, err := u.chosenParts(list.Parts)
	if err != nil {
		return response{}, err
	}
	for _, p := range parts[:len(parts)-1] {
		if int64(len(p.body)) < s.MinPartSize {
			return response{}, refuse("EntityTooSmall", "a part that is not the last is smaller than %d bytes", s.MinPartSize)
		}
	}
	bodies := make([][]byte, len(parts))
	for i, p := range parts {
		bodies[i] = p.body
	}
	body := bytes.Join(bodies, nil)
	sum, sumType := u.objectChecksum(c.sum, parts, body)
	if err := verifyCompletion(c, len(body), sum, sumType); err != nil {
		return response{}, err
	}
	put := record{multipartETag(parts), u.header, sum, sumType}
	if err := s.store(u.bucket, u.key, body, put, c.Header); err != nil {
		return response{}, err
	}
	delete(s.uploads, u.id)
	return xmlResponse(struct {
		XMLName      xml.Name `xml:"CompleteMultipartUploadResult"`
		Xmlns        string   `xml:"xmlns,attr"`
		Location     string
		Bucket       string
		Key          string
		ETag         string
		Checksum     *element
		ChecksumType string
	}{
		Xmlns: xmlNamespace, Location: s.URL() + c.http.URL.EscapedPath(), Bucket: u.bucket, Key: u.key,
		ETag: put.etag, Checksum: sum.element(), ChecksumType: sumType,
	}), nil
}

// chosenParts finds the listed parts and checks order, ETags and checksums.
func (u *upload) chosenParts(list []listedPart) ([]part, error) {
	var parts []part
	for i, listed := range list {
		if i > 0 && listed.PartNumber <= list[i-1].PartNumber {
			return nil, refuse("InvalidPartOrder", "the list of parts is not in ascending order")
		}
		// S3 API reference, CompletedPart: with a checksum on each part, numbers start at 1 and have no gap.
		if u.sumType == composite && listed.PartNumber != i+1 {
			return nil, refuse("InvalidPartOrder", "the part numbers are not consecutive from 1")
		}
		p, found := u.parts[listed.PartNumber]
		if !found || strings.Trim(listed.ETag, `"`) != strings.Trim(p.etag, `"`) {
			return nil, refuse("InvalidPart", "part %d was not found, or its entity tag is another", listed.PartNumber)
		}
		verified := false
		for _, other := range listed.Others {
			if !strings.HasPrefix(other.XMLName.Local, "Checksum") {
				continue
			}
			if want := p.sum.element(); want == nil || other.XMLName.Local != want.XMLName.Local || strings.TrimSpace(other.Value) != want.Value {
				return nil, refuse("InvalidPart", "the checksum of part %d is another", listed.PartNumber)
			}
			verified = true
		}
		if u.sumType == composite && !verified {
			return nil, refuse("InvalidRequest", "the checksum of part %d is missing; the upload was created with %s", listed.PartNumber, u.algorithm.name)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// objectChecksum returns checksum and type of the completed object. An upload created without an algorithm gets the one that
// CompleteMultipartUpload names, else CRC64NVME.
func (u *upload) objectChecksum(sent checksum, parts []part, body []byte) (checksum, string) {
	if u.sumType == composite {
		var sums [][]byte
		for _, p := range parts {
			sum, err := base64.StdEncoding.DecodeString(p.sum.value)
			if err != nil {
				panic("s3test: a verified checksum is not base64")
			}
			sums = append(sums, sum)
		}
		return checksum{u.algorithm, fmt.Sprintf("%s-%d", u.algorithm.of(sums...), len(parts))}, composite
	}
	a := u.algorithm
	if u.sumType == "" {
		if a = algorithms[0]; sent.present() {
			a = sent.algorithm
		}
	}
	return checksum{a, a.of(body)}, fullObject
}

// verifyCompletion compares the object with what the headers of CompleteMultipartUpload say of it.
func verifyCompletion(c call, size int, sum checksum, sumType string) error {
	if want := c.Header.Get("X-Amz-Mp-Object-Size"); want != "" && want != strconv.Itoa(size) {
		return refuse("InvalidRequest", "x-amz-mp-object-size is %s, the object has %d bytes", want, size)
	}
	if want := c.Header.Get("X-Amz-Checksum-Type"); want != "" && want != sumType {
		return refuse("BadDigest", "x-amz-checksum-type is %s, the upload has %s", want, sumType)
	}
	if !c.sum.present() {
		return nil
	}
	if c.sum.name != sum.name {
		return refuse("InvalidRequest", "checksum type mismatch: expected %q, got %q", sum.name, c.sum.name)
	}
	// The number of parts behind a composite checksum may be left out.
	value, _, _ := strings.Cut(sum.value, "-")
	if c.sum.value != sum.value && c.sum.value != value {
		return refuse("BadDigest", "the %s did not match the object", sum.name)
	}
	return nil
}

// multipartETag is the MD5 of the parts' MD5s, with the number of parts.
func multipartETag(parts []part) string {
	h := md5.New()
	for _, p := range parts {
		sum, err := hex.DecodeString(strings.Trim(p.etag, `"`))
		if err != nil {
			panic("s3test: the ETag of a part is not hex")
		}
		h.Write(sum)
	}
	return fmt.Sprintf(`"%s-%d"`, hex.EncodeToString(h.Sum(nil)), len(parts))
}
