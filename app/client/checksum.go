package client

import (
	"encoding/base64"
	"encoding/binary"
	"io"

	"github.com/minio/crc64nvme"
)

// checksumOf reads a file and gives its CRC64NVME as S3 writes it: 8 bytes, big-endian, in base64.
func checksumOf(c candidate) (string, error) {
	file, err := c.open()
	if err != nil {
		return "", err
	}
	defer file.Close()
	crc := crc64nvme.New()
	n, err := io.Copy(crc, file)
	if err == nil && c.member != nil && n != c.size {
		err = errCut
	}
	if err == nil && file.check != nil {
		err = file.check()
	}
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc.Sum64())), nil
}
