package s3test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// upload is a multipart upload that is neither completed nor aborted.
type upload struct {
	id, bucket, key string
	header          http.Header
	algorithm       algorithm // zero if CreateMultipartUpload named none
	sumType         string    // empty with it
	initiated       time.Time
	parts           map[int]part
}

type part struct {
	body     []byte
	etag     string   // quoted
	sum      checksum // zero if neither the upload nor the part came with one
	modified time.Time
}

func (s *Server) createMultipartUpload(c call) (response, error) {
	header, err := s.objectHeader(c)
	if err != nil {
		return response{}, err
	}
	u := &upload{bucket: c.bucket, key: c.Key, header: header, initiated: time.Now(), parts: map[int]part{}}
	if err := u.chooseChecksum(c.Header.Get("X-Amz-Checksum-Algorithm"), c.Header.Get("X-Amz-Checksum-Type")); err != nil {
		return response{}, err
	}
	s.created++
	// Ids grow in the order of creation, as a listing sorts the uploads of one key by age and pages by id.
	u.id = fmt.Sprintf("upload-%012d", s.created)
	s.uploads[u.id] = u
	answer := xmlResponse(struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		Xmlns    string   `xml:"xmlns,attr"`
		Bucket   string
		Key      string
		UploadID string `xml:"UploadId"`
	}{Xmlns: xmlNamespace, Bucket: u.bucket, Key: u.key, UploadID: u.id})
	if u.sumType != "" {
		answer.header.Set("X-Amz-Checksum-Algorithm", u.algorithm.name)
		answer.header.Set("X-Amz-Checksum-Type", u.sumType)
	}
	return answer, nil
}

// chooseChecksum applies S3's rules for algorithm and type: the type needs an algorithm that supports it, and has a default for each.
func (u *upload) chooseChecksum(name, sumType string) error {
	if name == "" {
		if sumType != "" {
			return refuse("InvalidRequest", "x-amz-checksum-type needs x-amz-checksum-algorithm")
		}
		return nil
	}
	var err error
	if u.algorithm, err = findAlgorithm(name); err != nil {
		return err
	}
	if u.sumType = sumType; sumType == "" {
		u.sumType = u.algorithm.types[0]
	}
	if !slices.Contains(u.algorithm.types, u.sumType) {
		return refuse("InvalidRequest", "the checksum type %s cannot be used with %s", u.sumType, u.algorithm.name)
	}
	return nil
}

// findUpload refuses an id that is unknown, completed, aborted, or another key's.
func (s *Server) findUpload(c call) (*upload, error) {
	if err := s.ensureBucket(c); err != nil {
		return nil, err
	}
	u := s.uploads[c.Query.Get("uploadId")]
	if u == nil || u.bucket != c.bucket || u.key != c.Key {
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
	sum := c.sum
	switch {
	case u.sumType == "":
		// The SDK adds a CRC32 to each part even if CreateMultipartUpload named no algorithm. S3 verifies it and keeps it with the part.
	case sum.name != u.algorithm.name && (sum.present() || u.sumType == composite):
		return response{}, refuse("InvalidRequest", "checksum type mismatch: expected %q, got %q", u.algorithm.name, sum.name)
	case !sum.present():
		sum = checksum{u.algorithm, u.algorithm.of(c.payload)}
	}
	p := part{c.payload, quotedMD5(c.payload), sum, time.Now()}
	u.parts[c.PartNumber] = p
	answer := emptyResponse(http.StatusOK)
	answer.header.Set("ETag", p.etag)
	if sum.present() {
		answer.header.Set(sum.header(), sum.value)
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
