package dicom_test

import (
	"strings"
	"testing"

	"stowrs-to-s3/app/dicom"
)

// PS3.5 §9.1, with leading zeros allowed.
func TestValidUID(t *testing.T) {
	long := strings.Repeat("1.", 32)
	for _, test := range []struct {
		uid  string
		want bool
	}{
		{"1", true},
		{"1.2.840.10008.1.2", true},
		{"2.25.329800735698586629295641978511506172918", true},
		{"1.02.003", true},
		{"0", true},
		{long[:63], true},
		{long[:62] + "11", true},
		{long + "1", false},
		{"", false},
		{".", false},
		{"..", false},
		{"1..2", false},
		{".1", false},
		{"1.", false},
		{"abc.123", false},
		{"11|", false},
		{"1/2", false},
		{"../1", false},
		{"1 2", false},
		{"1.2 ", false},
		{"1.2\x00", false},
		{"1.2\n", false},
		{`1.2\1.3`, false},
		{"-1", false},
		{"١.٢", false},
	} {
		if got := dicom.ValidUID(test.uid); got != test.want {
			t.Errorf("ValidUID(%q) = %v, want %v", test.uid, got, test.want)
		}
	}
}
