package metadata_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"stowrs-to-s3/app/metadata"
)

// hostile are texts of about a length that are as bad as they can be: each makes
// much of little.
var hostile = []struct {
	name string
	text func(length int) string
	read func(text string) (*metadata.Dataset, error)
}{
	{"JSON: elements in descending order", func(n int) string {
		return object(n, func(i int) string { return fmt.Sprintf(`"%08X":{}`, 0x7FE00000-i) })
	}, jsonDataset},
	{"JSON: one tag many times", func(n int) string { return object(n, func(int) string { return `"00080060":{}` }) }, jsonDataset},
	{"JSON: holes in descending order", func(n int) string {
		return object(n, func(i int) string { return fmt.Sprintf(`"%08X":{"BulkDataURI":"a"}`, 0x7FE00000-2*i) })
	}, jsonDataset},
	{"JSON: holes under private creators", func(n int) string {
		return object(n, func(i int) string { return fmt.Sprintf(`"%08X":{"BulkDataURI":"a"}`, 0x00091000+i) })
	}, jsonDataset},
	{"JSON: empty items", func(n int) string { return attributeOf(n, "SQ", "{}") }, jsonDataset},
	{"JSON: items of a hole", func(n int) string { return attributeOf(n, "SQ", `{"00091001":{"BulkDataURI":"a"}}`) }, jsonDataset},
	{"JSON: items with a charset, and a text", func(n int) string {
		return strings.TrimSuffix(attributeOf(n, "SQ", `{"00080005":{}}`), "}") + `,"00100010":{"vr":"PN","Value":["Ä"]}}`
	}, jsonDataset},
	{"JSON: numbers of FD", func(n int) string { return attributeOf(n, "FD", "0") }, jsonDataset},
	{"JSON: nulls", func(n int) string { return attributeOf(n, "FD", "null") }, jsonDataset},
	{"JSON: numbers of many digits", func(n int) string { return attributeOf(n, "DS", strings.Repeat("9", n/4)) }, jsonDataset},
	{"JSON: a long number", func(n int) string { return attributeOf(1, "SV", "1."+strings.Repeat("0", n)) }, jsonDataset},
	{"JSON: a large exponent", func(n int) string { return attributeOf(n, "US", "1e999999999") }, jsonDataset},
	{"JSON: long base64", func(n int) string {
		return `{"7FE00010":{"vr":"OB","InlineBinary":"` + strings.Repeat("AAAA", n/4) + `"}}`
	}, jsonDataset},
	{"JSON: sequences out of order at every depth", func(n int) string {
		const depth = 64
		inner := strings.Repeat("a", n/depth-100)
		text := `{"00080060":{"vr":"CS"}}`
		for range depth {
			text = `{"0040A730":{"vr":"SQ","Value":[` + text + `]},"00080070":{"vr":"UT","Value":["` + inner + `"]}}`
		}
		return text
	}, jsonDataset},
	{"XML: attributes of a tag", func(n int) string { return "<NativeDicomModel " + repeat(n, `a="" `) + "/>" }, xmlDataset},
	{"XML: values in descending order", func(n int) string {
		count := n / 30
		return document(attribute("00080008", "CS", numberedDown(count, `<Value number="%d">A</Value>`)))
	}, xmlDataset},
	{"XML: items in descending order", func(n int) string {
		count := n / 22
		return document(attribute("00081140", "SQ", numberedDown(count, `<Item number="%d"/>`)))
	}, xmlDataset},
	{"XML: numbers left out", func(n int) string {
		return document(repeat(n, "<!-- -->") + attribute("00189087", "FD", fmt.Sprintf(`<Value number="%d">1</Value>`, n/9)))
	}, xmlDataset},
	{"XML: private creators", func(n int) string {
		var s strings.Builder
		for i := 0; s.Len() < n; i++ {
			fmt.Fprintf(&s, `<DicomAttribute tag="%04X0001" privateCreator="C%d"/>`, 0x0009+i/240%0x7000*2, i)
		}
		return document(s.String())
	}, xmlDataset},
	{"XML: elements without end", func(n int) string { return "<NativeDicomModel>" + repeat(n, "<a>") }, xmlDataset},
	{"XML: empty elements", func(n int) string { return document(repeat(n, "<a/>")) }, xmlDataset},
}

func jsonDataset(text string) (*metadata.Dataset, error) {
	var last *metadata.Dataset
	err := metadata.ReadJSON(strings.NewReader(text), func(d *metadata.Dataset, _ error) error {
		last = d
		return nil
	})
	return last, err
}

func xmlDataset(text string) (*metadata.Dataset, error) {
	return metadata.ReadXML(strings.NewReader(text))
}

func repeat(n int, s string) string { return strings.Repeat(s, n/len(s)) }

func object(n int, member func(i int) string) string {
	var s strings.Builder
	for i := 0; s.Len() < n; i++ {
		s.WriteString("," + member(i))
	}
	return "{" + s.String()[1:] + "}"
}

func attributeOf(n int, vr, value string) string {
	return `{"00091001":{"vr":"` + vr + `","Value":[` + value + repeat(n, ","+value) + `]}}`
}

func numberedDown(count int, format string) string {
	var s strings.Builder
	for i := count; i > 0; i-- {
		fmt.Fprintf(&s, format, i)
	}
	return s.String()
}

// TestHostile: what is allocated in all grows with the text, whatever the text;
// the datasets are small multiples of it, and valid.
func TestHostile(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			perByte := func(length int) float64 {
				text := h.text(length)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				d, err := h.read(text)
				runtime.ReadMemStats(&after)
				if err == nil {
					if err := valid(d); err != nil {
						t.Error(err)
					}
					if len(d.Encoded) > 4*len(text)+64 {
						t.Errorf("%d bytes from %d of text", len(d.Encoded), len(text))
					}
				}
				return float64(after.TotalAlloc-before.TotalAlloc) / float64(len(text))
			}
			small, large := perByte(32<<10), perByte(256<<10)
			if large > 2*small+16 || large > 200 {
				t.Errorf("%.0f bytes allocated for each of a small text, %.0f of a large one", small, large)
			}
			t.Logf("%.0f, %.0f", small, large)
		})
	}
}
