package compose_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// wanted is the expected content of an instance.
type wanted struct {
	sop  string
	uris []string // of the parts that it needs
	has  [][]byte // elements
}

// mixer makes requests with random references, and parts in any
// order, with or without a Content-Length. Some do not arrive.
type mixer struct {
	*rand.Rand
	jpegs     [][]byte
	shared    map[string][]byte
	sent      map[string]bool
	parts     []bodyPart
	instances []string
	wanted    []wanted
}

func (m *mixer) send(mediaType, uri string, content []byte) {
	if m.sent[uri] = m.IntN(20) > 0; !m.sent[uri] {
		return
	}
	header := "Content-Type: " + mediaType + "|Content-Location: " + uri
	if m.IntN(2) == 0 {
		header += fmt.Sprintf("|Content-Length: %d", len(content))
	}
	m.parts = append(m.parts, bodyPart{header, content})
}

// refer adds to w an attribute that refers to one of the shared parts.
func (m *mixer) refer(w *wanted, group, number uint16) string {
	uri := fmt.Sprint("shared", m.IntN(len(m.shared)))
	w.uris, w.has = append(w.uris, uri), append(w.has, element(group, number, "OB", m.shared[uri]))
	return reference(fmt.Sprintf("%04X%04X", group, number), "OB", uri)
}

// pixels gives w Pixel Data: native, frames, or none.
func (m *mixer) pixels(w *wanted) []string {
	uri := "pixels" + w.sop
	switch m.IntN(3) {
	case 0:
		content := noise(2 * 50 * 60)
		m.send("application/octet-stream", uri, content)
		w.uris, w.has = append(w.uris, uri), append(w.has, element(0x7FE0, 0x10, "OW", content))
		return []string{grey(50, 60), reference("7FE00010", "OB", uri)}
	case 1:
		count := 1 + m.IntN(len(m.jpegs))
		for f := range count {
			frame := fmt.Sprintf("%s/frames/%d", uri, f+1)
			m.send("image/jpeg", frame, m.jpegs[f])
			w.uris = append(w.uris, frame)
		}
		w.has = append(w.has, encapsulated(m.jpegs[:count]...))
		return []string{framesOf(count), reference("7FE00010", "OB", uri)}
	}
	return nil
}

func (m *mixer) instance(n int) {
	w := wanted{sop: fmt.Sprint("1.", n)}
	var elements []string
	for e := range m.IntN(3) {
		elements = append(elements, m.refer(&w, 9, uint16(0x1000+e)))
	}
	elements = append(elements, m.pixels(&w)...)
	if m.IntN(2) == 0 {
		elements = append(elements, m.refer(&w, 0xFFFC, 0xFFFC))
	}
	m.wanted, m.instances = append(m.wanted, w), append(m.instances, jsonOf(w.sop, elements...))
}

// body makes the request, whose metadata come first.
func (m *mixer) body() []byte {
	for n := range 5 {
		uri := fmt.Sprint("shared", n)
		m.shared[uri] = noise(m.IntN(20_000))
		m.send("application/octet-stream", uri, m.shared[uri])
	}
	for n := range 1 + m.IntN(5) {
		m.instance(n + 1)
	}
	m.Shuffle(len(m.parts), func(i, j int) { m.parts[i], m.parts[j] = m.parts[j], m.parts[i] })
	return multipart(append([]bodyPart{jsonPart(m.instances...)}, m.parts...)...)
}

// In whatever order parts arrive: every instance whose bulkdata all arrive is composed
// of them, and every other fails. With little memory, or if the loop does not read some
// instances, others may fail as well; but what is composed is correct.
func TestAnyOrder(t *testing.T) {
	jpegs := [][]byte{jpegOf(t, 8, 8, 1), jpegOf(t, 8, 8, 3), append(jpegOf(t, 8, 8, 5), 0), append(longer(jpegOf(t, 8, 8, 7), 9000), 0xFF, 0, 0)}
	for seed := range uint64(1000) {
		m := &mixer{Rand: rand.New(rand.NewPCG(seed, 0)), jpegs: jpegs, shared: map[string][]byte{}, sent: map[string]bool{}}
		body := m.body()
		limit := int64(1 << 20)
		if seed%4 == 0 {
			limit = 10_000 + m.Int64N(60_000)
		}
		s := newService(t, limit)
		if seed%3 == 0 {
			s.lateBytes = m.Int64N(3000)
		}
		if seed%5 == 0 {
			s.reads = func() bool { return m.IntN(3) > 0 }
		}
		all := limit == 1<<20 && s.reads == nil // every instance that can be composed must be
		got := s.compose(t, body)
		if got.err != nil && (limit == 1<<20 || len(got.stored) > 0) || all && len(got.stored)+len(got.failed) != len(m.wanted) {
			t.Errorf("seed %d: %s, error %v", seed, got.outcomes(), got.err)
		}
		for _, w := range m.wanted {
			object, stored := s.objects[w.sop]
			complete := !slices.ContainsFunc(w.uris, func(uri string) bool { return !m.sent[uri] })
			if stored && !complete || complete && !stored && all {
				t.Fatalf("seed %d: %s is stored: %v, all came: %v: %s", seed, w.sop, stored, complete, got.says)
			}
			for _, value := range w.has {
				if stored && !bytes.Contains(object, value) {
					t.Fatalf("seed %d: %s lacks a value of %d bytes", seed, w.sop, len(value))
				}
			}
		}
	}
}
