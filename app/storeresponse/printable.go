package storeresponse

import (
	"strings"
	"unicode"
)

// maxPrintableRunes is how much text of another party is repeated.
const maxPrintableRunes = 300

// Printable returns s, a text of another party, in a form that may be in an answer or a log:
// its first 300 characters, with "…" if there are more. Each character that cannot be
// printed becomes "?": control characters (C0, C1), the line and paragraph
// separators U+2028 and U+2029, directional controls, and bytes that are not UTF-8.
// It reads no more of s than necessary. A header field must also be in US-ASCII.
func Printable(s string) string {
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n++; n > maxPrintableRunes {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar && !strings.HasPrefix(s[i:], "\uFFFD") {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}
