package s3test_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/minio/crc64nvme"

	"stowrs-to-s3/app/s3test"
)

const bucket = "dicom"

// once makes a client that does not retry, so that a test sees each answer.
func once(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// noise returns n bytes that are the same in every run.
func noise(n int, seed byte) []byte {
	body := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(body) // never fails
	return body
}

func crc64(body []byte) *string {
	return aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(body))))
}

func putInput(key string, body []byte) *s3.PutObjectInput {
	return &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(body)}
}

// wantCode fails the test unless err is S3's refusal with this code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var refused smithy.APIError
	if !errors.As(err, &refused) {
		t.Fatalf("got error %v, want S3's %s", err, code)
	}
	if got := refused.ErrorCode(); got != code {
		t.Errorf("got code %s (%v), want %s", got, err, code)
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantKeys(t *testing.T, srv *s3test.Server, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), srv.Keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func wantObject(t *testing.T, srv *s3test.Server, key string, want []byte) {
	t.Helper()
	got, _, ok := srv.Object(key)
	if !ok || !bytes.Equal(got, want) {
		t.Errorf("object %q: found %t, %d bytes; want the %d bytes that were sent", key, ok, len(got), len(want))
	}
}

func operations(srv *s3test.Server) []string {
	var names []string
	for _, r := range srv.Requests() {
		names = append(names, r.Operation)
	}
	return names
}

// multipart is an upload in progress as a client sees it.
type multipart struct {
	client *s3.Client
	key    string
	id     *string
	parts  []types.CompletedPart
}

// begin creates an upload with a CRC64NVME over the full object, unless change says otherwise.
func begin(t *testing.T, client *s3.Client, key string, change func(*s3.CreateMultipartUploadInput)) *multipart {
	t.Helper()
	in := &s3.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key,
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject,
	}
	if change != nil {
		change(in)
	}
	out := must[*s3.CreateMultipartUploadOutput](t)(client.CreateMultipartUpload(t.Context(), in))
	return &multipart{client: client, key: key, id: out.UploadId}
}

func (m *multipart) partInput(number int32, body io.Reader) *s3.UploadPartInput {
	return &s3.UploadPartInput{
		Bucket: aws.String(bucket), Key: &m.key, UploadId: m.id, PartNumber: &number, Body: body,
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
	}
}

// add uploads the next part with the algorithm of the upload.
func (m *multipart) add(t *testing.T, body []byte) {
	t.Helper()
	number := int32(len(m.parts) + 1)
	out := must[*s3.UploadPartOutput](t)(m.client.UploadPart(t.Context(), m.partInput(number, bytes.NewReader(body))))
	if got, want := aws.ToString(out.ChecksumCRC64NVME), *crc64(body); got != want {
		t.Errorf("part %d: checksum %s, want %s", number, got, want)
	}
	m.parts = append(m.parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC64NVME: out.ChecksumCRC64NVME})
}

// addCRC32 uploads the next part with the SDK's default, a CRC32.
func (m *multipart) addCRC32(t *testing.T, body []byte) {
	t.Helper()
	in := m.partInput(int32(len(m.parts)+1), bytes.NewReader(body))
	in.ChecksumAlgorithm = ""
	out := must[*s3.UploadPartOutput](t)(m.client.UploadPart(t.Context(), in))
	m.parts = append(m.parts, types.CompletedPart{PartNumber: in.PartNumber, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
}

func (m *multipart) complete(t *testing.T, change func(*s3.CompleteMultipartUploadInput)) (*s3.CompleteMultipartUploadOutput, error) {
	t.Helper()
	in := &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &m.key, UploadId: m.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: m.parts},
	}
	if change != nil {
		change(in)
	}
	return m.client.CompleteMultipartUpload(t.Context(), in)
}

// both runs a test over plain HTTP and over TLS, where the SDK sends checksums in headers and in trailers.
func both(t *testing.T, test func(t *testing.T, srv *s3test.Server)) {
	for name, start := range map[string]func(testing.TB, string) *s3test.Server{"http": s3test.Start, "https": s3test.StartTLS} {
		t.Run(name, func(t *testing.T) { test(t, start(t, bucket)) })
	}
}

// numbered names keys of many objects.
func numbered(i int) string { return fmt.Sprintf("object-%02d", i) }
