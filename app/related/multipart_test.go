package related

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// split reads a whole body. With an error it returns the parts before it.
func split(body io.Reader, boundary string) (parts []string, err error) {
	s := NewReader(body, boundary, nil)
	defer s.Close()
	for {
		p, err := s.Next()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return parts, err
		}
		data, err := io.ReadAll(p)
		if err != nil && !errors.Is(err, ErrPart) {
			return parts, err
		}
		if err != nil {
			data = []byte("wrong length")
		}
		parts = append(parts, string(data))
	}
}

// Bodies as in RFC 2046 §5.1, and as clients write them, with the CRLF shown.
func TestSplit(t *testing.T) {
	const b = "bound"
	tests := map[string]struct {
		body string
		want []string
		err  error
	}{
		"two parts":                          {"--bound\r\nContent-Type: application/dicom\r\n\r\none\r\n--bound\r\n\r\ntwo\r\n--bound--\r\n", []string{"one", "two"}, nil},
		"leading CRLF (dicomweb-client)":     {"\r\n--bound\r\n\r\none\r\n--bound--", []string{"one"}, nil},
		"no CRLF after the end (Orthanc)":    {"--bound\r\n\r\none\r\n--bound--", []string{"one"}, nil},
		"preamble":                           {"This is MIME.\r\nIgnore --bound here.\r\n--bound\r\n\r\none\r\n--bound--\r\n", []string{"one"}, nil},
		"long preamble":                      {strings.Repeat("preamble --boundless\r\n", 10_000) + "--bound\r\n\r\none\r\n--bound--\r\n", []string{"one"}, nil},
		"long preamble on one line":          {strings.Repeat("-", 200_000) + "\r\n--bound\r\n\r\none\r\n--bound--\r\n", []string{"one"}, nil},
		"epilogue":                           {"--bound\r\n\r\none\r\n--bound--\r\n\r\n--bound\r\n\r\nnot a part\r\n--bound--", []string{"one"}, nil},
		"LF only":                            {"--bound\nContent-Type: application/dicom\n\none\n--bound\n\ntwo\n--bound--\n", []string{"one", "two"}, nil},
		"LF only, data ends in CR":           {"--bound\n\none\r\n--bound--\n", []string{"one\r"}, nil},
		"transport padding":                  {"--bound  \t\r\n\r\none\r\n--bound \r\n\r\ntwo\r\n--bound--  \r\n", []string{"one", "two"}, nil},
		"data ends in CR":                    {"--bound\r\n\r\none\r\r\n--bound--", []string{"one\r"}, nil},
		"data ends in LF":                    {"--bound\r\n\r\none\n\r\n--bound--", []string{"one\n"}, nil},
		"data ends in CRLF":                  {"--bound\r\n\r\none\r\n\r\n--bound--", []string{"one\r\n"}, nil},
		"data ends in hyphens":               {"--bound\r\n\r\none--\r\n--bound--", []string{"one--"}, nil},
		"data has the boundary's beginning":  {"--bound\r\n\r\none\r\n--bou\r\n--bound--", []string{"one\r\n--bou"}, nil},
		"data has a longer boundary":         {"--bound\r\n\r\none\r\n--boundary\r\n--bound--", []string{"one\r\n--boundary"}, nil},
		"data has the boundary in a line":    {"--bound\r\n\r\none --bound--\r\n--bound--", []string{"one --bound--"}, nil},
		"data has the boundary behind LF":    {"--bound\r\n\r\none\n--bound--\r\n--bound--", []string{"one\n--bound--"}, nil},
		"data has an empty line":             {"--bound\r\n\r\none\r\n\r\ntwo\r\n--bound--", []string{"one\r\n\r\ntwo"}, nil},
		"data look like the end":             {"--bound\r\n\r\none\r\n--bound--x\r\n--bound--", []string{"one\r\n--bound--x"}, nil},
		"empty part":                         {"--bound\r\n\r\n\r\n--bound--", []string{""}, nil},
		"empty part without its line end":    {"--bound\r\n\r\n--bound--", []string{""}, nil},
		"header without colon":               {"--bound\r\ngarbage\r\n\r\none\r\n--bound--", []string{"one"}, nil},
		"Content-Length is right (Orthanc)":  {"--bound\r\nContent-Length: 3\r\n\r\none\r\n--bound--", []string{"one"}, nil},
		"Content-Length is wrong":            {"--bound\r\nContent-Length: 4\r\n\r\none\r\n--bound\r\n\r\ntwo\r\n--bound--", []string{"wrong length", "two"}, nil},
		"Content-Range":                      {"--bound\r\nContent-Range: bytes 0-2/9\r\n\r\none\r\n--bound\r\n\r\ntwo\r\n--bound--", []string{"wrong length", "two"}, nil},
		"Content-Length is no length":        {"--bound\r\nContent-Length: abc\r\n\r\none\r\n--bound\r\nContent-Length: -3\r\n\r\ntwo\r\n--bound\r\nContent-Length: 5, 5\r\n\r\nthree\r\n--bound--", []string{"wrong length", "wrong length", "wrong length"}, nil},
		"Content-Length comes twice":         {"--bound\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\none\r\n--bound\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\ntwo\r\n--bound--", []string{"wrong length", "two"}, nil},
		"no part":                            {"--bound--\r\n", nil, nil},
		"empty body":                         {"", nil, ErrTruncated},
		"no boundary in the body":            {"some text\r\n", nil, ErrTruncated},
		"closing boundary is missing":        {"--bound\r\n\r\none\r\n", nil, ErrTruncated},
		"cut within the second part":         {"--bound\r\n\r\none\r\n--bound\r\n\r\ntw", []string{"one"}, ErrTruncated},
		"cut within the delimiter":           {"--bound\r\n\r\none\r\n--bou", nil, ErrTruncated},
		"cut behind the delimiter":           {"--bound\r\n\r\none\r\n--bound", nil, ErrTruncated},
		"cut behind one hyphen":              {"--bound\r\n\r\none\r\n--bound-", nil, ErrTruncated},
		"cut behind a delimiter line":        {"--bound\r\n\r\none\r\n--bound\r\n", []string{"one"}, ErrTruncated},
		"cut within a header":                {"--bound\r\n\r\none\r\n--bound\r\nContent-Ty", []string{"one"}, ErrTruncated},
		"headers larger than 16 KiB":         {"--bound\r\nX: " + strings.Repeat("x", 20_000) + "\r\n\r\none\r\n--bound--", nil, ErrPartHeader},
		"headers without end":                {"--bound\r\n" + strings.Repeat("X: y\r\n", 20_000), nil, ErrPartHeader},
		"boundary only starts like the name": {"--boundary\r\n\r\none\r\n--boundary--", nil, ErrTruncated},
	}
	for name, test := range tests {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "error with data": iotest.DataErrReader,
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				got, err := split(wrap(strings.NewReader(test.body)), b)
				if !errors.Is(err, test.err) {
					t.Errorf("got error %v, want %v", err, test.err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("parts differ (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// The Content-Length of a part is believed: memory is given out by it, so a part that goes on longer ends there, not only at its delimiter. The next part is read.
func TestPartEndsWhenItIsTooLong(t *testing.T) {
	body := io.MultiReader(strings.NewReader("--bound\r\nContent-Length: 3\r\n\r\n"), strings.NewReader(strings.Repeat("x", 1<<20)), strings.NewReader("\r\n--bound\r\n\r\ntwo\r\n--bound--"))
	r := NewReader(body, "bound", nil)
	defer r.Close()
	part, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, part); !errors.Is(err, ErrPart) || n > 64<<10 {
		t.Errorf("%d bytes were read, error %v", n, err)
	}
	part, err = r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(part); err != nil || string(got) != "two" {
		t.Errorf("the next part is %q, error %v", got, err)
	}
}

// Boundaries as clients choose them: Orthanc's is longer than RFC 2046 §5.1.1 allows, others begin with hyphens.
func TestSplitAtUnusualBoundaries(t *testing.T) {
	for _, boundary := range []string{"-", "--", "----WebKitFormBoundary", "a=b/c:d?e'f", "with space", strings.Repeat("x", 256), "1.2.3", "+"} {
		body := "--" + boundary + "\r\n\r\none\r\n--" + boundary + "\r\n\r\ntwo\r\n--" + boundary + "--\r\n"
		got, err := split(iotest.OneByteReader(strings.NewReader(body)), boundary)
		if diff := cmp.Diff([]string{"one", "two"}, got); err != nil || diff != "" {
			t.Errorf("boundary %q: error %v, parts differ (-want +got):\n%s", boundary, err, diff)
		}
	}
}

// A part that is not read to its end, because its instance was refused, does not affect the next.
func TestSplitSkipsWhatIsNotRead(t *testing.T) {
	for _, read := range []int{0, 1, 100, 70_000} {
		s := NewReader(strings.NewReader("--b\r\n\r\n"+strings.Repeat("one\r\n--", 30_000)+"\r\n--b\r\n\r\ntwo\r\n--b--"), "b", nil)
		p, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(p, make([]byte, read)); err != nil {
			t.Fatal(err)
		}
		if p, err = s.Next(); err != nil {
			t.Fatalf("after %d bytes: %v", read, err)
		}
		if got, err := io.ReadAll(p); string(got) != "two" || err != nil {
			t.Errorf("after %d bytes: got %q, error %v", read, got, err)
		}
	}
}

// A body that fills the small buffer gets the large one, but only if there is memory for it.
func TestBufferGrows(t *testing.T) {
	body := "--b\r\n\r\n" + strings.Repeat("one\r\n--", 100_000) + "\r\n--b--"
	for _, plenty := range []bool{true, false} {
		asked := 0
		s := NewReader(strings.NewReader(body), "b", func(n int64) bool { asked++; return plenty })
		p, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(p); len(got) != 700_000 || err != nil {
			t.Errorf("got %d bytes, error %v", len(got), err)
		}
		granted := s.Close()
		if want := map[bool]int64{true: largeBufferBytes, false: 0}[plenty]; granted != want || asked == 0 {
			t.Errorf("plenty %v: %d bytes granted, want %d; asked %d times", plenty, granted, want, asked)
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	instance := make([]byte, 512<<10)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range instance {
		instance[i] = byte(random.Uint32())
	}
	parts := make([][]byte, 500)
	for i := range parts {
		parts[i] = instance
	}
	const boundary = "e2b8b0a7c5f44f6f9d3c"
	body := []byte("--" + boundary)
	for _, p := range parts {
		body = append(append(body, "\r\nContent-Type: application/dicom\r\n\r\n"...), p...)
		body = append(body, "\r\n--"+boundary...)
	}
	body = append(body, "--\r\n"...)
	buffer := make([]byte, 256<<10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		s := NewReader(bytes.NewReader(body), boundary, func(int64) bool { return true })
		for {
			p, err := s.Next()
			if err == io.EOF {
				break
			}
			for err == nil {
				_, err = p.Read(buffer)
			}
		}
		s.Close()
	}
}

// RFC 2046 §5.1 requires CRLF. If a body has mixed line ends, no byte is added to a part
// or lost, and no delimiter hides the next part.
func TestSplitMixedLineEnds(t *testing.T) {
	ends := []string{"\n", "\r\n"}
	for choice := range 1 << 6 {
		end := func(n int) string { return ends[choice>>n&1] }
		for _, first := range []string{"one", "", "one\n", "one\n\n", "\x00\xFF"} {
			for _, closing := range []string{"--", "--" + end(5)} {
				body := "--b" + end(0) + "Content-Type: application/dicom" + end(1) + end(1) + first + end(2) +
					"--b" + end(3) + "Content-Type: application/dicom" + end(1) + end(1) + "two" + end(4) + "--b" + closing
				crlf := end(0)+end(1)+end(3) != "\n\n\n"
				want := []string{first, "two"}
				if end(2) == "\r\n" && !crlf {
					want[0] += "\r"
				}
				if end(4) == "\r\n" && !crlf && closing != "--\r\n" {
					want[1] += "\r"
				}
				for how, source := range map[string]io.Reader{"at once": strings.NewReader(body), "byte by byte": iotest.OneByteReader(strings.NewReader(body))} {
					got, err := split(source, "b")
					if diff := cmp.Diff(want, got); err != nil || diff != "" {
						t.Errorf("%s: error %v, parts of %q differ (-want +got):\n%s", how, err, body, diff)
					}
				}
			}
		}
	}
}

// RFC 5322 §2.2.3: a header continues on a line that begins with white space.
func TestFoldedPartHeaders(t *testing.T) {
	for _, lineEnd := range []string{"\n", "\r\n"} {
		for folded, want := range map[string]string{
			"Content-Location:|\t/a/b":                                "/a/b",
			"Content-Location: |  /a/b":                               "/a/b",
			"Content-Location: /a/b| ":                                "/a/b",
			"Content-Type: a/b|Content-Location:| /a/b|X: y| z":       "/a/b",
			"X-Other: a| Content-Location: /c|Content-Location: /a/b": "/a/b",
			"CONTENT-LOCATION: /a|  b":                                "/a b",
			"Content-Location: /a| | b|\tc ":                          "/a b c",
			"Content-Location| : /c|Content-Location: /a/b":           "/a/b", // a line without a colon is not a header
			" Content-Location: /c|Content-Location: /a/b":            "/a/b",
		} {
			body := "--b" + lineEnd + strings.ReplaceAll(folded, "|", lineEnd) + lineEnd + lineEnd + "data" + lineEnd + "--b--"
			s := NewReader(strings.NewReader(body), "b", nil)
			p, err := s.Next()
			if err != nil || p.Header.Get("Content-Location") != want {
				t.Errorf("%q: error %v, got %v, want %q", body, err, p, want)
			}
			if content, err := io.ReadAll(p); string(content) != "data" || err != nil {
				t.Errorf("%q: error %v, content %q", body, err, content)
			}
			s.Close()
		}
	}
}

// BenchmarkFoldedHeader reads parts whose header is one value in the largest allowed number of lines.
func BenchmarkFoldedHeader(b *testing.B) {
	body := "--b\r\nContent-Type: a" + strings.Repeat("\n x", 5000) + "\r\n\r\n\r\n--b--"
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r := NewReader(strings.NewReader(body), "b", nil)
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
