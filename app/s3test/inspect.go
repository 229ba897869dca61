package s3test

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/minio/crc64nvme"
)

// ObjectInfo is what the server knows of an object besides its bytes.
type ObjectInfo struct {
	Key       string
	SizeBytes int64
	CRC64NVME string      // in base64, as S3 returns it; every object has one here
	Header    http.Header // stored with the object: Content-Type, X-Amz-Meta-*, X-Amz-Storage-Class, X-Amz-Server-Side-Encryption*
}

// Keys returns the keys of all objects, sorted.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, slices.Sorted(maps.Keys(s.objects))...)
}

// Objects returns all objects, sorted by key. The headers are shared: do not change them.
func (s *Server) Objects() []ObjectInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	objects := []ObjectInfo{}
	for key, o := range s.objects {
		objects = append(objects, ObjectInfo{key, o.size, crcChecksum(o.crc).value, o.header})
	}
	slices.SortFunc(objects, func(a, b ObjectInfo) int { return strings.Compare(a.Key, b.Key) })
	return objects
}

// Object returns the bytes of an object and its user metadata: x-amz-meta-* without the prefix, names in lower case.
// ok is false if there is no such object. The caller may keep and change the results.
func (s *Server) Object(key string) (body []byte, meta map[string]string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.objects[key]
	if !ok {
		return nil, nil, false
	}
	meta = map[string]string{}
	for name, values := range found.header {
		if name, isMeta := strings.CutPrefix(strings.ToLower(name), "x-amz-meta-"); isMeta {
			meta[name] = values[0]
		}
	}
	return bytes.Join(found.pieces, nil), meta, true
}

// Put stores an object like another program, without a checksum and without metadata. It replaces an object with the same key.
// It does not count as a request: no fault hits it, and Requests does not contain it.
func (s *Server) Put(key string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := payload{size: int64(len(body)), crc: crc64nvme.Checksum(body)}
	s.objects[key] = object{pieces: [][]byte{bytes.Clone(body)}, size: p.size, crc: p.crc, etag: p.etag(), modified: s.now()}
}

// Clear removes all objects. Like Put, it does not count as a request.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.objects)
}

// OpenUploads returns the key of each multipart upload that is neither completed nor aborted, sorted; the key of two uploads is contained twice.
func (s *Server) OpenUploads() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := []string{}
	for _, u := range s.uploads {
		keys = append(keys, u.key)
	}
	slices.Sort(keys)
	return keys
}

// AgeUploads sets the times of all open multipart uploads and of their parts back by d.
func (s *Server) AgeUploads(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.uploads {
		u.initiated = u.initiated.Add(-d)
		for _, p := range u.parts {
			p.modified = p.modified.Add(-d)
		}
	}
}
