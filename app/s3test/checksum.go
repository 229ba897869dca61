package s3test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"hash"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/minio/crc64nvme"
)

// Checksum types of S3: over the whole object, or over the checksums of its parts.
const (
	fullObject = "FULL_OBJECT"
	composite  = "COMPOSITE"
)

// algorithm is one of S3's checksum algorithms, with the types that a multipart upload may have with it.
type algorithm struct {
	name  string
	new   func() hash.Hash
	types []string // the first is the default
}

// S3 user guide, "Checking object integrity": which algorithm supports which checksum type.
var algorithms = []algorithm{
	{"CRC64NVME", func() hash.Hash { return crc64nvme.New() }, []string{fullObject}},
	{"CRC32", func() hash.Hash { return crc32.NewIEEE() }, []string{composite, fullObject}},
	{"CRC32C", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }, []string{composite, fullObject}},
	{"SHA1", sha1.New, []string{composite}},
	{"SHA256", sha256.New, []string{composite}},
}

// findAlgorithm ignores case, because header names carry the name in any case.
func findAlgorithm(name string) (algorithm, error) {
	for _, a := range algorithms {
		if strings.EqualFold(a.name, name) {
			return a, nil
		}
	}
	return algorithm{}, &s3Error{http.StatusNotImplemented, "NotImplemented", "this server for tests does not know the checksum algorithm " + name}
}

// of returns the base64 of the checksum of the pieces, one after the other.
func (a algorithm) of(pieces ...[]byte) string {
	h := a.new()
	for _, piece := range pieces {
		h.Write(piece)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// checksum is a checksum as it travels: base64, with "-parts" appended if it is composite. The zero value is none.
type checksum struct {
	algorithm
	value string
}

func (c checksum) present() bool { return c.name != "" }

func (c checksum) header() string { return "X-Amz-Checksum-" + c.name }

// element returns nil for no checksum, which leaves the element out.
func (c checksum) element() *element {
	if !c.present() {
		return nil
	}
	return &element{xml.Name{Local: "Checksum" + c.name}, c.value}
}

// sentChecksum finds the checksum among headers or trailers. S3 allows one only.
func sentChecksum(header http.Header) (checksum, error) {
	var sent checksum
	for name, values := range header {
		suffix, found := strings.CutPrefix(http.CanonicalHeaderKey(name), "X-Amz-Checksum-")
		if !found || suffix == "Mode" || suffix == "Type" || suffix == "Algorithm" {
			continue
		}
		a, err := findAlgorithm(suffix)
		if err != nil {
			return checksum{}, err
		}
		if sent.present() || len(values) != 1 {
			return checksum{}, refuse("InvalidRequest", "expecting a single x-amz-checksum- header")
		}
		sent = checksum{a, values[0]}
	}
	if !sent.present() {
		return sent, nil
	}
	value, _, _ := strings.Cut(sent.value, "-")
	if sum, err := base64.StdEncoding.DecodeString(value); err != nil || len(sum) != sent.new().Size() {
		return checksum{}, refuse("InvalidRequest", "value for %s is invalid", sent.header())
	}
	return sent, nil
}

// verifySHA256 checks x-amz-content-sha256 where it is a digest rather than a name for an unsigned or streamed payload.
func verifySHA256(declared string, payload []byte) error {
	if declared == "" || declared == "UNSIGNED-PAYLOAD" || strings.HasPrefix(declared, "STREAMING-") {
		return nil
	}
	want, err := hex.DecodeString(declared)
	if err != nil || len(want) != sha256.Size {
		return refuse("InvalidArgument", "x-amz-content-sha256 is neither a digest nor a known name")
	}
	if got := sha256.Sum256(payload); string(got[:]) != string(want) {
		return refuse("XAmzContentSHA256Mismatch", "the provided x-amz-content-sha256 does not match what was computed")
	}
	return nil
}

func verifyMD5(declared string, payload []byte) error {
	if declared == "" {
		return nil
	}
	want, err := base64.StdEncoding.DecodeString(declared)
	if err != nil || len(want) != md5.Size {
		return refuse("InvalidDigest", "the Content-MD5 is not valid")
	}
	if got := md5.Sum(payload); string(got[:]) != string(want) {
		return refuse("BadDigest", "the Content-MD5 did not match what was received")
	}
	return nil
}

// quotedMD5 is the ETag of an object that was put in one request, and of a part.
func quotedMD5(body []byte) string {
	sum := md5.Sum(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
