package dicom_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"stowrs-to-s3/app/dicom"
	"stowrs-to-s3/app/dicomtest"
)

// A long sequence before the UIDs, as in a structured report or a presentation state of many images, costs time in proportion to its bytes.
func TestIdentifyInflatesOnce(t *testing.T) {
	var items []byte
	for n := range 20_000 {
		content := join(explicit.UI(0x00081150, "1.2.840.10008.5.1.4.1.1.2"), explicit.UI(0x00081155, fmt.Sprintf("1.2.%d.%d", n*7919%10007, n)))
		items = append(items, join(explicit.Header(item, "", uint32(len(content))), content)...)
	}
	for name, value := range map[string][]byte{
		"defined length":   join(explicit.Header(0x00081140, "SQ", uint32(len(items))), items),
		"undefined length": join(explicit.Header(0x00081140, "SQ", undefined), items, explicit.Header(0xFFFEE0DD, "", 0)),
	} {
		t.Run(name, func(t *testing.T) {
			input := file(deflatedSyntax, dicomtest.Deflate(join(explicit.UI(sopClass, "1.2"), explicit.UI(sopUID, "1.3"), value, explicit.UI(studyUID, "1.4"), explicit.UI(seriesUID, "1.5"))))
			c := &worked{r: bytes.NewReader(input)}
			id, err := dicom.Identify(c, wholeWindow)
			if err != nil || id.SeriesInstanceUID != "1.5" {
				t.Errorf("got %+v, error %v", id, err)
			}
			if c.n > int64(len(input))+8192 {
				t.Errorf("of %d bytes %d were read", len(input), c.n)
			}
		})
	}
}

// Deflated data expand at most a thousandfold. A few kilobytes must not take the
// time of megabytes, whether they are damaged or not.
func TestIdentifyBoundsInflation(t *testing.T) {
	zeros := explicit.Element(0x00091001, "OB", string(make([]byte, 30<<20)))
	text := explicit.Element(0x00091001, "UT", strings.Repeat("the same sentence, many times ", 1000))
	for name, test := range map[string]struct {
		dataset []byte
		refused bool
	}{
		"a large value of zeros":              {explicit.dataset(zeros), true},
		"the same, damaged":                   {join(explicit.UI(seriesUID, "1.9"), explicit.dataset(zeros)), true},
		"many small values that are the same": {explicit.dataset(bytes.Repeat(explicit.Element(0x00091001, "UL", "1234"), 1<<20)), true},
		"text that repeats itself":            {explicit.dataset(text), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dicom.Identify(bytes.NewReader(file(deflatedSyntax, dicomtest.Deflate(test.dataset))), wholeWindow)
			switch {
			case !test.refused && err != nil:
				t.Errorf("error %v", err)
			case test.refused && (!errors.Is(err, dicom.ErrNotDICOM) || !strings.Contains(err.Error(), "128 times")):
				t.Errorf("error %v, want that it becomes too large", err)
			}
		})
	}
}

// Blocks that inflate to nothing also cost time: they must not be read again for each look at what follows them.
func TestIdentifyBoundsInflatingAgain(t *testing.T) {
	const elements, emptyBytes = 2000, 1 << 20
	stored := func(final byte, b []byte) []byte { // RFC 1951 §3.2.4
		n := uint16(len(b))
		return append([]byte{final, byte(n), byte(n >> 8), byte(^n), byte(^n >> 8)}, b...)
	}
	var far []byte // elements with two possible readings, one of which leads beyond all of them
	for n := range elements {
		left := uint32(12 * (elements - 1 - n))
		far = append(far, 0x09, 0, byte(n), byte(0x10+n>>8), 'U', 'N', 4, 0, byte(left), byte(left>>8), byte(left>>16), 0)
	}
	empty := bytes.Repeat([]byte{0x02, 0x08, 0x20, 0x80, 0x00}, emptyBytes/5) // four blocks that end at once (RFC 1951 §3.2.6)
	input := file(deflatedSyntax, join(stored(0, far), empty, stored(1, []byte(strings.Repeat("x", 64)))))
	c := &worked{r: bytes.NewReader(input)}
	_, err := dicom.Identify(c, int64(len(input)))
	if err == nil || !strings.Contains(err.Error(), "inflated again and again") {
		t.Errorf("got error %v", err)
	}
	if most := int64(4 * len(input)); c.n > most {
		t.Errorf("of %d bytes %d were read, want at most %d", len(input), c.n, most)
	}
}

// worked counts the bytes that are read from r, repetitions included.
type worked struct {
	r io.ReaderAt
	n int64
}

func (w *worked) ReadAt(p []byte, offset int64) (int, error) {
	n, err := w.r.ReadAt(p, offset)
	w.n += int64(n)
	return n, err
}
