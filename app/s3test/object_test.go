package s3test_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/s3test"
)

func TestPutAndGetAreByteExact(t *testing.T) {
	for name, body := range map[string][]byte{"empty": {}, "one byte": {0}, "larger than a buffer": noise(3<<20+1, 1)} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, srv *s3test.Server) {
				client := srv.Client(t, once)
				in := putInput("study/1.2/näme +%", body)
				in.ContentType, in.Metadata = aws.String("application/dicom"), map[string]string{"Request-Id": "r1"}
				put := must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), in))

				wantKeys(t, srv, *in.Key)
				wantObject(t, srv, *in.Key, body)
				_, meta, _ := srv.Object(*in.Key)
				if diff := cmp.Diff(map[string]string{"request-id": "r1"}, meta); diff != "" {
					t.Errorf("metadata (-want +got):\n%s", diff)
				}
				got := must[*s3.GetObjectOutput](t)(client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: in.Bucket, Key: in.Key}))
				read := must[[]byte](t)(io.ReadAll(got.Body))
				if !bytes.Equal(read, body) {
					t.Errorf("got %d bytes, want the %d that were put", len(read), len(body))
				}
				if *got.ContentType != "application/dicom" || *got.ETag != *put.ETag || got.ContentEncoding != nil {
					t.Errorf("got type %q, ETag %s, encoding %q", *got.ContentType, *got.ETag, aws.ToString(got.ContentEncoding))
				}
			})
		})
	}
}

func TestChecksumsOfPutObject(t *testing.T) {
	body := noise(1000, 2)
	for _, tc := range []struct {
		name   string
		change func(*s3.PutObjectInput)
		code   string // empty: accepted
	}{
		{"right CRC64NVME", func(in *s3.PutObjectInput) { in.ChecksumCRC64NVME = crc64(body) }, ""},
		{"wrong CRC64NVME", func(in *s3.PutObjectInput) { in.ChecksumCRC64NVME = crc64(body[1:]) }, "BadDigest"},
		{"wrong CRC32", func(in *s3.PutObjectInput) { in.ChecksumCRC32 = aws.String("AAAAAA==") }, "BadDigest"},
		{"wrong CRC32C", func(in *s3.PutObjectInput) { in.ChecksumCRC32C = aws.String("AAAAAA==") }, "BadDigest"},
		{"wrong SHA1", func(in *s3.PutObjectInput) { in.ChecksumSHA1 = aws.String("AAAAAAAAAAAAAAAAAAAAAAAAAAA=") }, "BadDigest"},
		{"wrong SHA256", func(in *s3.PutObjectInput) {
			in.ChecksumSHA256 = aws.String("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
		}, "BadDigest"},
		{"checksum of the wrong length", func(in *s3.PutObjectInput) { in.ChecksumCRC64NVME = aws.String("AAAAAA==") }, "InvalidRequest"},
		{"SDK computes CRC64NVME", func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc64nvme }, ""},
		{"SDK computes CRC32", func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32 }, ""},
		{"SDK computes CRC32C", func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c }, ""},
		{"SDK computes SHA1", func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha1 }, ""},
		{"SDK computes SHA256", func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both(t, func(t *testing.T, srv *s3test.Server) {
				in := putInput("k", body)
				tc.change(in)
				_, err := srv.Client(t, once).PutObject(t.Context(), in)
				if tc.code != "" {
					wantCode(t, err, tc.code)
					wantKeys(t, srv)
				} else if err != nil {
					t.Error(err)
				} else {
					wantObject(t, srv, "k", body)
				}
			})
		})
	}
}

func TestFlippedBitIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		start func(testing.TB, string) *s3test.Server
		code  string
	}{
		"by the signed payload hash over HTTP": {s3test.Start, "XAmzContentSHA256Mismatch"},
		"by the SDK's trailer over TLS":        {s3test.StartTLS, "BadDigest"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tc.start(t, bucket)
			srv.Inject(s3test.Fault{Operation: "PutObject", Corrupt: true, Times: 1})
			client := srv.Client(t, once)
			_, err := client.PutObject(t.Context(), putInput("k", noise(100, 3)))
			wantCode(t, err, tc.code)
			wantKeys(t, srv)
			if trailer := srv.Requests()[0].Header.Get("X-Amz-Trailer"); (trailer != "") != (tc.code == "BadDigest") {
				t.Errorf("trailer %q; the SDK sends one over TLS only", trailer)
			}
			must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), putInput("k", noise(100, 3))))
			wantObject(t, srv, "k", noise(100, 3))
		})
	}
}

func TestChecksumIsReturnedWhenAskedFor(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once, func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
	body := noise(500, 4)
	put := must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), putInput("k", body)))
	if got := aws.ToString(put.ChecksumCRC64NVME); got != *crc64(body) || put.ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("put without a checksum: got %s %s, want S3's own CRC64NVME %s", got, put.ChecksumType, *crc64(body))
	}
	srv.Put("other", body)
	for _, tc := range []struct {
		name, key string
		mode      types.ChecksumMode
		want      string
	}{
		{"asked for", "k", types.ChecksumModeEnabled, *crc64(body)},
		{"not asked for", "k", "", ""},
		{"put by someone else without one", "other", types.ChecksumModeEnabled, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			head := must[*s3.HeadObjectOutput](t)(client.HeadObject(t.Context(),
				&s3.HeadObjectInput{Bucket: aws.String(bucket), Key: &tc.key, ChecksumMode: tc.mode}))
			if got := aws.ToString(head.ChecksumCRC64NVME); got != tc.want || (head.ChecksumType != "") != (tc.want != "") {
				t.Errorf("got checksum %q type %q, want %q", got, head.ChecksumType, tc.want)
			}
			if *head.ContentLength != int64(len(body)) {
				t.Errorf("got length %d, want %d", *head.ContentLength, len(body))
			}
		})
	}
}

func TestOverwritingLeavesNothingOfTheOldObject(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once)
	in := putInput("k", noise(10, 5))
	in.Metadata = map[string]string{"old": "1"}
	must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), in))
	must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), putInput("k", noise(20, 6))))
	head := must[*s3.HeadObjectOutput](t)(client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key}))
	if len(head.Metadata) != 0 || *head.ContentLength != 20 {
		t.Errorf("got metadata %v and %d bytes, want none and 20", head.Metadata, *head.ContentLength)
	}
}

func TestConditionalPut(t *testing.T) {
	for _, tc := range []struct {
		name            string
		exists          bool
		noneMatch, etag *string
		code            string
	}{
		{"If-None-Match * on a new key", false, aws.String("*"), nil, ""},
		{"If-None-Match * on an old key", true, aws.String("*"), nil, "PreconditionFailed"},
		{"If-None-Match with an ETag", true, aws.String(`"x"`), nil, "NotImplemented"},
		{"If-Match, which is not served here", true, nil, aws.String(`"x"`), "NotImplemented"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := s3test.Start(t, bucket)
			if tc.exists {
				srv.Put("k", []byte("hello"))
			}
			in := putInput("k", []byte("new"))
			in.IfNoneMatch, in.IfMatch = tc.noneMatch, tc.etag
			_, err := srv.Client(t, once).PutObject(t.Context(), in)
			switch {
			case tc.code == "" && err != nil:
				t.Error(err)
			case tc.code == "":
				wantObject(t, srv, "k", []byte("new"))
			default:
				wantCode(t, err, tc.code)
				if tc.exists {
					wantObject(t, srv, "k", []byte("hello"))
				} else {
					wantKeys(t, srv)
				}
			}
		})
	}
}

func TestOneOfTwoConditionalWritersWins(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once)
	for round := range 30 {
		key := numbered(round)
		bodies := [][]byte{noise(1000, 7), noise(1000, 8)}
		errs := make([]error, len(bodies))
		var writers sync.WaitGroup
		for i, body := range bodies {
			writers.Go(func() {
				in := putInput(key, body)
				in.IfNoneMatch = aws.String("*")
				_, errs[i] = client.PutObject(t.Context(), in)
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
		wantObject(t, srv, key, bodies[winner])
	}
}

func TestLimitsOfPutObject(t *testing.T) {
	long := string(bytes.Repeat([]byte("k"), 1025))
	for _, tc := range []struct {
		name   string
		change func(*s3.PutObjectInput)
		code   string
	}{
		{"key over 1,024 bytes", func(in *s3.PutObjectInput) { in.Key = &long }, "KeyTooLongError"},
		{"metadata over 2 KB", func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"m": long + long} }, "MetadataTooLarge"},
		{"unknown bucket", func(in *s3.PutObjectInput) { in.Bucket = aws.String("elsewhere") }, "NoSuchBucket"},
		{"two checksums", func(in *s3.PutObjectInput) {
			in.ChecksumCRC32, in.ChecksumCRC64NVME = aws.String("AAAAAA=="), crc64(nil)
		}, "InvalidRequest"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := s3test.Start(t, bucket)
			in := putInput("k", []byte("x"))
			tc.change(in)
			_, err := srv.Client(t, once).PutObject(t.Context(), in)
			wantCode(t, err, tc.code)
			wantKeys(t, srv)
		})
	}
}
