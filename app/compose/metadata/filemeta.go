package metadata

import (
	"encoding/binary"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// implementationClassUID and implementationVersionName say in File Meta who wrote
// an instance (PS3.7 §D.3.3.2). The UID is derived from a UUID (PS3.5 §B.2); the
// name has 16 bytes at most.
const (
	implementationClassUID    = "2.25.215779401977613425225944430812809397031"
	implementationVersionName = "STOWRS_TO_S3"
)

// preambleSize is the number of zero bytes before the prefix DICM (PS3.10 §7.1).
const preambleSize = 128

// FileMeta encodes what stands before the dataset of a file: preamble, prefix and
// File Meta Information (PS3.10 §7.1), which is Explicit VR Little Endian for
// every transfer syntax.
func FileMeta(sopClassUID, sopInstanceUID, transferSyntaxUID string) []byte {
	group := &Dataset{}
	group.Set(tag.FileMetaInformationVersion, "OB", []byte{0, 1})
	group.Set(tag.MediaStorageSOPClassUID, "UI", []byte(sopClassUID))
	group.Set(tag.MediaStorageSOPInstanceUID, "UI", []byte(sopInstanceUID))
	group.Set(tag.TransferSyntaxUID, "UI", []byte(transferSyntaxUID))
	group.Set(tag.ImplementationClassUID, "UI", []byte(implementationClassUID))
	group.Set(tag.ImplementationVersionName, "SH", []byte(implementationVersionName))

	b := append(make([]byte, preambleSize, preambleSize+len(group.Encoded)+16), "DICM"...)
	b = appendHeader(b, tag.FileMetaInformationGroupLength, "UL", 4)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(group.Encoded))) //nolint:gosec // six short elements
	return append(b, group.Encoded...)
}
