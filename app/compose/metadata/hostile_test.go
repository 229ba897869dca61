package metadata_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose/metadata"
)

// hostile returns texts of about this length that are as bad as possible: each produces
// much memory from few bytes.
var hostile = []struct {
	name string
	text func(length int) string
	read func(r io.Reader, take func(int64) error) (*metadata.Dataset, error)
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
	{"XML: attributes of a tag", func(n int) string { return "<NativeDicomModel " + repeat(n, `a="" `) + "/>" }, metadata.ReadXML},
	{"XML: values in descending order", func(n int) string {
		count := n / 30
		return document(attribute("00080008", "CS", numberedDown(count, `<Value number="%d">A</Value>`)))
	}, metadata.ReadXML},
	{"XML: items in descending order", func(n int) string {
		count := n / 22
		return document(attribute("00081140", "SQ", numberedDown(count, `<Item number="%d"/>`)))
	}, metadata.ReadXML},
	{"XML: numbers left out", func(n int) string {
		return document(repeat(n, "<!-- -->") + attribute("00189087", "FD", fmt.Sprintf(`<Value number="%d">1</Value>`, n/9)))
	}, metadata.ReadXML},
	{"XML: private creators", func(n int) string {
		var s strings.Builder
		for i := 0; s.Len() < n; i++ {
			fmt.Fprintf(&s, `<DicomAttribute tag="%04X0001" privateCreator="C%d"/>`, 0x0009+i/240%0x7000*2, i)
		}
		return document(s.String())
	}, metadata.ReadXML},
	{"JSON: many instances", func(n int) string { return "[{}" + repeat(n, ",{}") + "]" }, jsonDataset},
	{"JSON: a long string", func(n int) string { return attributeOf(1, "UT", `"`+strings.Repeat("a", n)+`"`) }, jsonDataset},
	{"JSON: strings", func(n int) string { return attributeOf(n, "LO", `"a"`) }, jsonDataset},
	{"JSON: a long name", func(n int) string { return `{"` + strings.Repeat("a", n) + `":{}}` }, jsonDataset},
	{"JSON: a long vr", func(n int) string { return `{"00080060":{"vr":"` + strings.Repeat("a", n) + `"}}` }, jsonDataset},
	{"JSON: a person name", func(n int) string {
		group := `":"` + strings.Repeat("a", n/3) + `"`
		return attributeOf(1, "PN", `{"Alphabetic`+group+`,"Phonetic`+group+`,"Ideographic`+group+`}`)
	}, jsonDataset},
	{"JSON: deep sequences with long URIs", func(n int) string {
		uri := strings.Repeat("u", n/64)
		return strings.Repeat(`{"00091001":{"BulkDataURI":"`+uri+`"},"54000100":{"vr":"SQ","Value":[`, 64) + strings.Repeat("]}}", 64)
	}, jsonDataset},
	{"XML: a long text", func(n int) string { return document(attribute("00091001", "UT", value(strings.Repeat("a", n)))) }, metadata.ReadXML},
	{"XML: a long text in pieces", func(n int) string {
		return document(attribute("00091001", "UT", value(repeat(n, "<![CDATA[aaaaaaaaaaaaaaaa]]>"))))
	}, metadata.ReadXML},
	{"XML: a comment", func(n int) string { return document("<!--" + strings.Repeat("a", n) + "-->") }, metadata.ReadXML},
	{"XML: values", func(n int) string { return document(attribute("00091001", "LO", repeat(n, "<Value>a</Value>"))) }, metadata.ReadXML},
	{"XML: a person name", func(n int) string {
		family := "<FamilyName>" + strings.Repeat("a", n/3) + "</FamilyName>"
		return document(attribute("00100010", "PN", "<PersonName><Alphabetic>"+family+"</Alphabetic><Phonetic>"+family+"</Phonetic><Ideographic>"+family+"</Ideographic></PersonName>"))
	}, metadata.ReadXML},
	{"XML: long names, nested", func(n int) string {
		return "<NativeDicomModel>" + repeat(n, "<"+strings.Repeat("a", 2000)+" b='"+strings.Repeat("a", 2000)+"'>")
	}, metadata.ReadXML},
	{"XML: holes", func(n int) string {
		var s strings.Builder
		for i := 0; s.Len() < n; i++ {
			fmt.Fprintf(&s, `<DicomAttribute tag="%08X"><BulkData uri="a"/></DicomAttribute>`, 0x7FE00000-2*i)
		}
		return document(s.String())
	}, metadata.ReadXML},
	{"XML: elements without end", func(n int) string { return "<NativeDicomModel>" + repeat(n, "<a>") }, metadata.ReadXML},
	{"XML: empty elements", func(n int) string { return document(repeat(n, "<a/>")) }, metadata.ReadXML},
}

func jsonDataset(r io.Reader, take func(int64) error) (*metadata.Dataset, error) {
	var last *metadata.Dataset
	err := metadata.ReadJSON(r, take, func(d *metadata.Dataset, _ error) error {
		last = d
		return nil
	})
	return last, err
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

// TestHostile: the total allocation is proportional to the text, for any text;
// the datasets are valid, and at most a few times as large.
func TestHostile(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			perByte := func(length int) float64 {
				text := h.text(length)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				d, err := h.read(strings.NewReader(text), unlimited)
				runtime.ReadMemStats(&after)
				if err == nil {
					if err := valid(d); d != nil && err != nil {
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

// TestMemoryIsCounted: what a reader holds at any moment was counted before, except
// for a small amount. A reader that is refused memory stops, and gives back what it had.
func TestMemoryIsCounted(t *testing.T) {
	const length, uncounted = 1 << 20, 256 << 10
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			text := h.text(length)
			var held, most, limit int64 = 0, 0, 1 << 40
			take := func(n int64) error {
				if held+n > limit {
					return errNoMemory
				}
				held += n
				most = max(most, held)
				return nil
			}
			before := liveBytes()
			worst := int64(0)
			source := &observed{r: strings.NewReader(text), each: func() { worst = max(worst, liveBytes()-before-held) }}
			d, err := h.read(source, take)
			worst = max(worst, liveBytes()-before-held)
			if worst > uncounted {
				t.Errorf("%d bytes are not counted of a text of %d", worst, len(text))
			}
			if d == nil && held != 0 || d != nil && held < d.HeldBytes {
				t.Errorf("%d bytes are held, dataset %v, error %v", held, d != nil, err)
			}
			t.Logf("%.1f bytes for one of text, %d kB not counted", float64(most)/float64(len(text)), worst>>10)
			runtime.KeepAlive(d)

			held, limit = 0, most/2
			if d, err = h.read(strings.NewReader(text), take); !errors.Is(err, errNoMemory) {
				t.Errorf("with half of the memory: error %v", err)
			}
			if d == nil && held != 0 {
				t.Errorf("%d bytes are held after it", held)
			}
		})
	}
}

var errNoMemory = errors.New("no memory")

// liveBytes is the heap that is in use.
func liveBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// observed calls each at intervals while it is read.
type observed struct {
	r    io.Reader
	each func()
	left int
}

func (o *observed) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	if o.left -= n; o.left < 0 {
		o.left = 400 << 10
		o.each()
	}
	return n, err
}
