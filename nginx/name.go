package main

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Tags of strings in names (X.680 §8.6).
const (
	utf8String      = 12
	printableString = 19
	t61String       = 20 // decoded as Latin-1, like OpenSSL
	ia5String       = 22
	visibleString   = 26
	bmpString       = 30
)

// sameName compares two names in DER as OpenSSL does: string types, upper and lower case, and white space may differ
// (RFC 5280 §7.1).
func sameName(a, b []byte) bool { return bytes.Equal(a, b) || canonicalName(a) == canonicalName(b) }

// canonicalName is equal for all names that are the same. A name that cannot be parsed is returned unchanged.
func canonicalName(der []byte) string {
	type attributeSET []struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	var name []attributeSET
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) > 0 {
		return string(der)
	}
	var b strings.Builder
	for _, set := range name {
		for _, a := range set {
			fmt.Fprintf(&b, "%s=%q+", a.Type, canonicalValue(a.Value))
		}
		b.WriteByte(',')
	}
	return b.String()
}

func canonicalValue(value asn1.RawValue) string {
	if value.Class != asn1.ClassUniversal {
		return string(value.FullBytes)
	}
	text := string(value.Bytes)
	switch value.Tag {
	case utf8String, printableString, ia5String, visibleString:
	case t61String:
		runes := make([]rune, len(value.Bytes))
		for i, c := range value.Bytes {
			runes[i] = rune(c)
		}
		text = string(runes)
	case bmpString:
		units := make([]uint16, len(value.Bytes)/2)
		for i := range units {
			units[i] = uint16(value.Bytes[2*i])<<8 | uint16(value.Bytes[2*i+1])
		}
		text = string(utf16.Decode(units))
	default:
		return string(value.FullBytes)
	}
	lower := func(r rune) rune { // only ASCII
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	return strings.Join(strings.FieldsFunc(strings.Map(lower, text), func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }), " ")
}

// keyName identifies a signing key by the name of its owner and the key, or its identifier.
func keyName(name, key []byte) string { return canonicalName(name) + string(key) }

func selfIssued(c *x509.Certificate) bool { return sameName(c.RawIssuer, c.RawSubject) }
