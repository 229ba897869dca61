package s3test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Keys returns the keys of all objects in the bucket, sorted.
func (s *Server) Keys() []string {
	s.storeMu.Lock()
	defer s.storeMu.Unlock()
	keys := []string{}
	for name := range s.records {
		key, found := strings.CutPrefix(name, s.bucket+"/")
		if !found {
			continue
		}
		if _, err := s.backend.HeadObject(s.bucket, key); err == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Object returns the bytes of an object and its user metadata: x-amz-meta-* without the prefix, names in lower case.
// ok is false when there is no such object. The caller may keep and change what it gets.
func (s *Server) Object(key string) (body []byte, meta map[string]string, ok bool) {
	s.storeMu.Lock()
	defer s.storeMu.Unlock()
	object, err := s.backend.GetObject(s.bucket, key, nil)
	if err != nil {
		return nil, nil, false
	}
	body = make([]byte, object.Size)
	if _, err := io.ReadFull(object.Contents, body); err != nil {
		panic(fmt.Sprintf("s3test: read %q from memory: %v", key, err))
	}
	meta = map[string]string{}
	for name, values := range s.records[s.bucket+"/"+key].header {
		if name, found := strings.CutPrefix(strings.ToLower(name), "x-amz-meta-"); found {
			meta[name] = values[0]
		}
	}
	return body, meta, true
}

// Put stores an object as if someone else had, long ago: without a checksum or metadata. It replaces what the key held.
// It is no request: no fault hits it and Requests does not show it.
func (s *Server) Put(key string, body []byte) {
	s.storeMu.Lock()
	defer s.storeMu.Unlock()
	if err := s.store(s.bucket, key, body, record{etag: quotedMD5(body)}, http.Header{}); err != nil {
		panic(fmt.Sprintf("s3test: put %q into memory: %v", key, err))
	}
}

// Clear removes all objects. It is no request, as Put is none.
func (s *Server) Clear() {
	s.storeMu.Lock()
	defer s.storeMu.Unlock()
	for name := range s.records {
		bucket, key, _ := strings.Cut(name, "/")
		if _, err := s.backend.DeleteObject(bucket, key); err != nil {
			panic(fmt.Sprintf("s3test: delete %q from memory: %v", name, err))
		}
	}
	clear(s.records)
}

// OpenUploads returns the key of each multipart upload that is neither completed nor aborted, sorted; a key with two uploads is there twice.
func (s *Server) OpenUploads() []string {
	s.storeMu.Lock()
	defer s.storeMu.Unlock()
	keys := []string{}
	for _, u := range s.uploads {
		keys = append(keys, u.key)
	}
	slices.Sort(keys)
	return keys
}

// AgeUploads makes each multipart upload that is open now look as if it had been initiated d earlier.
func (s *Server) AgeUploads(d time.Duration) {
	s.storeMu.Lock()
	defer s.storeMu.Unlock()
	for _, u := range s.uploads {
		u.initiated = u.initiated.Add(-d)
	}
}
