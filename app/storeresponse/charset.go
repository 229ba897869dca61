package storeresponse

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// toUTF8 removes the white space and the byte order mark before a document, and turns
// UTF-16 with such a mark into UTF-8. JSON has neither (RFC 8259 §8.1), but some servers write both.
func toUTF8(body []byte) ([]byte, error) {
	text, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), body)
	return bytes.TrimSpace(text), err
}

func startsJSON(body []byte) bool {
	return bytes.HasPrefix(body, []byte("{")) || bytes.HasPrefix(body, []byte("["))
}

// charsetReader handles the charset that an XML declaration names. If a document could be
// read up to that name, it is not in UTF-16.
func charsetReader(charset string, input io.Reader) (io.Reader, error) {
	if strings.HasPrefix(strings.ToLower(charset), "utf-16") {
		return input, nil
	}
	encoding, err := htmlindex.Get(charset)
	if err != nil {
		return nil, fmt.Errorf("charset %q: %w", charset, err)
	}
	return encoding.NewDecoder().Reader(input), nil
}
