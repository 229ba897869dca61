package e2e

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A body, or a part, with a wrong digest is not reported as stored: Content-MD5 (RFC 1864),
// Digest (RFC 3230), Content-Digest and Repr-Digest (RFC 9530).
func TestDigests(t *testing.T) {
	s3 := startS3(t)
	s := startService(t, s3)
	md5Of := func(text string) string {
		sum := md5.Sum([]byte(text))
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	sha256Of := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	headers := func(text string) []string {
		return []string{"Content-MD5: " + md5Of(text), "Digest: SHA-256=" + sha256Of(text), "Digest: unixsum=1,md5=" + md5Of(text),
			"Content-Digest: sha-256=:" + sha256Of(text) + ":", "Repr-Digest: unknown=:AA==:, sha-256=:" + sha256Of(text) + ":"}
	}
	content := func(i instance) string {
		b, err := io.ReadAll(i.reader())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var stored []instance
	next := func() instance { return instance{serial: int64(len(stored)) + 1, pixelBytes: 300_000} }
	two := func() (string, instance, instance) {
		a, b := next(), next()
		b.serial++
		return whole(t, a, b), a, b
	}
	for n := range headers("") {
		// Correct digests: stored.
		i := next()
		if got := s.mustDo(t, "/studies", "application/dicom", content(i), headers(content(i))[n]); got.status != http.StatusOK {
			t.Errorf("%s: status %d %s, want 200", headers("")[n], got.status, got.outcomes())
		}
		stored = append(stored, i)
		body, a, b := two()
		if got := s.mustDo(t, "/studies", contentType, body, headers(body)[n]); got.status != http.StatusOK {
			t.Errorf("%s of two: status %d %s, want 200", headers("")[n], got.status, got.outcomes())
		}
		stored = append(stored, a, b)
		s3.wantExactly(t, stored...)

		// Digests of other bytes: nothing is reported as stored, and a body with one instance stores nothing.
		damaged := content(next())
		if got := s.mustDo(t, "/studies", "application/dicom", damaged, headers(damaged + "x")[n]); got.status != http.StatusBadRequest || !strings.Contains(got.header.Get("Warning"), "C000") {
			t.Errorf("wrong %s: status %d %s %v, want 400 and C000", headers("")[n], got.status, got.outcomes(), got.header["Warning"])
		}
		s3.wantExactly(t, stored...)
		if got := s.mustDo(t, "/studies", contentType, body, headers(body + "x")[n]); got.status != http.StatusBadRequest || strings.Contains(got.outcomes(), "stored") {
			t.Errorf("wrong %s of two: status %d %s, want 400 and nothing stored", headers("")[n], got.status, got.outcomes())
		}
	}
	// If a body is not read to its end, nobody knows whether its digest is correct.
	left := next()
	unread := "--b\r\n\r\n" + content(left) + "\r\n--b\r\nX: " + strings.Repeat("x", 20_000) + "\r\n\r\n\r\n--b--\r\n"
	for n := range headers("") {
		got := s.mustDo(t, "/studies", "multipart/related; boundary=b; type=\"application/dicom\"", unread, headers(unread + "x")[n])
		if got.status != http.StatusBadRequest || strings.Contains(got.outcomes(), "stored") {
			t.Errorf("wrong %s, not read to the end: status %d %s, want 400 and nothing stored", headers("")[n], got.status, got.outcomes())
		}
	}
	stored = append(stored, left) // this instance was complete, and remains until its sender repeats the request
	// The digest of a part: a wrong one harms only this instance.
	a, b := next(), next()
	b.serial++
	for _, right := range []bool{false, true} {
		digest := md5Of(content(a))
		if !right {
			digest = md5Of("x")
		}
		body := "--b\r\nContent-Type: application/dicom\r\nContent-MD5: " + digest + "\r\n\r\n" + content(a) + "\r\n--b\r\n\r\n" + content(b) + "\r\n--b--\r\n"
		want := map[bool]int{false: http.StatusAccepted, true: http.StatusOK}[right]
		if got := s.mustDo(t, "/studies", "multipart/related; boundary=b; type=\"application/dicom\"", body); got.status != want {
			t.Errorf("of a part, right %v: status %d %s, want %d", right, got.status, got.outcomes(), want)
		}
		if !right {
			s3.wantExactly(t, append(stored, b)...)
		}
	}
	s3.wantExactly(t, append(stored, a, b)...)
}
