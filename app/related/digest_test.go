package related

import (
	"errors"
	"net/textproto"
	"strings"
	"testing"
)

// The values are those of RFC 1321 and FIPS 180-4 for "abc".
func TestDigests(t *testing.T) {
	const (
		md5Abc    = "kAFQmDzST7DWlj99KOF/cg=="
		sha1Abc   = "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="
		sha256Abc = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
		sha512Abc = "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
		md5Empty  = "1B2M2Y8AsgTpgAmY7PhCfg=="
	)
	for _, c := range []struct {
		name, header, value, body string
		looked                    int
		damaged                   bool
	}{
		{"none", "Content-Type", "a/b", "abc", 0, false},
		{"RFC 1864", "Content-Md5", md5Abc, "abc", 1, false},
		{"RFC 1864, of other bytes", "Content-Md5", md5Abc, "abd", 1, true},
		{"RFC 1864, cut", "Content-Md5", md5Abc, "ab", 1, true},
		{"of nothing", "Content-Md5", md5Empty, "", 1, false},
		{"in hexadecimal digits, as some send it", "Content-Md5", "900150983cd24fb0d6963f7d28e17f72", "abc", 1, false},
		{"in hexadecimal digits, of other bytes", "Content-Md5", "900150983CD24FB0D6963F7D28E17F72", "abd", 1, true},
		{"RFC 8941, with parameters", "Content-Digest", "sha-256=:" + sha256Abc + ":;x=1;y", "abc", 1, false},
		{"RFC 8941, with parameters, of other bytes", "Content-Digest", "a=1;b, sha-256=:" + sha256Abc + ":; x=1, c", "abd", 1, true},
		{"without padding", "Content-Digest", "sha-256=:" + strings.TrimRight(sha256Abc, "=") + ":", "abd", 1, true},
		{"in the alphabet of URLs", "Digest", "sha-1=" + strings.NewReplacer("+", "-", "/", "_").Replace(sha1Abc), "abc", 1, false},
		{"with spaces and quotes", "Digest", `md5 = "` + md5Abc + `" , sha = ` + sha1Abc, "abc", 2, false},
		{"with spaces and quotes, of other bytes", "Digest", `md5 = "` + md5Abc + `"`, "abd", 1, true},
		{"SHA-1 by its other name", "Digest", "SHA-1=" + sha1Abc, "abd", 1, true},
		{"a value that no bytes have", "Content-Md5", md5Abc[:12], "abc", 1, true},
		{"a value that is of another algorithm", "Digest", "sha-256=" + md5Abc, "abc", 1, true},
		{"RFC 3230, any case", "Digest", "Md5=" + md5Abc + ",SHA=" + sha1Abc, "abc", 2, false},
		{"RFC 3230, the second of other bytes", "Digest", "SHA-512=" + sha512Abc + ", SHA-256=" + md5Empty + ", SHA=" + sha1Abc, "abd", 3, true},
		{"RFC 9530", "Content-Digest", "sha-256=:" + sha256Abc + ":, sha-512=:" + sha512Abc + ":", "abc", 2, false},
		{"RFC 9530, of other bytes", "Repr-Digest", "sha-256=:" + sha256Abc + ":", "abd", 1, true},
		{"unknown algorithms", "Digest", "crc32c=AAAA, id-sha-256=" + sha256Abc, "abd", 0, false},
		{"no digests", "Digest", ",=,md5,md5=,sha=::, sha-256=\"\";x", "abd", 0, false},
		{"one often", "Content-Digest", strings.Repeat("sha=:"+sha1Abc+":,", 400), "abc", 1, false},
		{"two that differ", "Digest", "md5=" + md5Abc + ",md5=" + md5Empty, "abc", 1, true},
	} {
		d := NewDigests(textproto.MIMEHeader{c.header: {c.value}})
		if len(d) != c.looked {
			t.Errorf("%s: %d are looked at, want %d", c.name, len(d), c.looked)
		}
		for i := range len(c.body) {
			d.Add([]byte(c.body[i : i+1]))
		}
		if err := d.Check(); errors.Is(err, ErrDigest) != c.damaged {
			t.Errorf("%s: %v, want ErrDigest %v", c.name, err, c.damaged)
		}
	}
}
