package storeresponse_test

import (
	"strings"
	"testing"

	"stowrs-to-s3/app/storeresponse"
)

// Text of a client must neither control a terminal or a log viewer, nor fill the log.
func TestPrintable(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"plain":                  {`CN=CT 1, O="Klinik Süd"`, `CN=CT 1, O="Klinik Süd"`},
		"empty":                  {"", ""},
		"C0 and DEL":             {"a\r\n\x00\x1b[2J\x7fb", "a????[2J?b"},
		"C1":                     {"a\u009b2Jb\u0085c", "a?2Jb?c"},
		"separators":             {"a\u2028b\u2029c", "a?b?c"},
		"controls of direction":  {"a\u202eb\u2066c\u200fd\u061ce", "a?b?c?d?e"},
		"zero width":             {"a\u200bb\ufeffc", "a?b?c"},
		"not UTF-8":              {"a\x80\xffb", "a??b"},
		"a replacement that was": {"a\uFFFDb", "a\uFFFDb"},
		"300":                    {strings.Repeat("ü", 300), strings.Repeat("ü", 300)},
		"301":                    {strings.Repeat("ü", 301), strings.Repeat("ü", 300) + "…"},
		"long":                   {strings.Repeat("\x80", 900_000), strings.Repeat("?", 300) + "…"},
	} {
		if got := storeresponse.Printable(test.in); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
