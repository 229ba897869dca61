package related

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // against damage on the way, not against people
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// ErrDigest says that bytes are others than a digest in their header tells.
var ErrDigest = errors.New("the bytes were damaged on their way")

// Digests are those that a header declares of the bytes behind it: Content-MD5 (RFC 1864), Content-Digest and Repr-Digest
// (RFC 9530), and Digest (RFC 3230), by MD5, SHA-1, SHA-256 and SHA-512. Others are not looked at.
type Digests []digest

type digest struct {
	header    string
	algorithm string
	sum       hash.Hash
	want      []byte
}

var hashes = map[string]func() hash.Hash{"md5": md5.New, "sha": sha1.New, "sha-256": sha256.New, "sha-512": sha512.New}

// NewDigests reads a header. One digest of each algorithm is looked at: two that differ are those of no bytes, and
// a value that is no digest of its algorithm says nothing.
func NewDigests(header interface{ Values(name string) []string }) Digests {
	var all Digests
	add := func(name, algorithm, value string) {
		newHash := hashes[algorithm]
		if newHash == nil {
			return
		}
		sum := newHash()
		want, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(want) != sum.Size() {
			return
		}
		if i := slices.IndexFunc(all, func(d digest) bool { return d.algorithm == algorithm }); i < 0 {
			all = append(all, digest{name, algorithm, sum, want})
		} else if !bytes.Equal(all[i].want, want) {
			all[i].want = nil
		}
	}
	for _, value := range header.Values("Content-Md5") {
		add("Content-MD5", "md5", strings.TrimSpace(value))
	}
	for _, name := range []string{"Content-Digest", "Repr-Digest", "Digest"} {
		for entry := range strings.SplitSeq(strings.Join(header.Values(name), ","), ",") {
			algorithm, value, _ := strings.Cut(strings.TrimSpace(entry), "=")
			add(name, strings.ToLower(algorithm), strings.Trim(value, ":"))
		}
	}
	return all
}

// Add takes the next bytes.
func (d Digests) Add(p []byte) {
	for _, one := range d {
		_, _ = one.sum.Write(p) // it never fails
	}
}

// Check returns ErrDigest if the bytes that were added are not those of each digest.
func (d Digests) Check() error {
	for _, one := range d {
		if !bytes.Equal(one.sum.Sum(nil), one.want) {
			return fmt.Errorf("%w: they are not those of %s", ErrDigest, one.header)
		}
	}
	return nil
}
