package s3test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"
)

// record is what S3 knows of an object besides its bytes.
type record struct {
	etag    string      // quoted
	header  http.Header // sent when it was put and given back when it is read
	sum     checksum    // zero if it was put without
	sumType string      // fullObject or composite
}

func (s *Server) putObject(c call) (response, error) {
	header, err := s.objectHeader(c)
	if err != nil {
		return response{}, err
	}
	sum := c.sum
	if !sum.present() {
		// S3 adds a CRC64NVME to an object that comes without a checksum.
		sum = checksum{algorithms[0], algorithms[0].of(c.payload)}
	}
	put := record{quotedMD5(c.payload), header, sum, fullObject}
	if err := s.store(c.bucket, c.Key, c.payload, put, c.Header); err != nil {
		return response{}, err
	}
	answer := emptyResponse(http.StatusOK)
	answer.header.Set("ETag", put.etag)
	answer.header.Set(sum.header(), sum.value)
	answer.header.Set("X-Amz-Checksum-Type", fullObject)
	return answer, nil
}

// objectHeader picks the headers that stay with an object from the request that begins to write it, and checks bucket, key and metadata.
func (s *Server) objectHeader(c call) (http.Header, error) {
	if err := s.ensureBucket(c); err != nil {
		return nil, err
	}
	if len(c.Key) > 1024 { // S3: a key is at most 1,024 bytes of UTF-8
		return nil, refuse("KeyTooLongError", "the key is too long")
	}
	header, metaSize := http.Header{}, 0
	for name, values := range c.Header {
		meta, isMeta := strings.CutPrefix(name, "X-Amz-Meta-")
		if isMeta {
			metaSize += len(meta) + len(values[0])
		}
		kept := []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "X-Amz-Storage-Class"}
		if isMeta || slices.Contains(kept, name) || strings.HasPrefix(name, "X-Amz-Server-Side-Encryption") {
			header[name] = values
		}
	}
	if metaSize > 2048 { // S3: user metadata is at most 2 KB, names and values together
		return nil, refuse("MetadataTooLarge", "user metadata is larger than 2 KB")
	}
	// aws-chunked is how the bytes travelled, not how they are stored.
	if encoding := strings.Trim(strings.Replace(header.Get("Content-Encoding"), "aws-chunked", "", 1), ", "); encoding != "" {
		header.Set("Content-Encoding", encoding)
	} else {
		header.Del("Content-Encoding")
	}
	return header, nil
}

// store writes an object if the conditions of the request (If-None-Match, If-Match) hold. The caller holds storeMu,
// which makes condition and write one step.
func (s *Server) store(bucket, key string, body []byte, put record, conditions http.Header) error {
	current, err := s.backend.HeadObject(bucket, key)
	exists := err == nil && current != nil
	name := bucket + "/" + key
	failed := &s3Error{http.StatusPreconditionFailed, "PreconditionFailed", "at least one of the preconditions did not hold"}
	if noneMatch := conditions.Get("If-None-Match"); noneMatch != "" && noneMatch != "*" {
		return &s3Error{http.StatusNotImplemented, "NotImplemented", "If-None-Match of a write must be *"} // as S3
	} else if noneMatch == "*" && exists {
		return failed
	}
	if match := conditions.Get("If-Match"); match != "" {
		if !exists {
			return &s3Error{http.StatusNotFound, "NoSuchKey", "the key does not exist"}
		}
		if strings.Trim(match, `"`) != strings.Trim(s.records[name].etag, `"`) {
			return failed
		}
	}
	// The backend merges metadata of the object it replaces into the new one, so it is given none but the time.
	meta := map[string]string{"Last-Modified": time.Now().UTC().Format(http.TimeFormat)}
	if _, err := s.backend.PutObject(bucket, key, meta, bytes.NewReader(body), int64(len(body)), nil); err != nil {
		return err
	}
	s.records[name] = put
	return nil
}

// readObject answers GetObject and HeadObject: gofakes3 finds the bytes, the record adds the headers.
func (s *Server) readObject(c call) response {
	answer := s.delegate(c)
	if answer.status != http.StatusOK && answer.status != http.StatusPartialContent {
		return answer
	}
	found := s.records[c.bucket+"/"+c.Key]
	for name, values := range found.header {
		answer.header[name] = values
	}
	answer.header.Set("ETag", found.etag)
	// S3 gives a checksum only when asked, and none for a range.
	if c.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" && answer.status == http.StatusOK && found.sum.present() {
		answer.header.Set(found.sum.header(), found.sum.value)
		answer.header.Set("X-Amz-Checksum-Type", found.sumType)
	}
	return answer
}
