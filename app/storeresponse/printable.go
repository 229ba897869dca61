package storeresponse

import (
	"strings"
	"unicode"
)

// maxPrintableRunes is the most that is repeated of what another party sent.
const maxPrintableRunes = 300

// Printable is what of s, which another party sent, may stand in an answer or in a log:
// its first 300 characters, with "…" if there are more. Each character that does not
// print stands as "?": control characters (C0, C1), the line and paragraph
// separators U+2028 and U+2029, controls of direction, and bytes that are not UTF-8.
// It looks at no more of s than it needs. A header field wants US-ASCII besides.
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
