package s3test

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// verifiedPayload removes aws-chunked framing and refuses a payload that does not fit a length, digest or checksum sent with it.
// With corrupt, one bit of the payload is flipped first. The checksum returned is the one the client sent, if any.
func verifiedPayload(request Request, raw []byte, corrupt bool) ([]byte, checksum, error) {
	header := request.Header
	payload, sent := raw, header.Clone()
	streaming := strings.HasPrefix(header.Get("X-Amz-Content-Sha256"), "STREAMING-")
	if streaming {
		var trailer http.Header
		var err error
		if payload, trailer, err = decodeChunked(raw); err != nil {
			return nil, checksum{}, err
		}
		if header.Get("X-Amz-Decoded-Content-Length") != strconv.Itoa(len(payload)) {
			return nil, checksum{}, refuse("IncompleteBody", "x-amz-decoded-content-length is not the number of bytes received")
		}
		for _, name := range announcedTrailers(header) {
			if trailer.Get(name) == "" {
				return nil, checksum{}, refuse("MalformedTrailerError", "the trailer %s was announced and not sent", name)
			}
			sent[http.CanonicalHeaderKey(name)] = trailer.Values(name)
		}
	} else if request.ContentLength < 0 && slices.Contains([]string{"PutObject", "UploadPart"}, request.Operation) {
		return nil, checksum{}, &s3Error{http.StatusLengthRequired, "MissingContentLength", "the Content-Length header is required"}
	}
	if corrupt && len(payload) > 0 {
		payload = bytes.Clone(payload)
		payload[len(payload)/2] ^= 1
	}
	if err := verifySHA256(header.Get("X-Amz-Content-Sha256"), payload); err != nil {
		return nil, checksum{}, err
	}
	if err := verifyMD5(header.Get("Content-Md5"), payload); err != nil {
		return nil, checksum{}, err
	}
	sum, err := sentChecksum(sent)
	// The checksum of CompleteMultipartUpload is the object's, not that of the list of parts which is the payload.
	if err != nil || !sum.present() || request.Operation == "CompleteMultipartUpload" {
		return payload, sum, err
	}
	if sum.of(payload) != sum.value {
		return nil, checksum{}, refuse("BadDigest", "the %s did not match what was received", sum.name)
	}
	return payload, sum, nil
}

func announcedTrailers(header http.Header) []string {
	var names []string
	for _, value := range header.Values("X-Amz-Trailer") {
		for name := range strings.SplitSeq(value, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// decodeChunked undoes Content-Encoding aws-chunked: chunks of "size in hex[;chunk-signature=...] CRLF bytes CRLF", an empty chunk,
// then trailers "name:value" (S3 API reference, "Signature calculations for trailing headers"). Signatures are not verified.
func decodeChunked(raw []byte) (payload []byte, trailer http.Header, err error) {
	for {
		line, rest, found := bytes.Cut(raw, []byte("\r\n"))
		digits, _, _ := strings.Cut(string(line), ";")
		size, err := strconv.ParseUint(digits, 16, 63)
		if !found || err != nil {
			return nil, nil, refuse("IncompleteBody", "no chunk size where one must be")
		}
		if size == 0 {
			trailer, err := decodeTrailer(rest)
			return payload, trailer, err
		}
		if uint64(len(rest)) < size+2 || string(rest[size:size+2]) != "\r\n" {
			return nil, nil, refuse("IncompleteBody", "a chunk is not as long as it says")
		}
		payload, raw = append(payload, rest[:size]...), rest[size+2:]
	}
}

func decodeTrailer(raw []byte) (http.Header, error) {
	trailer := http.Header{}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, refuse("MalformedTrailerError", "a trailer has no colon")
		}
		trailer.Add(name, strings.TrimSpace(value))
	}
	return trailer, nil
}
