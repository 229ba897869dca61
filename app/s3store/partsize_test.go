package s3store

import "testing"

// DESIGN: parts grow from 8 MiB to a quarter of the budget, so that 10,000 parts reach about half a tebibyte.
func TestPartSizes(t *testing.T) {
	sizes := newPartSizes(firstPartBytes, LargestPartBytes(256<<20))
	const mib = 1 << 20
	tests := []struct {
		name     string
		n        int
		declared int64
		want     int64
	}{
		{"first", 1, -1, 8 * mib},
		{"500th", 500, -1, 8 * mib},
		{"501st", 501, -1, 16 * mib},
		{"grown to a quarter of the budget", 3501, -1, 64 * mib},
		{"last", 10_000, -1, 64 * mib},
		{"declared small", 1, 100 * mib, 8 * mib},
		{"declared 100 GiB fits parts of 10.25 MiB", 1, 100 << 30, 10*mib + 256<<10},
		{"declared at the limit", 1, 10_000 * 64 * mib, 64 * mib},
	}
	for _, test := range tests {
		if got := sizes.size(test.n, test.declared); got != test.want {
			t.Errorf("%s: part %d of %d bytes: got %d, want %d", test.name, test.n, test.declared, got, test.want)
		}
	}
	declared, undeclared := MaxInstanceBytes(256 << 20)
	if want := int64(10_000 * 64 * mib); declared != want {
		t.Errorf("largest declared instance: got %d, want %d", declared, want)
	}
	if undeclared < 500<<30 || undeclared > declared {
		t.Errorf("largest instance of unknown length: got %d GiB, want about half a tebibyte", undeclared>>30)
	}
}

func TestKey(t *testing.T) {
	tests := []struct{ prefix, suffix, want string }{
		{"", "", "1/2/3"},
		{"a/b", "", "a/b/1/2/3"},
		{"/a/", ".dcm", "a/1/2/3.dcm"},
	}
	for _, test := range tests {
		if got := Key(test.prefix, "1", "2", "3", test.suffix); got != test.want {
			t.Errorf("prefix %q, suffix %q: got %q, want %q", test.prefix, test.suffix, got, test.want)
		}
	}
}
