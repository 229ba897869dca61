package s3test_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/s3test"
)

func TestEnvironConfiguresTheSDK(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		for _, variable := range srv.Environ() {
			name, value, _ := strings.Cut(variable, "=")
			t.Setenv(name, value)
		}
		cfg := must[aws.Config](t)(config.LoadDefaultConfig(t.Context()))
		client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
		must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), putInput("k", noise(10, 1))))
		wantObject(t, srv, "k", noise(10, 1))
	})
}

func TestRequestsAreLoggedInOrder(t *testing.T) {
	both(t, func(t *testing.T, srv *s3test.Server) {
		client := srv.Client(t, once)
		m := begin(t, client, "study/k", nil)
		m.add(t, noise(100, 1))
		must[*s3.ListMultipartUploadsOutput](t)(client.ListMultipartUploads(t.Context(),
			&s3.ListMultipartUploadsInput{Bucket: aws.String(bucket), Prefix: aws.String("study/")}))
		must[*s3.AbortMultipartUploadOutput](t)(client.AbortMultipartUpload(t.Context(),
			&s3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: &m.key, UploadId: m.id}))
		must[*s3.PutObjectOutput](t)(client.PutObject(t.Context(), putInput("k", noise(50, 1))))
		must[*s3.HeadBucketOutput](t)(client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)}))
		must[*s3.HeadObjectOutput](t)(client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")}))

		type row struct {
			Operation, Key, Prefix string
			PartNumber             int
			ContentLength          int64
		}
		var got []row
		for _, r := range srv.Requests() {
			got = append(got, row{r.Operation, r.Key, r.Query.Get("prefix"), r.PartNumber, r.ContentLength})
			if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
				t.Errorf("%s: the header of the request is missing from the log", r.Operation)
			}
		}
		want := []row{
			{"CreateMultipartUpload", "study/k", "", 0, 0},
			{"UploadPart", "study/k", "", 1, 100},
			{"ListMultipartUploads", "", "study/", 0, 0},
			{"AbortMultipartUpload", "study/k", "", 0, 0},
			{"PutObject", "k", "", 0, 50},
			{"HeadBucket", "", "", 0, 0},
			{"HeadObject", "k", "", 0, 0},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

func TestUnknownOperationIsNotTakenForAnother(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once)
	_, err := client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), CopySource: aws.String(bucket + "/o")})
	wantCode(t, err, "NotImplemented")
	_, err = client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	wantCode(t, err, "NotImplemented")
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	wantCode(t, err, "NotImplemented")
	_, err = client.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: aws.String(bucket)})
	wantCode(t, err, "NotImplemented")
	if diff := cmp.Diff([]string{"Other", "Other", "Other", "Other"}, operations(srv)); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

// S3 API reference, "Signature calculations for trailing headers": what other SDKs send and the Go SDK does not.
func TestFramedBodies(t *testing.T) {
	const streaming, unsigned = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	// The CRC32 of "hello world" is 0d4a1185.
	for _, tc := range []struct {
		name, sha256, trailer, body string
		want                        int
		code                        string
	}{
		{
			"signed chunks and trailer", streaming, "x-amz-checksum-crc32",
			"6;chunk-signature=aa\r\nhello \r\n5;chunk-signature=bb\r\nworld\r\n0;chunk-signature=cc\r\n" +
				"x-amz-checksum-crc32:DUoRhQ==\r\nx-amz-trailer-signature:dd\r\n\r\n", http.StatusOK, "",
		},
		{"signed chunks without trailer", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "", "b;chunk-signature=aa\r\nhello world\r\n0;chunk-signature=bb\r\n\r\n", http.StatusOK, ""},
		{"wrong trailer", unsigned, "x-amz-checksum-crc32", "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", http.StatusBadRequest, "BadDigest"},
		{"announced trailer missing", unsigned, "x-amz-checksum-crc32", "b\r\nhello world\r\n0\r\n\r\n", http.StatusBadRequest, "MalformedTrailerError"},
		{"trailer without a colon", unsigned, "x-amz-checksum-crc32", "b\r\nhello world\r\n0\r\nrubbish\r\n\r\n", http.StatusBadRequest, "MalformedTrailerError"},
		{"fewer bytes than declared", unsigned, "", "5\r\nhello\r\n0\r\n\r\n", http.StatusBadRequest, "IncompleteBody"},
		{"chunk longer than the body", unsigned, "", "ff\r\nhello world\r\n0\r\n\r\n", http.StatusBadRequest, "IncompleteBody"},
		{"chunk of a size no memory has", unsigned, "", "7fffffffffffffff\r\nhello world\r\n0\r\n\r\n", http.StatusBadRequest, "IncompleteBody"},
		{"no frames at all", unsigned, "", "hello world", http.StatusBadRequest, "IncompleteBody"},
		{"plain body with a wrong digest", strings.Repeat("00", 32), "", "hello world", http.StatusBadRequest, "XAmzContentSHA256Mismatch"},
		{"digest that is none", "rubbish", "", "hello world", http.StatusBadRequest, "XAmzContentSHA256Mismatch"},
		{"plain body without a digest", "UNSIGNED-PAYLOAD", "", "hello world", http.StatusOK, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := s3test.Start(t, bucket)
			request := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL()+"/"+bucket+"/k", bytes.NewReader([]byte(tc.body))))
			request.Header.Set("Content-Encoding", "aws-chunked")
			request.Header.Set("X-Amz-Content-Sha256", tc.sha256)
			request.Header.Set("X-Amz-Decoded-Content-Length", "11")
			if tc.trailer != "" {
				request.Header.Set("X-Amz-Trailer", tc.trailer)
			}
			response := must[*http.Response](t)(http.DefaultClient.Do(request))
			defer response.Body.Close()
			answer := string(must[[]byte](t)(io.ReadAll(response.Body)))
			if response.StatusCode != tc.want || !strings.Contains(answer, tc.code) {
				t.Errorf("got %d %s, want %d %s", response.StatusCode, answer, tc.want, tc.code)
			}
			if tc.code != "" {
				wantKeys(t, srv)
			} else {
				wantObject(t, srv, "k", []byte("hello world"))
			}
		})
	}
}

func TestLengthIsRequired(t *testing.T) {
	srv := s3test.Start(t, bucket)
	body := io.MultiReader(strings.NewReader("x")) // hides its length
	request := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL()+"/"+bucket+"/k", body))
	response := must[*http.Response](t)(http.DefaultClient.Do(request))
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	if response.StatusCode != http.StatusLengthRequired {
		t.Errorf("got %d, want 411", response.StatusCode)
	}
	wantKeys(t, srv)
}

func TestNoGoroutineOutlivesClose(t *testing.T) {
	srv := s3test.New(bucket)
	if err := srv.Listen("127.0.0.1:0", ""); err != nil {
		t.Fatal(err)
	}
	var arrived, served sync.WaitGroup
	for i, fault := range []s3test.Fault{{Hold: make(chan struct{})}, {Delay: time.Hour}, {Stall: time.Hour}} {
		fault.Key = func(key string) bool { return key == numbered(i) }
		if fault.Stall == 0 { // a stalled body is not read to its end
			arrived.Add(1)
			fault.OnHit = func(s3test.Request) { arrived.Done() }
		}
		srv.Inject(fault)
		served.Go(func() {
			_, err := srv.Client(t, once).PutObject(t.Context(), putInput(numbered(i), noise(1<<20, 1)))
			wantBroken(t, err)
		})
	}
	arrived.Wait()
	for srv.Counters().InFlight[""] < 3 {
		runtime.Gosched()
	}
	srv.Close()
	served.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // the goroutines of net/http end a moment after Close
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !strings.Contains(string(stacks), "s3test.(*Server)") && !strings.Contains(string(stacks), "s3test.listener") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("goroutines of the server are left:\n%s", stacks)
		}
	}
	srv.Close() // a second Close does no harm
	wantKeys(t, srv, numbered(1))
}
