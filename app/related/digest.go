package related

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // against damage on the way, not against people
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// ErrDigest says that the bytes do not match a digest in their header.
var ErrDigest = errors.New("the bytes were damaged on their way")

// Digests are the digests that a header declares for the following bytes: Content-MD5 (RFC 1864), Content-Digest and Repr-Digest
// (RFC 9530), and Digest (RFC 3230), with MD5, SHA-1, SHA-256 and SHA-512. Other algorithms are ignored.
type Digests []digest

type digest struct {
	header    string
	algorithm string
	sum       hash.Hash
	want      []byte // nil: no bytes match
}

var hashes = map[string]func() hash.Hash{"md5": md5.New, "sha": sha1.New, "sha-1": sha1.New, "sha-256": sha256.New, "sha-512": sha512.New}

// NewDigests reads a header. It uses one digest of each algorithm. If two differ, or a value cannot be a
// digest of its algorithm, no bytes match: the sender wants the bytes to be checked, and this is not possible.
func NewDigests(header interface{ Values(name string) []string }) Digests {
	var all Digests
	add := func(name, algorithm, value string) {
		newHash, value := hashes[algorithm], bare(value)
		if newHash == nil || value == "" {
			return
		}
		sum := newHash()
		want := decode(value, sum.Size())
		if i := slices.IndexFunc(all, func(d digest) bool { return d.algorithm == algorithm }); i < 0 {
			all = append(all, digest{name, algorithm, sum, want})
		} else if !bytes.Equal(all[i].want, want) {
			all[i].want = nil
		}
	}
	for _, value := range header.Values("Content-Md5") {
		add("Content-MD5", "md5", value)
	}
	for _, name := range []string{"Content-Digest", "Repr-Digest", "Digest"} {
		for entry := range strings.SplitSeq(strings.Join(header.Values(name), ","), ",") {
			algorithm, value, _ := strings.Cut(entry, "=")
			add(name, strings.ToLower(strings.TrimSpace(algorithm)), value)
		}
	}
	return all
}

// bare removes characters that senders write around a value: colons (RFC 8941 §3.3.5) or quotes, padding, and parameters (§3.1.2).
func bare(value string) string {
	value, _, _ = strings.Cut(value, ";")
	return strings.TrimRight(strings.Trim(value, ": \t\""), "=")
}

// decode reads a digest of this many bytes, in base64 or, as some senders write it, in hexadecimal digits. nil: it is not one.
func decode(value string, size int) []byte {
	for _, decode := range []func(string) ([]byte, error){base64.RawStdEncoding.DecodeString, base64.RawURLEncoding.DecodeString, hex.DecodeString} {
		if b, err := decode(value); err == nil && len(b) == size {
			return b
		}
	}
	return nil
}

// Add adds the next bytes.
func (d Digests) Add(p []byte) {
	for _, one := range d {
		_, _ = one.sum.Write(p) // it never fails
	}
}

// Check returns ErrDigest if the added bytes do not match every digest.
func (d Digests) Check() error {
	for _, one := range d {
		if one.want == nil {
			return fmt.Errorf("%w, or their %s is wrong: its value can be that of no bytes by %s", ErrDigest, one.header, one.algorithm)
		}
		if !bytes.Equal(one.sum.Sum(nil), one.want) {
			return fmt.Errorf("%w: they are not those of %s", ErrDigest, one.header)
		}
	}
	return nil
}
