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
	"time"

	"stowrs-to-s3/app/compose"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/related"
	"stowrs-to-s3/app/storeresponse"
)

// A length that is known only at the end is corrected there, if it is near the beginning and that
// of the last value; nothing is late if all lengths are known.
func TestLateLength(t *testing.T) {
	pdf := reference("00420011", "OB", "pdf")
	a := jpegOf(t, 40, 60, 1)
	declared := func(location string, content []byte) bodyPart {
		return bulkPart(fmt.Sprintf("%s|Content-Length: %d", location, len(content)), content)
	}
	for name, test := range map[string]struct {
		parts     []bodyPart
		lateBytes int64
		late      bool
		want      string
	}{
		"unknown":           {[]bodyPart{jsonPart(jsonOf("1.1", pdf)), bulkPart("pdf", noise(300_001))}, 8 << 20, true, "stored 1.1"},
		"declared":          {[]bodyPart{jsonPart(jsonOf("1.1", pdf)), declared("pdf", noise(300_001))}, 8 << 20, false, "stored 1.1"},
		"of the pixels":     {[]bodyPart{jsonPart(jsonOf("1.1", grey(400, 400), reference("7FE00010", "OW", "p"))), bulkPart("p", noise(320_000))}, 8 << 20, false, "stored 1.1"},
		"no bulkdata":       {[]bodyPart{jsonPart(jsonOf("1.1"))}, 8 << 20, false, "stored 1.1"},
		"of the last frame": {[]bodyPart{jsonPart(jsonOf("1.1", framesOf(2), reference("7FE00010", "OB", "p"))), codedPart("image/jpeg", "p", a), codedPart("image/jpeg", "p", longer(a, 300_000))}, 8 << 20, true, "stored 1.1"},
		"of frames, declared": {
			[]bodyPart{jsonPart(jsonOf("1.1", framesOf(2), reference("7FE00010", "OB", "p"))), codedPart("image/jpeg", fmt.Sprintf("p|Content-Length: %d", len(a)), a), codedPart("image/jpeg", fmt.Sprintf("p|Content-Length: %d", len(a)+300_000), longer(a, 300_000))},
			8 << 20, false, "stored 1.1",
		},
		"of frames, only the first declared": {
			[]bodyPart{jsonPart(jsonOf("1.1", framesOf(2), reference("7FE00010", "OB", "p"))), codedPart("image/jpeg", fmt.Sprintf("p|Content-Length: %d", len(a)), a), codedPart("image/jpeg", "p", longer(a, 30_000))},
			8 << 20, false, "stored 1.1",
		},
		"behind what is too long": {[]bodyPart{jsonPart(jsonOf("1.1", reference("00091001", "OB", "x"), pdf)), declared("x", noise(50_000)), bulkPart("pdf", noise(300_001))}, 40_000, true, "failed 1.1 A700"},
		"little behind it":        {[]bodyPart{jsonPart(jsonOf("1.1", reference("00091001", "OB", "x"), pdf)), declared("x", noise(50_000)), bulkPart("pdf", noise(30_001))}, 40_000, true, "stored 1.1"},
		"never":                   {[]bodyPart{jsonPart(jsonOf("1.1", pdf)), bulkPart("pdf", noise(300_001))}, 0, false, "failed 1.1 A700"},
		"of a short VR":           {[]bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "LO", "x"))), bulkPart("x", []byte("abc"))}, 8 << 20, true, "stored 1.1"},
		"too long for its VR":     {[]bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "LO", "x"))), bulkPart("x", bytes.Repeat([]byte("a"), 70_000))}, 8 << 20, true, "failed 1.1 C000"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 128<<10)
			s.lateBytes = test.lateBytes
			got := s.compose(t, multipart(test.parts...))
			if got.outcomes() != test.want || s.late != test.late {
				t.Errorf("got %s, late %v: %s", got.outcomes(), s.late, got.says)
			}
			if test.want == "stored 1.1" && len(test.parts) > 1 {
				s.parse(t, "1.1")
			}
		})
	}
}

// Invalid metadata refuse the request, until an instance was yielded
// that can be stored; then they are one failure.
func TestMetadataThatAreWrong(t *testing.T) {
	broken := bodyPart{"Content-Type: application/dicom+json", []byte(`[{"00080016"`)}
	pdf := func(sop string) bodyPart { return jsonPart(jsonOf(sop, reference("00420011", "OB", "p"+sop))) }
	for name, test := range map[string]struct {
		parts []bodyPart
		most  int
		want  string
		err   error
	}{
		"first":                {[]bodyPart{broken, bulkPart("p", nil)}, 9, "", compose.ErrSyntax},
		"after other metadata": {[]bodyPart{jsonPart(jsonOf("1.1")), broken}, 9, "", compose.ErrSyntax},
		"after an instance":    {[]bodyPart{pdf("1.1"), bulkPart("p1.1", nil), broken, pdf("1.2"), bulkPart("p1.2", nil)}, 9, "stored 1.1 | stored 1.2 | other C000", nil},
		"while one is read": {
			[]bodyPart{jsonPart(jsonOf("1.1", framesOf(2), reference("7FE00010", "OB", "p"))), codedPart("image/jpeg", "p", jpegOf(t, 8, 8, 1)), broken, codedPart("image/jpeg", "p", jpegOf(t, 8, 8, 2))},
			9, "stored 1.1 | other C000", nil,
		},
		"too many, while one is read": {
			[]bodyPart{
				jsonPart(jsonOf("1.1", framesOf(2), reference("7FE00010", "OB", "p"))), codedPart("image/jpeg", "p", jpegOf(t, 8, 8, 1)),
				jsonPart(jsonOf("1.2"), jsonOf("1.3"), jsonOf("1.4")), codedPart("image/jpeg", "p", jpegOf(t, 8, 8, 2)),
			},
			2, "failed 1.1 " + compose.ErrTooMany.Error() + " | failed 1.2 " + compose.ErrTooMany.Error(), compose.ErrTooMany,
		},
		"other length than it says": {[]bodyPart{{"Content-Type: application/dicom+json|Content-Length: 3", []byte("[" + jsonOf("1.1") + "]")}}, 9, "", compose.ErrSyntax},
		"too many instances":        {[]bodyPart{jsonPart(jsonOf("1.1"), jsonOf("1.2"), jsonOf("1.3"))}, 2, "", compose.ErrTooMany},
		"too many failures":         {[]bodyPart{pdf("1.1"), bulkPart("p1.1", nil), bulkPart("x", nil), bulkPart("x", nil), bulkPart("x", nil)}, 3, "stored 1.1 | other C000 | other C000", compose.ErrTooMany},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 1<<20)
			s.most = test.most
			if got := s.compose(t, multipart(test.parts...)); got.outcomes() != test.want || !errors.Is(got.err, test.err) {
				t.Errorf("got %s, error %v, want %s, error %v\n%s", got.outcomes(), got.err, test.want, test.err, got.says)
			}
		})
	}
	s := newService(t, 1<<20)
	s.mediaType = storeresponse.MediaTypeXML
	header := "Content-Type: application/dicom+xml"
	got := s.compose(t, multipart(bodyPart{header, []byte("<NativeDicomModel")}, xmlPart(header, "1.1", "p"), bulkPart("p", nil)))
	if got.outcomes() != "stored 1.1 | other C000" {
		t.Errorf("of two XML documents the first is wrong: got %s: %s", got.outcomes(), got.says)
	}
}

// If metadata in a later part become invalid after some instances, all of these
// fail: none is stored, but what was yielded before remains.
func TestLaterMetadataThatAreWrong(t *testing.T) {
	first := []bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "OB", "a"))), bulkPart("a", noise(10))}
	for name, test := range map[string]struct {
		header, text string
		cut          int
		err          error
	}{
		"trailing junk":        {"", "[" + jsonOf("1.2") + "," + jsonOf("1.3") + "]x", 0, nil},
		"cut array":            {"", "[" + jsonOf("1.2") + "," + jsonOf("1.3") + ",", 0, nil},
		"another array":        {"", "[" + jsonOf("1.2") + "," + jsonOf("1.3") + "][]", 0, nil},
		"longer than it says":  {"|Content-Length: 10", "[" + jsonOf("1.2") + "," + jsonOf("1.3") + "]", 0, nil},
		"shorter than it says": {"|Content-Length: 99999", "[" + jsonOf("1.2") + "," + jsonOf("1.3") + "]", 0, nil},
		"broken off":           {"", "[" + jsonOf("1.2") + "," + jsonOf("1.3") + strings.Repeat(" ", 50) + "]", 30, related.ErrTruncated},
		"broken off behind it": {"", "[" + jsonOf("1.2") + "," + jsonOf("1.3") + "]", 3, related.ErrTruncated},
	} {
		// Also while another instance reads its parts.
		for _, drawing := range []bool{false, true} {
			parts := slices.Clone(first)
			want := "stored 1.1 | failed 1.2 C000 | failed 1.3 C000"
			if drawing {
				parts[0] = jsonPart(jsonOf("1.1", reference("00420011", "OB", "a"), reference("00540011", "OB", "b")))
				parts[1] = bulkPart("a|Content-Length: 10", noise(10))
			}
			parts = append(parts, bodyPart{"Content-Type: application/dicom+json" + test.header, []byte(test.text)})
			if test.err == nil {
				want += " | other C000"
			}
			switch {
			case drawing && test.err == nil:
				parts = append(parts, bulkPart("b", noise(10)))
			case drawing:
				want = "failed 1.1 C000 | failed 1.2 C000 | failed 1.3 C000"
			}
			body := multipart(parts...)
			got := newService(t, 1<<20).compose(t, body[:len(body)-test.cut])
			if got.outcomes() != want || !errors.Is(got.err, test.err) {
				t.Errorf("%s, drawing %v: got %s, error %v, want %s\n%s", name, drawing, got.outcomes(), got.err, want, got.says)
			}
		}
	}
}

// Without memory to store them separately, several failures are combined.
func TestFailuresWithoutMemory(t *testing.T) {
	s := newService(t, 4<<10)
	parts := []bodyPart{jsonPart(jsonOf("1.1", reference("00420011", "OB", "a"), reference("00540011", "OB", "b"))), bulkPart("a|Content-Length: 0", nil)}
	for range 1000 {
		parts = append(parts, bulkPart("x", nil))
	}
	got := s.compose(t, multipart(append(parts, bulkPart("b|Content-Length: 3", []byte("abc")))...))
	if len(got.stored) != 1 || len(got.other) == 0 || len(got.other) > 10 || got.err != nil {
		t.Errorf("got %d stored, %d failures, error %v", len(got.stored), len(got.other), got.err)
	}
}

// If other requests hold the memory, the error says so.
func TestMetadataMemoryIsBusy(t *testing.T) {
	ledger := memory.New(4<<20, 1<<20, 64<<10)
	other := ledger.Keep()
	if err := other.Take(63 << 10); err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s := newService(t, 1)
	s.kept = ledger.Keep()
	if got := s.compose(t, multipart(jsonPart(jsonOf("1.1")))); !errors.Is(got.err, memory.ErrBusy) {
		t.Errorf("got %s, error %v", got.outcomes(), got.err)
	}
}

// The same applies to bulkdata: the instance that needs to keep them fails; one
// that needs more than any request may have gets another error.
func TestBulkdataMemoryIsBusy(t *testing.T) {
	two := jsonPart(jsonOf("1.1", reference("00420011", "OB", "a"), reference("00540011", "OB", "b")), jsonOf("1.2"))
	picture := jsonPart(jsonOf("1.1", reference("7FE00010", "OB", "p")), jsonOf("1.2"))
	for name, test := range map[string]struct {
		limit, others int64
		parts         []bodyPart
		want          error
	}{
		"out of order, busy":     {400 << 10, 330 << 10, []bodyPart{two, bulkPart("b", noise(100<<10)), bulkPart("a", noise(10))}, memory.ErrBusy},
		"out of order, too much": {90 << 10, 0, []bodyPart{two, bulkPart("b", noise(100<<10)), bulkPart("a", noise(10))}, compose.ErrNoRoom},
		"a decoder, busy":        {400 << 10, 330 << 10, []bodyPart{picture, codedPart("image/png", "p", pngOf(t, 4, 4))}, memory.ErrBusy},
		"a decoder, too much":    {90 << 10, 0, []bodyPart{picture, codedPart("image/png", "p", pngOf(t, 4, 4))}, compose.ErrNoRoom},
	} {
		ledger := memory.New(4<<20, 1<<20, test.limit)
		other := ledger.Keep()
		if err := other.Take(test.others); err != nil {
			t.Fatal(err)
		}
		s := newService(t, 1)
		s.kept = ledger.Keep()
		got := s.compose(t, multipart(test.parts...))
		other.Close()
		if got.outcomes() != "stored 1.2 | failed 1.1 A700" || got.err != nil || !errors.Is(got.failure, test.want) ||
			errors.Is(got.failure, memory.ErrBusy) && errors.Is(got.failure, compose.ErrNoRoom) {
			t.Errorf("%s: got %s: %s", name, got.outcomes(), got.says)
		}
	}
}

// An error of the parts is returned unchanged, and ends the body; instances that were complete are stored.
func TestBodyThatFails(t *testing.T) {
	broken := errors.New("connection reset")
	pdf := func(sop string) string { return jsonOf(sop, reference("00420011", "OB", "p"+sop)) }
	body := multipart(jsonPart(pdf("1.1"), pdf("1.2")), bulkPart("p1.1", noise(1000)), bulkPart("p1.2", noise(1000)))
	for cut := len(body) - 1; cut > 0; cut -= 97 {
		s := newService(t, 1<<20)
		parts := newParts(io.MultiReader(bytes.NewReader(body[:cut]), failing{broken}))
		first, err := parts.Next()
		if err != nil {
			continue
		}
		got := s.run(t, first, parts)
		if !errors.Is(got.err, broken) {
			t.Errorf("cut to %d: error %v", cut, got.err)
		}
		if n := len(got.stored) + len(got.failed) + len(got.other); n != 0 && n != 2 || len(got.stored) > 0 && n != 2 {
			t.Errorf("cut to %d: got %s", cut, got.outcomes())
		}
		parts.Close()
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Close frees everything, wherever the loop is left, also after a panic in it.
func TestCloseFreesEverything(t *testing.T) {
	a := jpegOf(t, 40, 60, 1)
	body := multipart(jsonPart(jsonOf("1.0"), jsonOf("1.1", framesOf(2), reference("00091001", "OB", "x"), reference("7FE00010", "OB", "p")), jsonOf("1.2", reference("00091001", "OB", "x"))),
		bulkPart("x", noise(5000)), codedPart("image/jpeg", "p/frames/2", a), codedPart("image/jpeg", "p/frames/1", a))
	base, err := url.Parse("http://stow.example/studies")
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for step := range 3 {
		for _, how := range []string{"panic", "break"} {
			kept := memory.New(4<<20, 1<<20, 1<<20).Keep()
			parts := newParts(bytes.NewReader(body))
			first, err := parts.Next()
			if err != nil {
				t.Fatal(err)
			}
			c := compose.New(compose.Request{MediaType: storeresponse.MediaTypeJSON, Base: base, Memory: kept, LateBytes: 8 << 20, MaxInstances: 9}, first, parts)
			func() {
				defer func() { _ = recover() }()
				defer c.Close()
				n := 0
				for i := range c.Instances() {
					if _, err := io.CopyN(io.Discard, i, 400); err != nil && !errors.Is(err, io.EOF) {
						t.Fatal(err)
					}
					if n++; n <= step {
						continue
					}
					if how == "break" {
						break
					}
					panic("in the loop")
				}
			}()
			if held := kept.HeldBytes(); held != 0 {
				t.Errorf("%s at %d: %d bytes are held", how, step, held)
			}
			c.Close()
			parts.Close()
		}
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-before)
		}
	}
}

// Nothing of an instance is kept when the next step begins: a request with thousands of
// instances, each with its metadata before its bulkdata, needs the memory of one.
func TestMemoryIsFreedAtEachStep(t *testing.T) {
	var parts []bodyPart
	for n := range 3000 {
		sop := fmt.Sprintf("1.%d", n+1)
		parts = append(parts, jsonPart(jsonOf(sop, reference("00420011", "OB", "p"+sop))), bulkPart("p"+sop, noise(100)))
	}
	s := newService(t, 16<<10)
	if got := s.compose(t, multipart(parts...)); len(got.stored) != 3000 || got.err != nil {
		t.Errorf("%d stored, error %v: %.500s", len(got.stored), got.err, got.says)
	}
}
