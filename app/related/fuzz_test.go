package related

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// FuzzParseMediaType holds for any Content-Type or Accept header: no panic; a value
// that is quoted again is read as the same; and if mime.ParseMediaType understands
// it, both give the same type, boundary and type parameter.
//
// Known differences: RFC 2231 (boundary*0=, boundary*=), which no client needs, is not
// supported here; and mime keeps a backslash before a letter, which RFC 9110 §5.6.4 removes.
func FuzzParseMediaType(f *testing.F) {
	for _, seed := range []string{
		"", ";;;", "application/dicom", "Application/DICOM ; Transfer-Syntax=1.2.840.10008.1.2.4.50",
		`multipart/related; type="application/dicom"; boundary="a b;c,d"`,
		`multipart/related;type=application/dicom;boundary=a=b/c:d?e'f`,
		`multipart/related; boundary="a\"b\\c"; BOUNDARY=twice; boundary`,
		`multipart/related; boundary="not closed; type=x`, `multipart/related; boundary="a" b`, `multipart/related; boundary="a\"`,
		`a/b; boundary*0=x; boundary*1=y; type*=utf-8''z`,
		`*/*;q=0.5, application/dicom+xml;q="1", application/dicom+json;q=-1, image/png;q=NaN`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := ParseMediaType(s)
		for name, value := range got.Params {
			quoted := `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(value) + `"`
			again := ParseMediaType(`a/b; x=1; type=` + quoted + `;y=","`)
			if again.Name != "a/b" || again.Params["type"] != value || again.Params["y"] != "," {
				t.Fatalf("%s=%q, quoted again, is %+v", name, value, again)
			}
		}
		name, params, err := mime.ParseMediaType(s)
		if err != nil || strings.ContainsAny(s, `*\`) {
			return
		}
		for _, param := range []string{"boundary", "type", "q", "charset"} {
			want, wantFound := params[param]
			value, found := got.Params[param]
			if got.Name != name || found != wantFound || value != want {
				t.Fatalf("got %q, %s=%q (%v); mime has %q, %q (%v)", got.Name, param, value, found, name, want, wantFound)
			}
		}
	})
}

// FuzzSplit holds for any boundary, and any contents that do not contain it:
// parts in = bytes out, however the body is framed, arrives and is read. If the body
// is cut, only complete parts are returned, and an error.
func FuzzSplit(f *testing.F) {
	for i, seed := range []struct{ boundary, contents string }{
		{"bound", "one, two, three"},
		{"-", "\r\n-\r\n--\r\n---x"},
		{"b", "\r\n--b0\r\n\r\n--b\n--b1"},
		{"----WebKit", strings.Repeat("\r\n----WebKi", 100)},
		{"a=b/c:d?e'f g", ""},
		{strings.Repeat("x", MaxBoundaryBytes), "\x00\xFF\r"},
		{"large", strings.Repeat("larger than the buffer\r\n--larg", 200)},
	} {
		for n := range uint64(20) {
			f.Add(seed.boundary, []byte(seed.contents), 100*uint64(i)+n)
		}
	}
	f.Fuzz(func(t *testing.T, boundary string, contents []byte, seed uint64) {
		if boundary == "" || len(boundary) > MaxBoundaryBytes || strings.ContainsAny(boundary, "\r\n") || strings.TrimRight(boundary, " \t") != boundary {
			return
		}
		f := &framer{Rand: rand.New(rand.NewPCG(seed, 0)), boundary: boundary}
		f.lineEnd = f.pick("\r\n", "\n")
		parts := f.parts(contents)
		for _, p := range parts {
			if f.occurs(p) { // RFC 2046 §5.1: a part must not contain it
				return
			}
		}
		body, closing := f.frame(parts)
		for how, source := range map[string]io.Reader{
			"at once": bytes.NewReader(body), "in pieces": &pieces{bytes.NewReader(body), f.Rand}, "end with data": iotest.DataErrReader(bytes.NewReader(body)),
		} {
			got, err := f.split(source)
			if diff := cmp.Diff(parts, got); err != nil || diff != "" {
				t.Fatalf("%s: error %v, parts of %q differ (-want +got):\n%s", how, err, body, diff)
			}
		}
		for range 8 {
			cut := body[:f.IntN(closing)]
			got, err := f.split(&pieces{bytes.NewReader(cut), f.Rand})
			if err == nil || len(got) > len(parts) || !slices.Equal(got, parts[:len(got)]) {
				t.Fatalf("cut to %q: error %v, parts %q of %q", cut, err, got, parts)
			}
		}
	})
}

// framer frames parts in one of the many ways of clients.
type framer struct {
	*rand.Rand
	boundary, lineEnd string
}

func (f *framer) pick(choices ...string) string { return choices[f.IntN(len(choices))] }

// parts divides the contents into one to three parts, and inserts text that looks like a boundary.
func (f *framer) parts(contents []byte) []string {
	var parts []string
	for n := f.IntN(3); n > 0; n-- {
		at := f.IntN(len(contents) + 1)
		parts, contents = append(parts, string(contents[:at])), contents[at:]
	}
	parts = append(parts, string(contents))
	for i := range parts {
		for range f.IntN(6) {
			parts[i] += f.pick("\r", "\n", "\r\n", "-", "--", " ", f.boundary, f.boundary[:f.IntN(len(f.boundary))], f.lineEnd+"--"+f.boundary)
		}
	}
	return parts
}

// occurs tells whether a delimiter line (RFC 2046 §5.1.1) is contained before the end of a part, even after LF alone.
func (f *framer) occurs(part string) bool {
	delimiter := "\n--" + f.boundary
	all := f.lineEnd + part + f.lineEnd + "--" + f.boundary + f.lineEnd
	for at := 0; ; at++ {
		i := strings.Index(all[at:], delimiter)
		if at += i; at == len(f.lineEnd+part+f.lineEnd)-1 {
			return false
		}
		tail := all[at+len(delimiter):]
		padded := strings.TrimLeft(tail, " \t")
		if strings.HasPrefix(tail, "--") || strings.HasPrefix(padded, "\n") || strings.HasPrefix(padded, "\r\n") {
			return true
		}
	}
}

// frame writes the body; its closing boundary ends at closing.
func (f *framer) frame(parts []string) (body []byte, closing int) {
	var b bytes.Buffer
	b.WriteString(f.pick("", f.lineEnd, "This is MIME."+f.lineEnd, "not"+strings.Repeat("-", f.IntN(3000))+"--"+f.boundary+f.lineEnd))
	b.WriteString("--" + f.boundary)
	for _, p := range parts {
		b.WriteString(f.pick("", "", " ", "\t  ") + f.lineEnd)
		b.WriteString(f.pick("", "Content-Type: application/dicom"+f.lineEnd, fmt.Sprintf("content-length:%d%s", len(p), f.lineEnd)))
		b.WriteString(f.lineEnd + p)
		if p != "" || f.IntN(2) == 0 { // the line end of an empty part may be missing
			b.WriteString(f.lineEnd)
		}
		b.WriteString("--" + f.boundary)
	}
	b.WriteString("--")
	closing = b.Len()
	b.WriteString(f.pick("", f.lineEnd, " "+f.lineEnd, f.lineEnd+"--"+f.boundary+f.lineEnd+f.lineEnd+"not a part"))
	return b.Bytes(), closing
}

// split reads all parts, with buffers of many sizes. With an error it returns the complete parts before it.
func (f *framer) split(source io.Reader) (parts []string, err error) {
	s := NewReader(source, f.boundary, nil)
	s.buf = s.buf[:700+f.IntN(1000)] // so small that contents are longer
	defer func() {
		s.buf = s.buf[:bufferBytes]
		s.Close()
	}()
	for {
		p, err := s.Next()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return parts, err
		}
		var data bytes.Buffer
		if _, err := io.CopyBuffer(struct{ io.Writer }{&data}, struct{ io.Reader }{p}, make([]byte, 1+f.IntN(1<<f.IntN(10)))); err != nil {
			return parts, err
		}
		parts = append(parts, data.String())
	}
}

// pieces reads in pieces of random sizes, many of them only a few bytes.
type pieces struct {
	io.Reader
	random *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	return p.Reader.Read(b[:min(len(b), 1+p.random.IntN(1<<p.random.IntN(10)))])
}
