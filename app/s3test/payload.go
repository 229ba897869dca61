package s3test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"

	"github.com/minio/crc64nvme"
)

// payload is the body of a request, without aws-chunked framing.
type payload struct {
	body []byte // nil if it is discarded
	size int64
	crc  uint64    // CRC64NVME
	md5  hash.Hash // with NoChecksums
	sum  checksum  // from the client, for this payload, or with CompleteMultipartUpload for the object; zero if there is none
}

// readPayload reads the body to its end. It refuses a payload that does not match its length, digest or checksum; any other
// error is that of body. With corrupt, one bit is flipped before the verification.
func (s *Server) readPayload(request Request, body io.Reader, corrupt bool) (p payload, err error) {
	defer func(body io.Reader) {
		if _, drainErr := io.Copy(io.Discard, body); drainErr != nil {
			err = drainErr
		}
	}(body)
	stores := request.Operation == "PutObject" || request.Operation == "UploadPart"
	if stores && request.ContentLength < 0 {
		return p, &s3Error{http.StatusLengthRequired, "MissingContentLength", "the Content-Length header is required"}
	}
	var hashes []io.Writer
	if s.NoChecksums {
		p.md5 = md5.New()
		hashes = append(hashes, p.md5)
	} else if p.sum, err = sentChecksum(request.Header); err != nil {
		return p, err
	}
	// x-amz-content-sha256 is a digest, or says that the payload is not signed, or that it is streamed in chunks.
	const unsigned = "UNSIGNED-PAYLOAD"
	digest := cmp.Or(request.Header.Get("X-Amz-Content-Sha256"), unsigned)
	streamed := strings.HasPrefix(digest, "STREAMING-")
	var signed, summed hash.Hash
	if digest != unsigned && !streamed {
		signed = sha256.New()
		hashes = append(hashes, signed)
	}
	if p.sum.present() && request.Operation != "CompleteMultipartUpload" {
		summed = algorithms[p.sum.algorithm]()
		hashes = append(hashes, summed)
	}
	// aws-chunked has the same framing as the chunked transfer coding (S3 API reference, "Signature calculations for trailing headers").
	// Signatures of chunks are not verified.
	frames := bufio.NewReader(body)
	if streamed {
		body = httputil.NewChunkedReader(frames)
	}
	err = p.read(body, io.MultiWriter(hashes...), request.ContentLength, corrupt, s.Discard && stores)
	switch {
	case streamed && (err != nil || p.size != request.ContentLength):
		return p, refuse("IncompleteBody", "the chunks are not well-formed, or not x-amz-decoded-content-length together")
	case err != nil:
		return p, err
	case signed != nil && hex.EncodeToString(signed.Sum(nil)) != digest:
		return p, refuse("XAmzContentSHA256Mismatch", "the x-amz-content-sha256 is not that of the payload")
	case summed != nil:
		return p, p.sum.verify(summed.Sum(nil), frames)
	}
	return p, nil
}

// read reads the body and updates the hashes. With corrupt, it first flips one bit in the middle of the declared length.
func (p *payload) read(body io.Reader, hashes io.Writer, declared int64, corrupt, discard bool) error {
	if !discard {
		p.body = make([]byte, 0, max(declared, 0))
	}
	chunk := make([]byte, min(max(declared, 512), 64<<10))
	for {
		n, err := body.Read(chunk)
		if at := declared/2 - p.size; corrupt && 0 <= at && at < int64(n) {
			chunk[at] ^= 1
		}
		p.size, p.crc = p.size+int64(n), crc64nvme.Update(p.crc, chunk[:n])
		_, _ = hashes.Write(chunk[:n]) // never fails
		if !discard {
			p.body = append(p.body, chunk[:n]...)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err //nolint:wrapcheck // the error of the caller's reader
		}
	}
}

// verify compares the checksum with the computed one. It takes the value from the trailer if the headers contained none.
func (c *checksum) verify(got []byte, trailer *bufio.Reader) error {
	if c.value == "" {
		header, err := textproto.NewReader(trailer).ReadMIMEHeader()
		if c.value = header.Get(c.header()); err != nil || c.value == "" {
			return refuse("MalformedTrailerError", "the trailer is not well-formed, or %s is not in it", c.header())
		}
	}
	want, err := base64.StdEncoding.DecodeString(c.value)
	if err != nil || len(want) != len(got) {
		return refuse("InvalidRequest", "value for %s is invalid", c.header())
	}
	if !bytes.Equal(want, got) {
		return refuse("BadDigest", "the %s is not that of the payload", c.algorithm)
	}
	return nil
}
