package s3test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// object is what S3 stores under a key.
type object struct {
	pieces   [][]byte // the bytes; none if they were discarded
	size     int64
	crc      uint64 // CRC64NVME
	sum      checksum
	etag     string      // quoted
	header   http.Header // of the request that stored it; returned when it is read
	modified time.Time
}

func (s *Server) putObject(c call) (response, error) {
	header, err := objectHeader(c)
	if err != nil {
		return response{}, err
	}
	put := object{[][]byte{c.body}, c.size, c.crc, c.sum, c.etag(), header, s.now()}
	if !put.sum.present() && !s.NoChecksums {
		// S3 adds a CRC64NVME to an object that comes without a checksum.
		put.sum = crcChecksum(put.crc)
	}
	if err := s.store(c, put); err != nil {
		return response{}, err
	}
	answer := emptyResponse(http.StatusOK)
	answer.header.Set("ETag", put.etag)
	put.sum.addTo(answer.header)
	return answer, nil
}

// etag is different for different bytes, as S3 promises. It is an MD5 only with NoChecksums: that of S3 is not an MD5 with SSE-KMS, but that of
// an older server is one.
func (p payload) etag() string {
	if p.md5 != nil {
		return fmt.Sprintf(`"%x"`, p.md5.Sum(nil))
	}
	return fmt.Sprintf(`"%016x-%x"`, p.crc, p.size)
}

// objectHeader selects the headers that are stored with an object, from the request that begins to write it. It also checks key and metadata.
func objectHeader(c call) (http.Header, error) {
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
	if header.Get("Content-Encoding") == "aws-chunked" { // this is only the encoding of the transfer
		header.Del("Content-Encoding")
	}
	return header, nil
}

// store writes an object if the condition of the request holds. The caller holds mu, so condition and write are atomic.
func (s *Server) store(c call, put object) error {
	noneMatch := c.Header.Get("If-None-Match")
	if noneMatch != "" && noneMatch != "*" || c.Header.Get("If-Match") != "" {
		return notImplemented("a condition of a write but If-None-Match: *")
	}
	if _, exists := s.objects[c.Key]; exists && noneMatch == "*" {
		return &s3Error{http.StatusPreconditionFailed, "PreconditionFailed", "at least one of the preconditions did not hold"}
	}
	s.objects[c.Key] = put
	return nil
}

// readObject answers GetObject and HeadObject.
func (s *Server) readObject(c call) (response, error) {
	found, ok := s.objects[c.Key]
	switch {
	case !ok:
		return response{}, &s3Error{http.StatusNotFound, "NoSuchKey", "the key does not exist"}
	case c.Header.Get("Range") != "":
		return response{}, notImplemented("ranges")
	case s.Discard && c.Operation == "GetObject":
		return response{}, notImplemented("the bytes, which it has discarded")
	}
	answer := emptyResponse(http.StatusOK)
	answer.header.Set("Content-Type", "binary/octet-stream") // S3's default
	for name, values := range found.header {
		answer.header[name] = values
	}
	answer.header.Set("Content-Length", strconv.FormatInt(found.size, 10))
	answer.header.Set("Last-Modified", found.modified.UTC().Format(http.TimeFormat))
	answer.header.Set("ETag", found.etag)
	if c.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" { // S3 returns a checksum only on request
		found.sum.addTo(answer.header)
	}
	if c.Operation == "GetObject" {
		answer.body = found.pieces
	}
	return answer, nil
}
