package s3test_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"stowrs-to-s3/app/s3test"
)

func TestMultipartUploadWithFullObjectChecksum(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		client := srv.Client(t, once)
		pieces := [][]byte{noise(6<<20, 1), noise(5<<20, 2), noise(7, 3)}
		whole := bytes.Join(pieces, nil)
		srv.MinPartSize = 5 << 20
		m := begin(t, client, "k", func(in *s3.CreateMultipartUploadInput) {
			in.Metadata, in.ContentType = map[string]string{"request-id": "r1"}, aws.String("application/dicom")
		})
		for _, piece := range pieces {
			m.add(t, piece)
		}
		wantKeys(t, srv)
		out := must[*s3.CompleteMultipartUploadOutput](t)(m.complete(t, func(in *s3.CompleteMultipartUploadInput) {
			in.ChecksumCRC64NVME, in.ChecksumType = crc64(whole), types.ChecksumTypeFullObject
			in.MpuObjectSize = aws.Int64(int64(len(whole)))
		}))
		if *out.ChecksumCRC64NVME != *crc64(whole) || out.ChecksumType != types.ChecksumTypeFullObject {
			t.Errorf("got checksum %s %s, want %s FULL_OBJECT", *out.ChecksumCRC64NVME, out.ChecksumType, *crc64(whole))
		}
		wantObject(t, srv, "k", whole)
		if got := srv.OpenUploads(); len(got) != 0 {
			t.Errorf("open uploads %v, want none", got)
		}
		head := must[*s3.HeadObjectOutput](t)(client.HeadObject(t.Context(),
			&s3.HeadObjectInput{Bucket: aws.String(bucket), Key: &m.key, ChecksumMode: types.ChecksumModeEnabled}))
		if *head.ETag != *out.ETag || *head.ChecksumCRC64NVME != *crc64(whole) || head.Metadata["request-id"] != "r1" {
			t.Errorf("head: ETag %s, checksum %s, metadata %v", *head.ETag, *head.ChecksumCRC64NVME, head.Metadata)
		}
		_, err := m.complete(t, nil)
		wantCode(t, err, "NoSuchUpload")
	})
}

// The SDK sends a CRC32 with each part even if the upload was created without an algorithm.
func TestMultipartUploadWithoutAlgorithmGetsCRC64NVME(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		client := srv.Client(t, once)
		m := begin(t, client, "k", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm, in.ChecksumType = "", "" })
		m.addCRC32(t, noise(100, 1))
		m.addCRC32(t, noise(50, 2))
		whole := append(noise(100, 1), noise(50, 2)...)
		out := must[*s3.CompleteMultipartUploadOutput](t)(m.complete(t, nil))
		if got := aws.ToString(out.ChecksumCRC64NVME); got != *crc64(whole) || out.ChecksumType != types.ChecksumTypeFullObject {
			t.Errorf("got checksum %q %s, want %s FULL_OBJECT", got, out.ChecksumType, *crc64(whole))
		}
		wantObject(t, srv, "k", whole)
	})
}

func TestCompleteIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*s3.CompleteMultipartUploadInput)
		code   string
	}{
		{"wrong full-object checksum", func(in *s3.CompleteMultipartUploadInput) { in.ChecksumCRC64NVME = crc64([]byte("x")) }, "BadDigest"},
		{"other algorithm", func(in *s3.CompleteMultipartUploadInput) { in.ChecksumCRC32 = aws.String("AAAAAA==") }, "InvalidRequest"},
		{"other checksum type", func(in *s3.CompleteMultipartUploadInput) { in.ChecksumType = types.ChecksumTypeComposite }, "BadDigest"},
		{"wrong object size", func(in *s3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(1) }, "InvalidRequest"},
		{"no parts", func(in *s3.CompleteMultipartUploadInput) { in.MultipartUpload.Parts = nil }, "MalformedXML"},
		{"parts in descending order", func(in *s3.CompleteMultipartUploadInput) { slices.Reverse(in.MultipartUpload.Parts) }, "InvalidPartOrder"},
		{"a part twice", func(in *s3.CompleteMultipartUploadInput) {
			in.MultipartUpload.Parts[1] = in.MultipartUpload.Parts[0]
		}, "InvalidPartOrder"},
		{"a part never uploaded", func(in *s3.CompleteMultipartUploadInput) {
			in.MultipartUpload.Parts[1].PartNumber = aws.Int32(7)
		}, "InvalidPart"},
		{"wrong ETag", func(in *s3.CompleteMultipartUploadInput) {
			in.MultipartUpload.Parts[0].ETag = in.MultipartUpload.Parts[1].ETag
		}, "InvalidPart"},
		{"wrong part checksum", func(in *s3.CompleteMultipartUploadInput) {
			in.MultipartUpload.Parts[0].ChecksumCRC64NVME = crc64([]byte("x"))
		}, "InvalidPart"},
		{"part smaller than S3 allows", func(*s3.CompleteMultipartUploadInput) {}, "EntityTooSmall"},
		{"key exists and must not", func(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") }, "PreconditionFailed"},
		{"other key", func(in *s3.CompleteMultipartUploadInput) { in.Key = aws.String("other") }, "NoSuchUpload"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := s3test.Start(t, bucket)
			if tc.code == "EntityTooSmall" {
				srv.MinPartSize = 5 << 20
			}
			if tc.code == "PreconditionFailed" {
				srv.Put("k", []byte("old"))
			}
			client := srv.Client(t, once)
			m := begin(t, client, "k", nil)
			m.add(t, noise(100, 1))
			m.add(t, noise(50, 2))
			_, err := m.complete(t, tc.change)
			wantCode(t, err, tc.code)
			if body, _, ok := srv.Object("k"); ok && string(body) != "old" {
				t.Errorf("the object was stored")
			}
			// The upload stays open: a client has to abort it.
			if got := srv.OpenUploads(); !slices.Equal(got, []string{"k"}) {
				t.Errorf("open uploads %v, want [k]", got)
			}
		})
	}
}

func TestPartIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*s3.UploadPartInput)
		code   string
	}{
		{"wrong checksum", func(in *s3.UploadPartInput) { in.ChecksumCRC64NVME = crc64([]byte("x")) }, "BadDigest"},
		{"other algorithm", func(in *s3.UploadPartInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32 }, "InvalidRequest"},
		{"number 0", func(in *s3.UploadPartInput) { in.PartNumber = aws.Int32(0) }, "InvalidArgument"},
		{"number 10,001", func(in *s3.UploadPartInput) { in.PartNumber = aws.Int32(10001) }, "InvalidArgument"},
		{"unknown upload", func(in *s3.UploadPartInput) { in.UploadId = aws.String("no") }, "NoSuchUpload"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both(t, func(t *testing.T, srv *s3test.Server) {
				client := srv.Client(t, once, func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
				m := begin(t, client, "k", nil)
				in := m.partInput(1, bytes.NewReader(noise(10, 1)))
				tc.change(in)
				_, err := client.UploadPart(t.Context(), in)
				wantCode(t, err, tc.code)
				parts := must[*s3.ListPartsOutput](t)(client.ListParts(t.Context(),
					&s3.ListPartsInput{Bucket: aws.String(bucket), Key: &m.key, UploadId: m.id}))
				if len(parts.Parts) != 0 {
					t.Errorf("%d parts were kept, want none", len(parts.Parts))
				}
			})
		})
	}
}

func TestCreateIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*s3.CreateMultipartUploadInput)
		code   string
	}{
		{"CRC64NVME has no composite", func(in *s3.CreateMultipartUploadInput) { in.ChecksumType = types.ChecksumTypeComposite }, "InvalidRequest"},
		{"not served here", func(in *s3.CreateMultipartUploadInput) {
			in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmSha256, ""
		}, "NotImplemented"},
		{"type without algorithm", func(in *s3.CreateMultipartUploadInput) {
			in.ChecksumAlgorithm, in.ChecksumType = "", types.ChecksumTypeFullObject
		}, "InvalidRequest"},
		{"unknown bucket", func(in *s3.CreateMultipartUploadInput) { in.Bucket = aws.String("elsewhere") }, "NoSuchBucket"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := s3test.Start(t, bucket)
			client := srv.Client(t, once, func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
			in := &s3.CreateMultipartUploadInput{
				Bucket: aws.String(bucket), Key: aws.String("k"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
			}
			tc.change(in)
			_, err := client.CreateMultipartUpload(t.Context(), in)
			wantCode(t, err, tc.code)
			if got := srv.OpenUploads(); len(got) != 0 {
				t.Errorf("open uploads %v, want none", got)
			}
		})
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once)
	m := begin(t, client, "k", nil)
	m.add(t, noise(100, 1))
	abort := &s3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: &m.key, UploadId: m.id}
	must[*s3.AbortMultipartUploadOutput](t)(client.AbortMultipartUpload(t.Context(), abort))
	if got := srv.OpenUploads(); len(got) != 0 {
		t.Errorf("open uploads %v, want none", got)
	}
	wantKeys(t, srv)
	_, err := client.AbortMultipartUpload(t.Context(), abort)
	wantCode(t, err, "NoSuchUpload")
	_, err = m.complete(t, nil)
	wantCode(t, err, "NoSuchUpload")
}

func TestPartUploadedAgainReplacesTheFirst(t *testing.T) {
	srv := s3test.Start(t, bucket)
	m := begin(t, srv.Client(t, once), "k", nil)
	m.add(t, noise(100, 1))
	m.parts = nil
	m.add(t, noise(80, 2))
	must[*s3.CompleteMultipartUploadOutput](t)(m.complete(t, nil))
	wantObject(t, srv, "k", noise(80, 2))
}

func TestOneOfTwoConditionalCompletesWins(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once)
	for round := range 10 {
		uploads := make([]*multipart, 2)
		for i := range uploads {
			uploads[i] = begin(t, client, numbered(round), nil)
			uploads[i].add(t, noise(100, byte(i)))
		}
		errs := make([]error, len(uploads))
		var writers sync.WaitGroup
		for i, m := range uploads {
			writers.Go(func() {
				_, errs[i] = m.complete(t, func(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") })
			})
		}
		writers.Wait()
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("round %d: no writer won: %v", round, errs)
		}
		var refused smithy.APIError
		if !errors.As(errs[1-winner], &refused) || refused.ErrorCode() != "PreconditionFailed" {
			t.Fatalf("round %d: the other writer got %v, want PreconditionFailed", round, errs[1-winner])
		}
		wantObject(t, srv, numbered(round), noise(100, byte(winner)))
	}
}
