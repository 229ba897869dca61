package s3test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"hash"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"

	"github.com/minio/crc64nvme"
)

// fullObject is S3's type of a checksum over the whole object; the other type is over the checksums of the parts.
const fullObject = "FULL_OBJECT"

// algorithms are the supported checksum algorithms, by their name in headers. The others of S3 are answered with 501.
var algorithms = map[string]func() hash.Hash{
	"CRC64NVME": func() hash.Hash { return crc64nvme.New() },
	"CRC32":     func() hash.Hash { return crc32.NewIEEE() },
	"CRC32C":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"SHA1":      sha1.New,
	"SHA256":    sha256.New,
}

// checksum is a checksum as headers contain it, in base64. The zero value is no checksum.
type checksum struct {
	algorithm string
	value     string
}

// crcChecksum is the checksum that S3 adds itself, CRC64NVME.
func crcChecksum(crc uint64) checksum {
	return checksum{"CRC64NVME", base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))}
}

func (c checksum) present() bool { return c.algorithm != "" }

func (c checksum) header() string { return "X-Amz-Checksum-" + c.algorithm }

// addTo adds the checksum of an object to its headers, unless it has none.
func (c checksum) addTo(header http.Header) {
	if c.present() {
		header.Set(c.header(), c.value)
		header.Set("X-Amz-Checksum-Type", fullObject)
	}
}

// element returns nil for no checksum, which leaves the element out.
func (c checksum) element() *element {
	if !c.present() {
		return nil
	}
	return &element{xml.Name{Local: "Checksum" + c.algorithm}, c.value}
}

// sentChecksum returns the checksum that the headers contain or announce. Its value is empty if it comes in the trailer.
func sentChecksum(header http.Header) (checksum, error) {
	var sent []checksum
	for name := range header {
		algorithm, found := strings.CutPrefix(name, "X-Amz-Checksum-")
		if found && !slices.Contains([]string{"Mode", "Type", "Algorithm"}, algorithm) {
			sent = append(sent, checksum{strings.ToUpper(algorithm), header.Get(name)})
		}
	}
	for _, name := range header.Values("X-Amz-Trailer") {
		if algorithm, found := strings.CutPrefix(strings.ToLower(name), "x-amz-checksum-"); found {
			sent = append(sent, checksum{strings.ToUpper(algorithm), ""})
		}
	}
	switch {
	case len(sent) == 0:
		return checksum{}, nil
	case len(sent) > 1:
		return checksum{}, refuse("InvalidRequest", "expecting a single x-amz-checksum- header")
	case algorithms[sent[0].algorithm] == nil:
		return checksum{}, notImplemented("the checksum algorithm " + sent[0].algorithm)
	}
	return sent[0], nil
}

// combine returns the CRC64NVME of two concatenated texts from the CRC of each and the length of the second in bytes: the first
// CRC is multiplied by x^(8·length), modulo the polynomial, and the second is added (like crc32_combine of zlib).
func combine(first, second uint64, length int64) uint64 {
	power := uint64(1) << 55 // x^8; bit 63 is x^0
	for ; length > 0; length >>= 1 {
		if length&1 == 1 {
			first = multiply(first, power)
		}
		power = multiply(power, power)
	}
	return first ^ second
}

// multiply multiplies polynomials modulo that of CRC64NVME.
func multiply(a, b uint64) uint64 {
	var product uint64
	for ; a != 0; a <<= 1 {
		if a>>63 == 1 {
			product ^= b
		}
		b = b>>1 ^ b&1*0x9a6c9329ac4bc9b5
	}
	return product
}
