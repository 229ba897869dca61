package s3test

import (
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// upload is a multipart upload that is neither completed nor aborted.
type upload struct {
	id, key   string
	header    http.Header
	algorithm string // of the checksums of its parts: CRC64NVME, or empty if CreateMultipartUpload named none
	initiated time.Time
	parts     map[int]*part
}

type part struct {
	payload
	modified time.Time
}

func (s *Server) createMultipartUpload(c call) (response, error) {
	header, err := objectHeader(c)
	if err != nil {
		return response{}, err
	}
	algorithm, sumType := c.Header.Get("X-Amz-Checksum-Algorithm"), c.Header.Get("X-Amz-Checksum-Type")
	switch {
	case s.NoChecksums:
		algorithm = ""
	case algorithm == "" && sumType != "":
		return response{}, refuse("InvalidRequest", "x-amz-checksum-type needs x-amz-checksum-algorithm")
	case algorithm != "" && algorithm != "CRC64NVME":
		return response{}, notImplemented("a multipart upload with " + algorithm)
	case sumType != "" && sumType != fullObject:
		return response{}, refuse("InvalidRequest", "the checksum type %s cannot be used with %s", sumType, algorithm)
	}
	s.created++
	// Ids ascend in the order of creation, because a listing sorts the uploads of one key by age, and continues by id.
	u := &upload{fmt.Sprintf("upload-%012d", s.created), c.Key, header, algorithm, s.now(), map[int]*part{}}
	s.uploads[u.id] = u
	answer := xmlResponse(struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		UploadID string   `xml:"UploadId"`
	}{UploadID: u.id})
	if algorithm != "" {
		answer.header.Set("X-Amz-Checksum-Algorithm", algorithm)
		answer.header.Set("X-Amz-Checksum-Type", fullObject)
	}
	return answer, nil
}

// findUpload refuses an id that is unknown, completed, aborted, or of another key.
func (s *Server) findUpload(c call) (*upload, error) {
	u := s.uploads[c.Query.Get("uploadId")]
	if u == nil || u.key != c.Key {
		return nil, &s3Error{http.StatusNotFound, "NoSuchUpload", "the upload does not exist; it may have been aborted or completed"}
	}
	return u, nil
}

func (s *Server) uploadPart(c call) (response, error) {
	if c.PartNumber < 1 || c.PartNumber > 10000 { // S3: part numbers are 1 to 10,000
		return response{}, refuse("InvalidArgument", "the part number must be an integer between 1 and 10000")
	}
	u, err := s.findUpload(c)
	if err != nil {
		return response{}, err
	}
	// The SDK adds a CRC32 to each part even if CreateMultipartUpload named no algorithm. S3 verifies it and keeps it with the part.
	if u.algorithm != "" {
		if c.sum.present() && c.sum.algorithm != u.algorithm {
			return response{}, refuse("InvalidRequest", "checksum type mismatch: expected %q, got %q", u.algorithm, c.sum.algorithm)
		}
		c.sum = crcChecksum(c.crc)
	}
	u.parts[c.PartNumber] = &part{c.payload, s.now()}
	answer := emptyResponse(http.StatusOK)
	answer.header.Set("ETag", c.etag())
	if c.sum.present() {
		answer.header.Set(c.sum.header(), c.sum.value)
	}
	return answer, nil
}

func (s *Server) abortMultipartUpload(c call) (response, error) {
	u, err := s.findUpload(c)
	if err != nil {
		return response{}, err
	}
	delete(s.uploads, u.id)
	return emptyResponse(http.StatusNoContent), nil
}

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
	if err := xml.Unmarshal(c.body, &list); err != nil || len(list.Parts) == 0 {
		return response{}, refuse("MalformedXML", "the list of parts is empty or not well-formed")
	}
	put, md5s := object{header: u.header, modified: s.now()}, []byte(nil)
	for i, listed := range list.Parts {
		if i > 0 && listed.PartNumber <= list.Parts[i-1].PartNumber {
			return response{}, refuse("InvalidPartOrder", "the list of parts is not in ascending order")
		}
		p, err := u.chosenPart(listed, s.NoChecksums)
		if err != nil {
			return response{}, err
		}
		if i < len(list.Parts)-1 && p.size < s.MinPartSize {
			return response{}, refuse("EntityTooSmall", "a part that is not the last is smaller than %d bytes", s.MinPartSize)
		}
		put.pieces, put.size, put.crc = append(put.pieces, p.body), put.size+p.size, combine(put.crc, p.crc, p.size)
		if s.NoChecksums {
			md5s = p.md5.Sum(md5s)
		}
	}
	put.etag = fmt.Sprintf(`"%016x-%d"`, put.crc, len(list.Parts))
	var sumType string
	if s.NoChecksums {
		put.etag = fmt.Sprintf(`"%x-%d"`, md5.Sum(md5s), len(list.Parts))
	} else {
		put.sum, sumType = crcChecksum(put.crc), fullObject
		if err := verifyCompletion(c, put); err != nil {
			return response{}, err
		}
	}
	if err := s.store(c, put); err != nil {
		return response{}, err
	}
	delete(s.uploads, u.id)
	return xmlResponse(struct {
		XMLName      xml.Name `xml:"CompleteMultipartUploadResult"`
		ETag         string
		Checksum     *element
		ChecksumType string `xml:",omitempty"`
	}{ETag: put.etag, Checksum: put.sum.element(), ChecksumType: sumType}), nil
}

// chosenPart finds the listed part, and checks its ETag and, unless noChecksums is set, its checksum.
func (u *upload) chosenPart(listed listedPart, noChecksums bool) (*part, error) {
	p, found := u.parts[listed.PartNumber]
	if !found || strings.Trim(listed.ETag, `"`) != strings.Trim(p.etag(), `"`) {
		return nil, refuse("InvalidPart", "part %d was not found, or its entity tag is another", listed.PartNumber)
	}
	for _, other := range listed.Others {
		if noChecksums || !strings.HasPrefix(other.XMLName.Local, "Checksum") {
			continue
		}
		if want := p.sum.element(); want == nil || other.XMLName.Local != want.XMLName.Local || strings.TrimSpace(other.Value) != want.Value {
			return nil, refuse("InvalidPart", "the checksum of part %d is another", listed.PartNumber)
		}
	}
	return p, nil
}

// verifyCompletion compares the object with the size and checksum in the headers of CompleteMultipartUpload.
func verifyCompletion(c call, put object) error {
	size, sumType := c.Header.Get("X-Amz-Mp-Object-Size"), c.Header.Get("X-Amz-Checksum-Type")
	switch {
	case size != "" && size != strconv.FormatInt(put.size, 10):
		return refuse("InvalidRequest", "x-amz-mp-object-size is %s, the object has %d bytes", size, put.size)
	case sumType != "" && sumType != fullObject:
		return refuse("BadDigest", "x-amz-checksum-type is %s, the upload has %s", sumType, fullObject)
	case c.sum.present() && c.sum.algorithm != put.sum.algorithm:
		return refuse("InvalidRequest", "checksum type mismatch: expected %q, got %q", put.sum.algorithm, c.sum.algorithm)
	case c.sum.present() && c.sum.value != put.sum.value:
		return refuse("BadDigest", "the %s is not that of the object", put.sum.algorithm)
	}
	return nil
}
