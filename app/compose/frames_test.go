package compose_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func framesOf(n int) string { return fmt.Sprintf(`"00280008":{"vr":"IS","Value":[%d]}`, n) }

// PS3.18 §10.1.4: /frames/N is the number of a frame, in whatever order the parts arrive.
func TestFrameNumbersDecide(t *testing.T) {
	a, b, c := jpegOf(t, 40, 60, 1), jpegOf(t, 40, 60, 7), jpegOf(t, 40, 60, 13)
	all := [][]byte{a, b, c}
	html := []byte("<html>502 Bad Gateway</html>")
	pixels := reference("7FE00010", "OB", "p")
	numbered := func(order ...int) (parts []bodyPart) {
		for _, n := range order {
			parts = append(parts, codedPart("image/jpeg", fmt.Sprintf("p/frames/%d", n), all[(n+2)%3]))
		}
		return parts
	}
	frames := func(contents ...[]byte) (parts []bodyPart) {
		for _, content := range contents {
			parts = append(parts, codedPart("image/jpeg", "p", content))
		}
		return parts
	}
	for name, test := range map[string]struct {
		metadata string
		parts    []bodyPart
		want     string // empty: stored, with a to c in order
		says     string
	}{
		"in order":                 {framesOf(3), numbered(1, 2, 3), "", ""},
		"in reverse":               {framesOf(3), numbered(3, 2, 1), "", ""},
		"rotated":                  {framesOf(3), numbered(3, 1, 2), "", ""},
		"two swapped":              {framesOf(3), numbered(1, 3, 2), "", ""},
		"one twice":                {framesOf(3), numbered(1, 1, 2), "failed 1.1 C000", "frame 1, which came before"},
		"one ahead twice":          {framesOf(3), numbered(1, 3, 3), "failed 1.1 C000", "frame 3, which came before"},
		"one beyond the number":    {framesOf(3), numbered(1, 2, 4), "failed 1.1 C000", "frame 4, Number of Frames (0028,0008) is 3"},
		"frame 0":                  {framesOf(3), append(numbered(1, 2), codedPart("image/jpeg", "p/frames/0", c)), "failed 1.1 C000", "p/frames/0"},
		"a huge number":            {framesOf(3), append(numbered(1, 2), codedPart("image/jpeg", "p/frames/9999999999", c)), "failed 1.1 C000", "Number of Frames"},
		"one without a number":     {framesOf(3), append(numbered(1, 2), codedPart("image/jpeg", "p", c)), "failed 1.1 C000", "others do not"},
		"more than the number":     {framesOf(3), append(numbered(1, 2, 3), codedPart("image/jpeg", "p", a)), "failed 1.1 C000", "more parts come for (7FE0,0010) than Number of Frames"},
		"more than one":            {`"00280009":{"vr":"AT"}`, frames(a, b), "failed 1.1 C000", "more parts come for (7FE0,0010) than Number of Frames"},
		"more, after another":      {framesOf(3), append(numbered(1, 2, 3), bulkPart("x", nil), codedPart("image/jpeg", "p", a)), "stored 1.1 | other C000 | other C000", "came twice"},
		"a number that is none":    {`"00280008":{"vr":"IS","Value":["some"]}`, frames(a), "failed 1.1 C000", "(0028,0008)"},
		"a page instead":           {framesOf(2), frames(a, html), "failed 1.1 C000", `"p"`},
		"a page instead, kept":     {framesOf(2), []bodyPart{codedPart("image/jpeg", "p/frames/2", html), codedPart("image/jpeg", "p/frames/1", a)}, "failed 1.1 C000", `"p/frames/2"`},
		"an empty frame":           {framesOf(2), frames(a, nil), "failed 1.1 C000", `"p"`},
		"a frame cut in its head":  {framesOf(2), frames(a, b[:30]), "failed 1.1 C000", `"p"`},
		"a frame cut near its end": {framesOf(2), frames(a, b[:len(b)-1]), "failed 1.1 C000", `"p" is cut`},
		"a frame cut in the midst": {framesOf(2), frames(a[:len(a)/2+200], b), "failed 1.1 C000", `"p" is cut`},
		"a frame of other bits":    {framesOf(2), frames(a, jpegOf(t, 40, 61, 1)), "failed 1.1 C000", "other Rows or Columns"},
		"one more, while another is missing": {
			strings.Join([]string{reference("00091001", "OB", "x"), `"00280009":{"vr":"AT"}`}, ","),
			append(frames(a, b), bulkPart("x", nil)), "failed 1.1 C000 | other C000", "more parts come for (7FE0,0010)",
		},
		"frames of native pixels": {
			strings.Join([]string{framesOf(2), grey(4, 4)}, ","),
			[]bodyPart{bulkPart("p/frames/1", noise(32)), bulkPart("p/frames/2", noise(32))}, "failed 1.1 C000", "in one part",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 1<<20)
			got := s.compose(t, multipart(slices.Concat([]bodyPart{jsonPart(jsonOf("1.1", test.metadata, pixels))}, test.parts)...))
			if test.want == "" {
				if got.outcomes() != "stored 1.1" {
					t.Fatalf("got %s: %s", got.outcomes(), got.says)
				}
				s.wantEnd(t, "1.1", encapsulated(a, b, c))
				return
			}
			if !strings.HasPrefix(got.outcomes(), test.want) || !strings.Contains(got.says, test.says) {
				t.Errorf("got %s: %s, want %s that says %s", got.outcomes(), got.says, test.want, test.says)
			}
		})
	}
}

// A frame that arrives before its turn is kept if there is memory; otherwise only its instance fails.
func TestFramesAheadNeedMemory(t *testing.T) {
	s := newService(t, 64<<10)
	a := jpegOf(t, 40, 60, 1)
	large := longer(a, 100_000)
	got := s.compose(t, multipart(jsonPart(jsonOf("1.1", framesOf(2), reference("7FE00010", "OB", "p")), jsonOf("1.2", reference("7FE00010", "OB", "q"))),
		codedPart("image/jpeg", "p/frames/2", large), codedPart("image/jpeg", "p/frames/1", a), codedPart("image/jpeg", "q", large)))
	if got.outcomes() != "stored 1.2 | failed 1.1 A700" {
		t.Errorf("got %s: %s", got.outcomes(), got.says)
	}
}

// All frames have the same samples as the first, because the dataset describes it.
func TestLaterFrameIsInColour(t *testing.T) {
	var contents [2][]byte
	for n, name := range []string{"grey.jpg", "444.jpg"} {
		var err error
		if contents[n], err = os.ReadFile("bulkdata/testdata/" + name); err != nil {
			t.Fatal(err)
		}
	}
	s := newService(t, 1<<20)
	got := s.compose(t, multipart(jsonPart(jsonOf("1.1", framesOf(2), reference("7FE00010", "OB", "p"))), codedPart("image/jpeg", "p", contents[0]), codedPart("image/jpeg", "p", contents[1])))
	if got.outcomes() != "failed 1.1 C000" || !strings.Contains(got.says, "other samples") {
		t.Errorf("got %s: %s", got.outcomes(), got.says)
	}
}

// If a later frame is lossy, the dataset must say so at its beginning (PS3.3 §C.7.6.1.1.5).
func TestLaterFrameIsLossy(t *testing.T) {
	near, err := os.ReadFile("bulkdata/testdata/near.jls")
	if err != nil {
		t.Fatal(err)
	}
	lossless := bytes.Clone(near)
	scan := bytes.Index(lossless, []byte{0xFF, 0xDA}) + 4
	lossless[scan+1+2*int(lossless[scan])] = 0 // NEAR, ISO/IEC 14495-1 §C.2.3
	const mediaType = "image/jls; transfer-syntax=1.2.840.10008.1.2.4.81"
	for loss, want := range map[string]string{"00": "failed 1.1 C000", "01": "stored 1.1"} {
		s := newService(t, 1<<20)
		got := s.compose(t, multipart(jsonPart(jsonOf("1.1", framesOf(2), fmt.Sprintf(`"00282110":{"vr":"CS","Value":[%q]}`, loss), reference("7FE00010", "OB", "p"))),
			codedPart(mediaType, "p", lossless), codedPart(mediaType, "p", near)))
		if got.outcomes() != want {
			t.Errorf("%s: got %s: %s", loss, got.outcomes(), got.says)
		}
	}
}

// An instance begins when the first parts that it needs have arrived: until then, others continue.
func TestOthersDoNotWait(t *testing.T) {
	s := newService(t, 1<<20)
	got := s.compose(t, multipart(jsonPart(jsonOf("1.1", reference("00420011", "OB", "a"), reference("00540011", "OB", "b")), jsonOf("1.2", reference("00420011", "OB", "c"))),
		bulkPart("b", noise(10)), bulkPart("c", noise(10)), bulkPart("a", noise(10))))
	if got.outcomes() != "stored 1.2 | stored 1.1" {
		t.Errorf("got %s: %s", got.outcomes(), got.says)
	}
}

// Bulkdata that several attributes refer to fill all of them.
func TestSharedBulkdata(t *testing.T) {
	a := jpegOf(t, 40, 60, 1)
	image := func(sop string) string { return jsonOf(sop, reference("7FE00010", "OB", "p")) }
	lut := func(sop string) string {
		return jsonOf(sop, reference("00091001", "OB", "lut"), grey(4, 4), reference("7FE00010", "OW", "p"+sop))
	}
	t.Run("two instances", func(t *testing.T) {
		s := newService(t, 1<<20)
		if got := s.compose(t, multipart(jsonPart(image("1.1"), image("1.2")), codedPart("image/jpeg", "p", a))); got.outcomes() != "stored 1.1 | stored 1.2" {
			t.Fatalf("got %s: %s", got.outcomes(), got.says)
		}
		s.wantEnd(t, "1.1", encapsulated(a))
		s.wantEnd(t, "1.2", encapsulated(a))
	})
	t.Run("two attributes", func(t *testing.T) {
		s := newService(t, 1<<20)
		got := s.compose(t, multipart(jsonPart(jsonOf("1.1", reference("00420011", "OB", "x"), reference("00540011", "OB", "x"))), bulkPart("x", noise(101))))
		if got.outcomes() != "stored 1.1" {
			t.Fatalf("got %s: %s", got.outcomes(), got.says)
		}
		s.wantEnd(t, "1.1", element(0x42, 0x11, "OB", noise(101)), element(0x54, 0x11, "OB", noise(101)))
	})
	t.Run("beside others, which stream", func(t *testing.T) {
		s := newService(t, 1<<20)
		got := s.compose(t, multipart(jsonPart(lut("1.1"), lut("1.2"), lut("1.3")), bulkPart("lut", noise(256)), bulkPart("p1.2", noise(32)), bulkPart("p1.1", noise(32)), bulkPart("p1.3", noise(32))))
		if got.outcomes() != "stored 1.2 | stored 1.1 | stored 1.3" {
			t.Errorf("got %s: %s", got.outcomes(), got.says)
		}
	})
	t.Run("frames", func(t *testing.T) {
		s := newService(t, 1<<20)
		two := func(sop string) string { return jsonOf(sop, framesOf(2), reference("7FE00010", "OB", "p")) }
		got := s.compose(t, multipart(jsonPart(two("1.1"), two("1.2")), codedPart("image/jpeg", "p/frames/2", a), codedPart("image/jpeg", "p/frames/1", a)))
		if got.outcomes() != "stored 1.1 | stored 1.2" {
			t.Fatalf("got %s: %s", got.outcomes(), got.says)
		}
		s.wantEnd(t, "1.2", encapsulated(a, a))
	})
	t.Run("of other Number of Frames", func(t *testing.T) {
		s := newService(t, 1<<20)
		got := s.compose(t, multipart(jsonPart(image("1.1"), jsonOf("1.2", framesOf(2), reference("7FE00010", "OB", "p"))), codedPart("image/jpeg", "p", a), codedPart("image/jpeg", "p", a)))
		if got.outcomes() != "stored 1.1 | stored 1.2" {
			t.Errorf("got %s: %s", got.outcomes(), got.says)
		}
	})
	t.Run("more than memory holds", func(t *testing.T) {
		s := newService(t, 64<<10)
		large := longer(a, 200_000)
		got := s.compose(t, multipart(jsonPart(image("1.1"), image("1.2")), codedPart("image/jpeg", "p", large)))
		if got.outcomes() != "stored 1.1 | failed 1.2 A700" {
			t.Fatalf("got %s: %s", got.outcomes(), got.says)
		}
		s.wantEnd(t, "1.1", encapsulated(large))
	})
	t.Run("the first is not read", func(t *testing.T) {
		s := newService(t, 1<<20)
		asked := 0
		s.reads = func() bool { asked++; return asked > 1 }
		got := s.compose(t, multipart(jsonPart(image("1.1"), image("1.2")), codedPart("image/jpeg", "p", a)))
		if got.outcomes() != "stored 1.2" {
			t.Errorf("got %s: %s", got.outcomes(), got.says)
		}
	})
	t.Run("each has its own part of the same name, one after the other", func(t *testing.T) {
		s := newService(t, 1<<20)
		b := jpegOf(t, 40, 60, 7)
		got := s.compose(t, multipart(jsonPart(image("1.1")), codedPart("image/jpeg", "p", a), jsonPart(image("1.2")), codedPart("image/jpeg", "p", b)))
		if got.outcomes() != "stored 1.1 | stored 1.2" {
			t.Fatalf("got %s: %s", got.outcomes(), got.says)
		}
		s.wantEnd(t, "1.2", encapsulated(b))
	})
}

// A few bytes must not become many instances of many bytes: the limit is 256 times the received bytes, and 256 MiB.
func TestSharedBulkdataAreNoBomb(t *testing.T) {
	s := newService(t, 16<<20)
	s.reads = func() bool { return false }
	shared := instancesOf(400, func(int) string { return reference("00420011", "OB", "x") })
	got := s.compose(t, multipart(shared, bulkPart("x", noise(8<<20))))
	if want := 400 - 1 - (256 + 256/8); len(got.failed) != want || !strings.Contains(got.says, "more than 256 times their bytes") {
		t.Errorf("%d of 400 instances are refused, want %d: %.300s", len(got.failed), want, got.says)
	}
}

// The limit counts what the request produces, also by decoding.
func TestPNGIsNoBomb(t *testing.T) {
	var empty, full bytes.Buffer
	for picture, b := range map[*image.Gray]*bytes.Buffer{image.NewGray(image.Rect(0, 0, 4000, 4000)): &empty, {Pix: noise(500 * 500), Stride: 500, Rect: image.Rect(0, 0, 500, 500)}: &full} {
		if err := png.Encode(b, picture); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		shares int // of a MiB
		want   string
	}{
		"in a request of little else":     {256, "stored 2.1 | stored 2.2"},
		"in a request that has made much": {513, "stored 2.2 | failed 2.1 C000"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, 16<<20)
			shared := instancesOf(test.shares, func(int) string { return reference("00420011", "OB", "x") })
			reading := 0
			s.reads = func() bool { reading++; return reading > test.shares }
			got := s.compose(t, multipart(shared, bulkPart("x", noise(1<<20)),
				jsonPart(jsonOf("2.1", reference("7FE00010", "OB", "empty"))), codedPart("image/png", "empty", empty.Bytes()),
				jsonPart(jsonOf("2.2", reference("7FE00010", "OB", "full"))), codedPart("image/png", "full", full.Bytes())))
			if got.outcomes() != test.want {
				t.Errorf("got %s, want %s: %s", got.outcomes(), test.want, got.says)
			}
		})
	}
}

// Many parts, or attributes, with one URI take linear time: four times as many take about four times as
// long, not sixteen times.
func TestManyOfOneURITakeLinearTime(t *testing.T) {
	part := codedPart("image/jpeg", "p", jpegOf(t, 8, 8, 1))
	single := jsonPart(jsonOf("1.1", reference("00091001", "OB", "p")))
	sequence := func(n int) bodyPart {
		items := slices.Repeat([]string{"{" + reference("00091001", "OB", "p") + "}"}, n)
		return jsonPart(jsonOf("1.1", `"00081140":{"vr":"SQ","Value":[`+strings.Join(items, ",")+`]}`))
	}
	for name, parts := range map[string]func(n int) []bodyPart{
		"superfluous": func(n int) []bodyPart { return append([]bodyPart{single}, slices.Repeat([]bodyPart{part}, n)...) },
		"frames": func(n int) []bodyPart {
			return append([]bodyPart{jsonPart(jsonOf("1.1", framesOf(n), reference("7FE00010", "OB", "p")))}, slices.Repeat([]bodyPart{part}, n)...)
		},
		"attributes":           func(n int) []bodyPart { return []bodyPart{sequence(n), part} },
		"attributes and parts": func(n int) []bodyPart { return append([]bodyPart{sequence(n)}, slices.Repeat([]bodyPart{part}, n)...) },
	} {
		t.Run(name, func(t *testing.T) {
			takes := func(n int) time.Duration {
				s, body := newService(t, 64<<20), multipart(parts(n)...)
				begun := time.Now()
				got := s.compose(t, body)
				if len(got.stored) != 1 {
					t.Fatalf("got %.300s", got.outcomes()+got.says)
				}
				return time.Since(begun)
			}
			takes(100) // what is made once
			few, many := takes(3_000), takes(12_000)
			t.Logf("3,000 take %v, 12,000 take %v", few, many)
			if many > 10*few+100*time.Millisecond {
				t.Errorf("3,000 take %v, 12,000 take %v", few, many)
			}
		})
	}
}
