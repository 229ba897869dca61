package compose_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/storeresponse"
)

// enhanced is metadata of an enhanced multi-frame image, about a kilobyte per frame.
func enhanced(frames int) string {
	var items []string
	for i := range frames {
		items = append(items, fmt.Sprintf(`{"00209111":{"vr":"SQ","Value":[{"00189074":{"vr":"DT","Value":["20260102101112.%06d"]},"00189151":{"vr":"DT","Value":["20260102101112.%06d"]},
			"00189220":{"vr":"FD","Value":[%d.123456789]},"00209056":{"vr":"SH","Value":["1"]},"00209057":{"vr":"UL","Value":[%d]},"00209157":{"vr":"UL","Value":[1,%d]}}]},
			"00209113":{"vr":"SQ","Value":[{"00200032":{"vr":"DS","Value":[-250.123456,-250.654321,%d.25]}}]},"00209116":{"vr":"SQ","Value":[{"00200037":{"vr":"DS","Value":[1,0,0,0,1,0]}}]},
			"00289110":{"vr":"SQ","Value":[{"00180050":{"vr":"DS","Value":["1.25"]},"00280030":{"vr":"DS","Value":["0.976562","0.976562"]}}]},
			"00289132":{"vr":"SQ","Value":[{"00281050":{"vr":"DS","Value":[40]},"00281051":{"vr":"DS","Value":[400]},"00281055":{"vr":"LO","Value":["Soft"]}}]}}`, i, i, i, i, i, i))
	}
	return jsonOf("1.1", `"52009230":{"vr":"SQ","Value":[`+strings.Join(items, ",")+`]}`, grey(2, 2), framesOf(frames), reference("7FE00010", "OW", "p"))
}

// times concatenates n results of part.
func times(n int, part func(i int) bodyPart) []bodyPart {
	parts := make([]bodyPart, n)
	for i := range parts {
		parts[i] = part(i)
	}
	return parts
}

// instancesOf is n instances with one element each.
func instancesOf(n int, element func(i int) string) bodyPart {
	instances := make([]string, n)
	for i := range instances {
		instances[i] = jsonOf(fmt.Sprintf("1.%d", i+1), element(i))
	}
	return jsonPart(instances...)
}

// What a request holds at any moment was counted before, except for a small amount: METADATALIMIT
// limits what all requests hold together.
func TestMemoryIsCounted(t *testing.T) {
	const limit = 16 << 20
	a := jpegOf(t, 8, 8, 1)
	manyHoles := func(n int, uri string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = "{" + reference("00091001", "OB", strings.ReplaceAll(uri, "#", fmt.Sprint(i))) + "}"
		}
		return jsonOf("1.1", `"00081140":{"vr":"SQ","Value":[`+strings.Join(items, ",")+`]}`)
	}
	longLocation := strings.Repeat("l", 15_000)
	for name, test := range map[string]struct {
		parts  []bodyPart
		stored int // at least
	}{
		"5 MB of an enhanced multi-frame": {[]bodyPart{jsonPart(enhanced(5000)), bulkPart("p", noise(8*5000))}, 1},
		"many instances":                  {[]bodyPart{instancesOf(5000, func(int) string { return `"00080060":{"vr":"CS"}` })}, 5000},
		"very many instances":             {[]bodyPart{instancesOf(40_000, func(int) string { return `"00080060":{"vr":"CS"}` })}, 0},
		"instances that fail":             {[]bodyPart{{"Content-Type: application/dicom+json", []byte("[{}" + strings.Repeat(",{}", 8000) + "]")}}, 0},
		"instances with holes":            {[]bodyPart{instancesOf(4000, func(i int) string { return reference("00420011", "OB", fmt.Sprint("p", i)) })}, 0},
		"holes of their own":              {[]bodyPart{jsonPart(manyHoles(15_000, "p#"))}, 0},
		"very many holes":                 {[]bodyPart{jsonPart(manyHoles(100_000, "p#"))}, 0},
		"holes that share":                {[]bodyPart{jsonPart(manyHoles(20_000, "p")), bulkPart("p", noise(10))}, 1},
		"holes of long URIs":              {[]bodyPart{jsonPart(manyHoles(500, strings.Repeat("u", 10_000)+"#"))}, 0},
		"parts that come early":           {slices.Concat([]bodyPart{jsonPart(manyHoles(10_000, "p#"))}, times(10_000, func(i int) bodyPart { return bulkPart(fmt.Sprint("p", 9_999-i), noise(i%700)) })), 0},
		"frames that come early": {slices.Concat([]bodyPart{jsonPart(jsonOf("1.1", framesOf(10_000), reference("7FE00010", "OB", "p")))},
			times(10_000, func(i int) bodyPart { return codedPart("image/jpeg", fmt.Sprint("p/frames/", 10_000-i), a) })), 1},
		"a large part that comes early": {[]bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "OB", "a"), reference("00540011", "OB", "b"))), bulkPart("b", noise(9e6)), bulkPart("a", noise(1e6))}, 1},
		"superfluous parts while one is read": {slices.Concat([]bodyPart{jsonPart(manyHoles(2, "p#")), bulkPart("p0", nil)},
			times(8000, func(i int) bodyPart { return bulkPart("x", nil) }), []bodyPart{bulkPart("p1", nil)}), 1},
		"long headers of parts that are kept": {slices.Concat([]bodyPart{jsonPart(manyHoles(500, longLocation+"#"))},
			times(300, func(i int) bodyPart { return bulkPart(fmt.Sprint(longLocation, 499-i), nil) })), 0},
		"long media types of parts that are kept": {slices.Concat([]bodyPart{jsonPart(manyHoles(500, "p#"))},
			times(499, func(i int) bodyPart { return codedPart("x/"+longLocation, fmt.Sprint("p", 499-i), nil) })), 0},
		"metadata between bulkdata": {slices.Concat([]bodyPart{jsonPart(manyHoles(2, "p#")), bulkPart("p0", nil)},
			times(3000, func(i int) bodyPart {
				return instancesOf(1, func(int) string { return reference("00420011", "OB", fmt.Sprint("q", i)) })
			})), 0},
		"a PNG": {[]bodyPart{jsonPart(jsonOf("1.1", reference("7FE00010", "OB", "p"))), codedPart("image/png", "p", pngOf(t, 1500, 1500))}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			body := multipart(test.parts...)
			base, err := url.Parse("http://stow.example/studies")
			if err != nil {
				t.Fatal(err)
			}
			kept := memory.New(4<<20, 1<<20, limit).Keep()
			buffer := make([]byte, 32<<10)
			before, worst, most := liveBytes(), int64(0), int64(0)
			look := func() {
				held := kept.HeldBytes()
				worst, most = max(worst, liveBytes()-before-held), max(most, held)
			}
			parts := newParts(&observed{r: bytes.NewReader(body), each: look, step: max(1000, len(body)/12)})
			defer parts.Close()
			first, err := parts.Next()
			if err != nil {
				t.Fatal(err)
			}
			c := compose.New(compose.Request{MediaType: storeresponse.MediaTypeJSON, Base: base, Memory: kept, LateBytes: 8 << 20, MaxInstances: 100_000}, first, parts)
			n, stored := 0, 0
			for i := range c.Instances() {
				if n%1000 == 0 {
					look()
				}
				n++
				if i.Err() != nil {
					continue
				}
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, i, buffer); err == nil {
					stored++
				}
			}
			look()
			if worst > uncountedBytes {
				t.Errorf("%d kB are not counted", worst>>10)
			}
			if stored < test.stored || c.Err() != nil && !errors.Is(c.Err(), memory.ErrTooMuch) {
				t.Errorf("%d instances are stored, want %d, error %v", stored, test.stored, c.Err())
			}
			t.Logf("body of %d kB, %d kB counted, %d kB not, %d stored, %v", len(body)>>10, most>>10, worst>>10, stored, c.Err())
			c.Close()
			if held := kept.HeldBytes(); held != 0 {
				t.Errorf("%d bytes are held", held)
			}
		})
	}
}

// Data that had to be kept before their instance could begin are freed while they are read.
func TestMemoryIsFreedWhileReading(t *testing.T) {
	s := newService(t, 256<<10)
	metadata := jsonPart(jsonOf("1.1", reference("00091001", "OB", "a"), grey(64, 64), reference("7FE00010", "OW", "p")))
	parts := newParts(bytes.NewReader(multipart(metadata, bulkPart("a|Content-Length: 1000000", noise(1e6)), bulkPart("p", noise(2*64*64)))))
	defer parts.Close()
	first, err := parts.Next()
	if err != nil {
		t.Fatal(err)
	}
	c := compose.New(compose.Request{MediaType: storeresponse.MediaTypeJSON, Memory: s.kept, MaxInstances: 9}, first, parts)
	defer c.Close()
	for i := range c.Instances() {
		kept := s.kept.HeldBytes()
		if _, err := io.CopyN(io.Discard, i, 900_000); err != nil {
			t.Fatal(err)
		}
		if left := s.kept.HeldBytes(); kept < 100<<10 || left > 50<<10 {
			t.Errorf("%d bytes were kept, %d are left", kept, left)
		}
	}
}

// liveBytes is the heap that is in use.
func liveBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// observed calls each after every step bytes.
type observed struct {
	r    io.Reader
	each func()
	step int
	left int
}

func (o *observed) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	if o.left -= n; o.left < 0 {
		o.left = o.step
		o.each()
	}
	return n, err
}
