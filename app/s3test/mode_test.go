package s3test_test

import (
	"bytes"
	"net/http"
	"runtime"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/s3test"
)

func unsigned(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

func TestAServerWithoutChecksumsIgnoresThem(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		srv.NoChecksums = true
		client := srv.Client(t, once)
		in := putInput("put", noise(10, 1))
		in.ChecksumCRC64NVME = crc64([]byte("x"))
		put := must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), in))
		wantObject(t, srv, "put", noise(10, 1))
		must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), putInput("default", noise(10, 1))))
		head := must[*s3.HeadObjectOutput](t)(client.HeadObject(t.Context(),
			&s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key, ChecksumMode: types.ChecksumModeEnabled}))

		created := must[*s3.CreateMultipartUploadOutput](t)(client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
			Bucket: aws.String(bucket), Key: aws.String("multipart"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme}))
		m := &multipart{client: client, key: "multipart", id: created.UploadId}
		part := must[*s3.UploadPartOutput](t)(client.UploadPart(t.Context(), m.partInput(1, bytes.NewReader(noise(20, 1)))))
		m.parts = []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag, ChecksumCRC64NVME: crc64([]byte("x"))}}
		completed := must[*s3.CompleteMultipartUploadOutput](t)(m.complete(t, func(in *s3.CompleteMultipartUploadInput) {
			in.ChecksumCRC64NVME, in.ChecksumType, in.MpuObjectSize = crc64([]byte("x")), types.ChecksumTypeFullObject, aws.Int64(1)
		}))
		wantObject(t, srv, "multipart", noise(20, 1))

		for operation, sum := range map[string]*string{
			"PutObject": put.ChecksumCRC64NVME, "HeadObject": head.ChecksumCRC64NVME, "UploadPart": part.ChecksumCRC64NVME,
			"CompleteMultipartUpload": completed.ChecksumCRC64NVME,
		} {
			if sum != nil {
				t.Errorf("%s answers with checksum %s, want none", operation, *sum)
			}
		}
		if put.ChecksumType+head.ChecksumType+created.ChecksumType+completed.ChecksumType != "" || created.ChecksumAlgorithm != "" {
			t.Error("an answer has a checksum type or algorithm")
		}
	})
}

// AWS SigV4 reference, x-amz-content-sha256: the hash of the payload is signed, or it is UNSIGNED-PAYLOAD.
func TestWithoutChecksumsOnlyASignedPayloadIsVerified(t *testing.T) {
	for name, tc := range map[string]struct {
		start   func(testing.TB, string) *s3test.Server
		options func(*s3.Options)
		code    string // empty: the wrong bytes are stored
	}{
		"signed":                    {s3test.Start, func(*s3.Options) {}, "XAmzContentSHA256Mismatch"},
		"unsigned":                  {s3test.Start, unsigned, ""},
		"unsigned, trailer ignored": {s3test.StartTLS, func(*s3.Options) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tc.start(t, bucket)
			srv.NoChecksums = true
			srv.Inject(s3test.Fault{Corrupt: true})
			in := putInput("k", noise(100, 1))
			if name == "unsigned" { // where the SDK makes a checksum itself, it signs the payload, too
				in.ChecksumCRC64NVME = crc64(noise(100, 1))
			}
			_, err := srv.Client(t, once, tc.options).PutObject(t.Context(), in)
			if tc.code != "" {
				wantCode(t, err, tc.code)
				wantKeys(t, srv)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := noise(100, 1)
			want[50] ^= 1
			wantObject(t, srv, "k", want)
		})
	}
}

func TestDiscardedObjectsAreVerifiedAndDescribed(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		srv.Discard = true
		client := srv.Client(t, once)
		in := putInput("put", noise(3<<20, 1))
		in.Metadata, in.StorageClass = map[string]string{"request-id": "r1"}, types.StorageClassStandardIa
		must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), in))
		m := begin(t, client, "multipart", nil)
		m.add(t, noise(100, 1))
		m.add(t, noise(50, 2))
		whole := append(noise(100, 1), noise(50, 2)...)
		must[*s3.CompleteMultipartUploadOutput](t)(m.complete(t, func(in *s3.CompleteMultipartUploadInput) {
			in.ChecksumCRC64NVME, in.MpuObjectSize = crc64(whole), aws.Int64(150)
		}))
		wrong := putInput("wrong", noise(10, 1))
		wrong.ChecksumCRC64NVME = crc64(nil)
		_, err := client.PutObject(t.Context(), wrong)
		wantCode(t, err, "BadDigest")

		octets := []string{"application/octet-stream"} // what the SDK says if it is not told
		want := []s3test.ObjectInfo{
			{Key: "multipart", SizeBytes: 150, CRC64NVME: *crc64(whole), Header: http.Header{}},
			{Key: "put", SizeBytes: 3 << 20, CRC64NVME: *crc64(noise(3<<20, 1)), Header: http.Header{
				"Content-Type": octets, "X-Amz-Meta-Request-Id": {"r1"}, "X-Amz-Storage-Class": {"STANDARD_IA"},
			}},
		}
		if diff := cmp.Diff(want, srv.Objects()); diff != "" {
			t.Errorf("objects (-want +got):\n%s", diff)
		}
		_, err = client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("put")})
		wantCode(t, err, "NotImplemented")
		if body, _, ok := srv.Object("put"); !ok || len(body) > 0 || len(srv.Requests()) > 0 {
			t.Errorf("%d bytes and %d requests were kept, want none", len(body), len(srv.Requests()))
		}
		if got := srv.Counters(); got.Answers["UploadPart 200"] != 2 || got.Answers["PutObject 400"] != 1 {
			t.Errorf("got %+v, want two parts and one put refused", got)
		}
	})
}

func TestAnObjectIsInMemoryOnce(t *testing.T) {
	const partBytes, parts = 6 << 20, 4
	for name, discard := range map[string]bool{"kept": false, "discarded": true} {
		t.Run(name, func(t *testing.T) {
			srv := s3test.Start(t, bucket)
			srv.Discard = discard
			m := begin(t, srv.Client(t, once), "k", nil)
			body := noise(partBytes, 1)
			before := heapBytes()
			for range parts {
				m.add(t, body)
			}
			must[*s3.CompleteMultipartUploadOutput](t)(m.complete(t, nil))
			want := int64(parts * partBytes)
			if discard {
				want = 0
			}
			if got := heapBytes() - before; got > want+partBytes/2 {
				t.Errorf("the object takes %d bytes, want %d", got, want)
			}
			runtime.KeepAlive(body)
			runtime.KeepAlive(srv)
		})
	}
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // a sync.Pool is emptied only by the second collection
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
