package stow

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

// split reads a whole body. The parts before an error are returned with it.
func split(body io.Reader, boundary string) (parts []string, err error) {
	s := newSplitter(body, boundary, -1)
	defer s.close()
	for {
		p, err := s.next()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return parts, err
		}
		data, err := io.ReadAll(p)
		if err != nil && !errors.Is(err, errPartLength) {
			return parts, err
		}
		if err != nil {
			data = []byte("wrong length")
		}
		parts = append(parts, string(data))
	}
}

// RFC 2046 §5.1, and as clients write it. CRLF stands as in the body.
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
		"empty part":                         {"--bound\r\n\r\n\r\n--bound--", []string{""}, nil},
		"empty part without its line end":    {"--bound\r\n\r\n--bound--", []string{""}, nil},
		"header without colon":               {"--bound\r\ngarbage\r\n\r\none\r\n--bound--", []string{"one"}, nil},
		"Content-Length is right (Orthanc)":  {"--bound\r\nContent-Length: 3\r\n\r\none\r\n--bound--", []string{"one"}, nil},
		"Content-Length is wrong":            {"--bound\r\nContent-Length: 4\r\n\r\none\r\n--bound\r\n\r\ntwo\r\n--bound--", []string{"wrong length", "two"}, nil},
		"no part":                            {"--bound--\r\n", nil, nil},
		"empty body":                         {"", nil, errTruncated},
		"no boundary in the body":            {"some text\r\n", nil, errTruncated},
		"closing boundary is missing":        {"--bound\r\n\r\none\r\n", nil, errTruncated},
		"cut within the second part":         {"--bound\r\n\r\none\r\n--bound\r\n\r\ntw", []string{"one"}, errTruncated},
		"cut within the delimiter":           {"--bound\r\n\r\none\r\n--bou", nil, errTruncated},
		"cut behind the delimiter":           {"--bound\r\n\r\none\r\n--bound", nil, errTruncated},
		"cut behind one hyphen":              {"--bound\r\n\r\none\r\n--bound-", nil, errTruncated},
		"cut behind a delimiter line":        {"--bound\r\n\r\none\r\n--bound\r\n", []string{"one"}, errTruncated},
		"cut within a header":                {"--bound\r\n\r\none\r\n--bound\r\nContent-Ty", []string{"one"}, errTruncated},
		"headers larger than 16 KiB":         {"--bound\r\nX: " + strings.Repeat("x", 20_000) + "\r\n\r\none\r\n--bound--", nil, errPartHeader},
		"headers without end":                {"--bound\r\n" + strings.Repeat("X: y\r\n", 20_000), nil, errPartHeader},
		"boundary only starts like the name": {"--boundary\r\n\r\none\r\n--boundary--", nil, errTruncated},
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

// A part that is not read to its end, because its instance was refused, does not disturb the next.
func TestSplitSkipsWhatIsNotRead(t *testing.T) {
	for _, read := range []int{0, 1, 100, 70_000} {
		s := newSplitter(strings.NewReader("--b\r\n\r\n"+strings.Repeat("one\r\n--", 30_000)+"\r\n--b\r\n\r\ntwo\r\n--b--"), "b", -1)
		p, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(p, make([]byte, read)); err != nil {
			t.Fatal(err)
		}
		if p, err = s.next(); err != nil {
			t.Fatalf("after %d bytes: %v", read, err)
		}
		if got, err := io.ReadAll(p); string(got) != "two" || err != nil {
			t.Errorf("after %d bytes: got %q, error %v", read, got, err)
		}
	}
}

// AtMost chooses the size of buffers: it must never be too small.
func TestAtMostIsAnUpperBound(t *testing.T) {
	data := strings.Repeat("x", 100_000)
	body := "--b\r\n\r\n" + data + "\r\n--b\r\n\r\n" + data + "\r\n--b--\r\n"
	s := newSplitter(strings.NewReader(body), "b", int64(len(body)))
	for range 2 {
		p, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		for left := int64(len(data)); left > 0; {
			if p.AtMost() < left || p.AtMost() > int64(len(body)) {
				t.Fatalf("AtMost is %d, %d bytes are to come", p.AtMost(), left)
			}
			n, err := p.Read(make([]byte, 1000))
			if err != nil {
				t.Fatal(err)
			}
			left -= int64(n)
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
		s := newSplitter(bytes.NewReader(body), boundary, int64(len(body)))
		for {
			p, err := s.next()
			if err == io.EOF {
				break
			}
			for err == nil {
				_, err = p.Read(buffer)
			}
		}
		s.close()
	}
}
