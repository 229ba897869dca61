package s3store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
)

// These tests are about S3-compatible servers that do not know CRC64NVME, over plain HTTP. What such a server stores,
// it has verified by the SHA-256 of the signature, from the first request on.
func newOlderStore(t *testing.T, operation string, reject bool) (*s3test.Server, *testStore, []byte) {
	t.Helper()
	server := s3test.Start(t, "dicom")
	server.NoChecksums = true
	config := small()
	config.RejectDuplicates = reject
	return server, newStore(t, server, config), pseudoRandom(sizeFor(operation))
}

func TestServerWithoutCRC64NVME(t *testing.T) {
	for _, operation := range []string{"PutObject", "UploadPart"} {
		for _, reject := range []bool{false, true} {
			for _, damaged := range []int{1, 2} { // the very first request, or a later one
				t.Run(fmt.Sprint(operation, " reject ", reject, damaged), func(t *testing.T) {
					t.Parallel()
					server, store, data := newOlderStore(t, operation, reject)
					server.Inject(s3test.Fault{Operation: operation, Times: damaged, Corrupt: true})
					for n := range 2 {
						key := fmt.Sprint("1/2/", n)
						if err := put(t.Context(), store, key, reader(data), 1); err != nil {
							t.Error(err)
						}
						if got, _, _ := server.Object(key); !bytes.Equal(got, data) {
							t.Error("other bytes are stored")
						}
					}
					server.Inject(s3test.Fault{Operation: operation, Corrupt: true})
					if err := put(t.Context(), store, "1/2/4", reader(data), 1); err == nil {
						t.Error("damaged bytes are reported as stored")
					}
					if keys := server.Keys(); len(keys) != 2 {
						t.Errorf("objects: %v", keys)
					}
					wantClean(t, server, store)
				})
			}
		}
	}
}

// If an answer was lost, the object under the key is recognised by its ETag.
func TestLostAnswersOfAServerWithoutCRC64NVME(t *testing.T) {
	for operation, lost := range map[string]string{"PutObject": "PutObject", "UploadPart": "CompleteMultipartUpload"} {
		for _, reject := range []bool{false, true} {
			server, store, data := newOlderStore(t, operation, reject)
			server.Inject(s3test.Fault{Operation: lost, Times: 1, CutAfter: true})
			if err := put(t.Context(), store, "1/2/5", reader(data), 1); err != nil {
				t.Errorf("%s, reject %v: %v", lost, reject, err)
			}
			wantClean(t, server, store)
		}
	}
}

// Other bytes of the same length are different, whoever has written them: the same request, another request with the same
// X-Request-Id, or another program.
func TestRejectDuplicatesWithoutCRC64NVME(t *testing.T) {
	for _, operation := range []string{"PutObject", "UploadPart"} {
		server, store, data := newOlderStore(t, operation, true)
		other := bytes.Clone(data)
		other[len(other)/2] ^= 1
		for _, tc := range []struct {
			name    string
			present []byte
			own     bool
			want    error
		}{{"its own", data, true, nil}, {"other bytes of its own", other, true, s3store.ErrDuplicate}, {"a stranger's", data, false, s3store.ErrDuplicate}} {
			server.Clear()
			if tc.own {
				if err := put(t.Context(), store, "1/2/3", reader(tc.present), 1); err != nil {
					t.Fatal(err)
				}
			} else {
				server.Put("1/2/3", tc.present) // with an ETag that is not an MD5
			}
			if err := put(t.Context(), store, "1/2/3", reader(data), 1); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Errorf("%s, %s: %v, want %v", operation, tc.name, err, tc.want)
			}
			if got, _, _ := server.Object("1/2/3"); !bytes.Equal(got, tc.present) {
				t.Errorf("%s, %s: the object was replaced", operation, tc.name)
			}
		}
		wantClean(t, server, store)
	}
}

// If the upload of a request has disappeared, and another object of the same length is under the key, the request has not stored it.
func TestNoSuchUploadWithoutCRC64NVME(t *testing.T) {
	server, store, data := newOlderStore(t, "UploadPart", false)
	other := bytes.Clone(data)
	other[0] ^= 1
	if err := put(t.Context(), store, "1/2/3", reader(other), 1); err != nil {
		t.Fatal(err)
	}
	server.Inject(s3test.Fault{Operation: "CompleteMultipartUpload", Status: http.StatusNotFound, Code: "NoSuchUpload"})
	if err := put(t.Context(), store, "1/2/3", reader(data), 1); err == nil {
		t.Error("an instance is reported as stored whose key holds another")
	}
}

// maintenance is an HTTP client behind a proxy that answers everything with a page, as nginx does by error_page 502 =200 /page.html: a
// success with an ETag (RFC 9110 §8.8.3), which is that of the page.
type maintenance struct {
	s3.HTTPClient
	pages *atomic.Int64 // how many more
}

func (m maintenance) Do(r *http.Request) (*http.Response, error) {
	const page = "<html>We are back soon</html>"
	if m.pages.Add(-1) < 0 {
		return m.HTTPClient.Do(r)
	}
	body := page
	if r.Method == http.MethodHead {
		body = ""
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Etag": {`"65f0c1a2-1d"`}, "Content-Length": {fmt.Sprint(len(page))}}, ContentLength: int64(len(page)),
		Request: r, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// Promise 1: the ETag of any page is no proof that an instance is stored. If it is not the MD5 of the bytes, as with encryption (API_Object), the object is looked at.
func TestPagesWithAnETag(t *testing.T) {
	for _, pages := range []int64{1, 2, 3, 1 << 40} {
		t.Run(fmt.Sprint(pages), func(t *testing.T) {
			server := s3test.Start(t, "dicom")
			server.NoChecksums = true
			var left atomic.Int64
			config := small()
			config.RetryTime = time.Second
			store := newStoreThrough(t, server, config, func(client s3.HTTPClient) s3.HTTPClient { return maintenance{client, &left} })
			data := pseudoRandom(sizeFor("PutObject"))
			for _, key := range []string{"1/2/3", "1/2/4"} { // the very first request, and a later one
				left.Store(pages)
				err := put(t.Context(), store, key, reader(data), 1)
				got, _, _ := server.Object(key)
				switch {
				case err == nil && !bytes.Equal(got, data):
					t.Errorf("%s is reported as stored, and is nowhere", key)
				case err != nil && pages < 10:
					t.Errorf("%s: %v", key, err)
				case err == nil && pages > 10:
					t.Errorf("%s is stored without S3", key)
				}
			}
		})
	}
}

// encrypted is an HTTP client of a server whose ETags are not MD5s.
type encrypted struct{ s3.HTTPClient }

func (e encrypted) Do(r *http.Request) (*http.Response, error) {
	answer, err := e.HTTPClient.Do(r)
	if err == nil && answer.Header.Get("Etag") != "" {
		answer.Header.Set("Etag", `"`+strings.Repeat("0", 31)+answer.Header.Get("Etag")[1:3]+`"`)
	}
	return answer, err
}

// Such servers exist, and store.
func TestServerWithoutChecksumsAndMD5(t *testing.T) {
	server := s3test.Start(t, "dicom")
	server.NoChecksums = true
	store := newStoreThrough(t, server, small(), func(client s3.HTTPClient) s3.HTTPClient { return encrypted{client} })
	data := pseudoRandom(sizeFor("PutObject"))
	if err := put(t.Context(), store, "1/2/3", reader(data), 1); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := server.Object("1/2/3"); !bytes.Equal(got, data) {
		t.Error("other bytes are stored")
	}
}

// weak is an HTTP client behind a proxy that makes weak ETags of those of objects, and capitals.
type weak struct{ s3.HTTPClient }

func (w weak) Do(r *http.Request) (*http.Response, error) {
	answer, err := w.HTTPClient.Do(r)
	if err == nil && answer.Header.Get("Etag") != "" {
		answer.Header.Set("Etag", "W/"+strings.ToUpper(answer.Header.Get("Etag")))
	}
	return answer, err
}

// RFC 9110 §8.8.3.2: a weak ETag is compared by what is between its quotes. The same bytes, sent again, are no conflict.
func TestWeakETags(t *testing.T) {
	server := s3test.Start(t, "dicom")
	server.NoChecksums = true
	config := small()
	config.RejectDuplicates = true
	store := newStoreThrough(t, server, config, func(client s3.HTTPClient) s3.HTTPClient { return weak{client} })
	data := pseudoRandom(sizeFor("PutObject"))
	for range 2 {
		if err := put(t.Context(), store, "1/2/3", reader(data), 1); err != nil {
			t.Error(err)
		}
	}
	data[0]++
	if err := put(t.Context(), store, "1/2/3", reader(data), 1); !errors.Is(err, s3store.ErrDuplicate) {
		t.Errorf("other bytes: got error %v", err)
	}
}
