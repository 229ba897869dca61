package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// clients is the list of clients that may store, from ALLOWED_CLIENTS.
type clients struct {
	fingerprints map[string]bool // SHA-256 of the certificate, in lower case hexadecimal
	subjects     map[string]bool // in the form of RFC 4514, as nginx and OpenSSL write it
	of           map[string]bool // "subject issued by issuer"
}

// issuedBy separates a subject from its issuer.
const issuedBy = " issued by "

var fingerprintSyntax = regexp.MustCompile(`^[0-9a-f]{64}$`)

// parseClients reads ALLOWED_CLIENTS: entries separated by semicolons or line ends that are not escaped by a backslash (RFC 4514 §2.4).
// Each is one of
//
//	CN=modality-1,O=Hospital                            a subject, issued by any CA of truststore.crt
//	CN=modality-1,O=Hospital issued by CN=Hospital CA   a subject of one issuer
//	sha256:3A:0F:…                                      one certificate, with or without colons
func parseClients(list string) (clients, error) {
	parsed := clients{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	const remedy = `write a subject such as CN=modality-1,O=Hospital, a subject "issued by" its issuer, or sha256: and a fingerprint, separated by semicolons; client_dn, client_issuer and client_sha256 of the access log can be copied`
	for _, entry := range splitEscaped(list) {
		fingerprint, isFingerprint := cutPrefixFold(entry, "sha256:")
		fingerprint = strings.ToLower(strings.ReplaceAll(fingerprint, ":", ""))
		subject, issuer, hasIssuer := strings.Cut(entry, issuedBy)
		switch {
		case isFingerprint && fingerprintSyntax.MatchString(fingerprint):
			parsed.fingerprints[fingerprint] = true
		case isFingerprint:
			return clients{}, fmt.Errorf("%q has no SHA-256, which is 64 hexadecimal digits; %s", entry, remedy)
		case !strings.Contains(subject, "=") || hasIssuer && !strings.Contains(issuer, "="):
			return clients{}, fmt.Errorf("%q is none; %s", entry, remedy)
		case !isName(subject) || hasIssuer && !isName(issuer):
			return clients{}, fmt.Errorf("%q is no name (RFC 4514): no space follows a comma, one inside a value has a backslash before it, and in JSON, from which it may have been copied, each backslash is two; %s", entry, remedy)
		case hasIssuer:
			parsed.of[openSSLName(strings.TrimSpace(subject))+issuedBy+openSSLName(strings.TrimSpace(issuer))] = true
		default:
			parsed.subjects[openSSLName(subject)] = true
		}
	}
	if list != "" && parsed.all() {
		return clients{}, errors.New("it has no client, and without any all could store: write one, or unset it")
	}
	return parsed, nil
}

// nameSyntax matches a name of types and values; a backslash precedes a special character or two hexadecimal digits (RFC 4514 §3).
var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9.-]+=(?:[^\\,+]|\\.)*(?:[,+][A-Za-z0-9.-]+=(?:[^\\,+]|\\.)*)*$`)

// jsonEscape matches a byte that OpenSSL writes as \C3, in the form that it has in JSON. Real names do not contain a backslash before such digits.
var jsonEscape = regexp.MustCompile(`\\\\[0-9A-F]{2}`)

func isName(s string) bool {
	s = strings.TrimSpace(s)
	return nameSyntax.MatchString(s) && !jsonEscape.MatchString(s)
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// openSSLName writes the bytes of a name that are not ASCII as OpenSSL does: \C3\BC.
func openSSLName(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < 0x80 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%02X`, c)
		}
	}
	return b.String()
}

// splitEscaped splits at semicolons and line ends that are not escaped by a backslash.
func splitEscaped(list string) []string {
	var entries []string
	var entry strings.Builder
	end := func() {
		if s := strings.TrimSpace(entry.String()); s != "" {
			entries = append(entries, s)
		}
		entry.Reset()
	}
	escaped := false
	for _, b := range []byte(list) {
		if !escaped && (b == ';' || b == '\n') {
			end()
			continue
		}
		escaped = !escaped && b == '\\'
		entry.WriteByte(b)
	}
	end()
	return entries
}

// all says that there is no list: every client that truststore.crt verifies may store.
func (c clients) all() bool { return len(c.fingerprints)+len(c.subjects)+len(c.of) == 0 }

// has tells whether a client is on the list. The names are in the form of nginx.
func (c clients) has(subject, issuer, fingerprint string) bool {
	return c.fingerprints[fingerprint] || c.subjects[subject] || c.of[subject+issuedBy+issuer]
}

// fingerprint is the SHA-256 of a certificate in DER, in hexadecimal.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
