package stow_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/stow"
)

// What is wrong with metadata or bulkdata harms the instance concerned, and is named.
func TestBulkdataThatDoNotFit(t *testing.T) {
	pixels := noise(2 * 16 * 16)
	image := func(sop, uri string) string { return jsonOf(sop, grey(16, 16), reference("7FE00010", "OW", uri)) }
	two := jsonPart(image("1.1", "a"), image("1.2", "b"))
	for name, test := range map[string]struct {
		path   string
		parts  []bodyPart
		cut    int // bytes missing at the end
		status int
		want   string
		says   string // in a Warning header
	}{
		"unresolved":                  {parts: []bodyPart{two, bulkPart("a", pixels)}, status: 202, want: "stored 1.1 | failed 1.2 C000", says: "Content-Location 'b'"},
		"all unresolved":              {parts: []bodyPart{two}, status: 409, want: "failed 1.1 C000 | failed 1.2 C000", says: "(7FE0,0010)"},
		"superfluous":                 {parts: []bodyPart{two, bulkPart("a", pixels), bulkPart("c", pixels), bulkPart("b", pixels)}, status: 202, want: "stored 1.1 | stored 1.2 | other C000", says: "Content-Location 'c'"},
		"without Content-Location":    {parts: []bodyPart{jsonPart(jsonOf("1.1")), {"Content-Type: application/octet-stream", pixels}}, status: 202, want: "stored 1.1 | other C000", says: "part 2"},
		"twice":                       {parts: []bodyPart{two, bulkPart("a", pixels), bulkPart("a", pixels), bulkPart("b", pixels)}, status: 202, want: "stored 1.1 | stored 1.2 | other C000", says: "came twice"},
		"too short":                   {parts: []bodyPart{two, bulkPart("a", pixels[:500]), bulkPart("b", pixels)}, status: 202, want: "stored 1.2 | failed 1.1 C000", says: "500 bytes instead of 512"},
		"too long":                    {parts: []bodyPart{two, bulkPart("a", noise(515)), bulkPart("b", pixels)}, status: 202, want: "stored 1.2 | failed 1.1 C000", says: "longer than 512"},
		"declared too short":          {parts: []bodyPart{two, bulkPart("a|Content-Length: 100", pixels[:100]), bulkPart("b", pixels)}, status: 202, want: "stored 1.2 | failed 1.1 C000", says: "ask for 512"},
		"not as long as it says":      {parts: []bodyPart{two, bulkPart("a|Content-Length: 600", pixels), bulkPart("b", pixels)}, status: 202, want: "stored 1.2 | failed 1.1 C000", says: "Content-Length"},
		"cut off in the second":       {parts: []bodyPart{two, bulkPart("a", pixels), bulkPart("b", pixels)}, cut: 100, status: 202, want: "stored 1.1 | failed 1.2 C000"},
		"cut off in the first":        {parts: []bodyPart{two, bulkPart("a", pixels)}, cut: 100, status: 400, want: "failed 1.1 C000 | failed 1.2 C000"},
		"cut off in the metadata":     {parts: []bodyPart{two}, cut: 100, status: 400},
		"another study":               {path: "/studies/9.9", parts: []bodyPart{two, bulkPart("a", pixels), bulkPart("b", pixels)}, status: 409, want: "failed 1.1 A901 | failed 1.2 A901"},
		"no SOP Instance UID":         {parts: []bodyPart{jsonPart(strings.Replace(jsonOf("1.1"), "00080018", "00080019", 1), jsonOf("1.2"))}, status: 202, want: "stored 1.2 | other 0120"},
		"a UID that is none":          {parts: []bodyPart{jsonPart(strings.Replace(jsonOf("1.1"), `"1.2.3"`, `"../x"`, 1), jsonOf("1.2"))}, status: 202, want: "stored 1.2 | failed 1.1 0117"},
		"a value of another kind":     {parts: []bodyPart{jsonPart(jsonOf("1.1", `"00280010":{"vr":"US","Value":["many"]}`), jsonOf("1.2"))}, status: 202, want: "stored 1.2 | failed 1.1 C000", says: "0028,0010"},
		"not JSON":                    {parts: []bodyPart{jsonPart(`{"00080016"`)}, status: 400},
		"an empty array":              {parts: []bodyPart{jsonPart()}, status: 400},
		"only bulkdata":               {parts: []bodyPart{bulkPart("a", pixels)}, status: 400},
		"dataset of another VR model": {parts: []bodyPart{jsonPart(jsonOf("1.1", reference("00280010", "US", "a"))), bulkPart("a", noise(1<<17))}, status: 409, want: "failed 1.1 C000", says: "at most 65534"},
		"Pixel Data said to be PDF":   {parts: []bodyPart{jsonPart(image("1.1", "a")), {"Content-Type: image/bmp|Content-Location: a", pixels}}, status: 409, want: "failed 1.1 C000", says: "image/bmp"},
	} {
		t.Run(name, func(t *testing.T) {
			s := metadataService(t, 1<<20)
			if test.path == "" {
				test.path = "/studies"
			}
			body := related(test.parts...)
			got := s.post(t, test.path, relatedJSON, bytes.NewReader(body[:len(body)-test.cut]))
			if got.status != test.status || got.outcomes() != test.want {
				t.Errorf("got %d %s, want %d %s\n%s", got.status, got.outcomes(), test.status, test.want, got.body)
			}
			if warnings := fmt.Sprint(got.header["Warning"]); !strings.Contains(warnings, test.says) {
				t.Errorf("got Warning %s, want one that says %s", warnings, test.says)
			}
			for _, key := range s.s3.Keys() {
				if !strings.Contains(test.want, "stored "+key[strings.LastIndex(key, "/")+1:]) {
					t.Errorf("%s is stored", key)
				}
			}
		})
	}
}

// METADATALIMIT bounds the metadata, and the bulkdata that come before their turn.
func TestMetadataLimit(t *testing.T) {
	const limit = 256 << 10
	comment := fmt.Sprintf(`"00204000":{"vr":"LT","Value":[%q]}`, strings.Repeat("x", 9000))
	var many []string
	for i := range 40 {
		many = append(many, jsonOf(fmt.Sprintf("1.%d", i+1), comment))
	}
	late := jsonOf("1.1", reference("00420011", "OB", "a"), reference("00540011", "OB", "b"))
	for name, test := range map[string]struct {
		parts  []bodyPart
		status int
		want   string
	}{
		"much metadata":                   {[]bodyPart{jsonPart(many...)}, 413, ""},
		"less metadata":                   {[]bodyPart{jsonPart(many[:5]...)}, 200, "stored 1.1 | stored 1.2 | stored 1.3 | stored 1.4 | stored 1.5"},
		"in order, much":                  {[]bodyPart{jsonPart(late), bulkPart("a|Content-Length: 1000000", noise(1e6)), bulkPart("b", noise(3e6))}, 200, "stored 1.1"},
		"in order, unknown, in the midst": {[]bodyPart{jsonPart(late), bulkPart("a", noise(1e6)), bulkPart("b", noise(1e6))}, 409, "failed 1.1 A700"},
		"out of order, little":            {[]bodyPart{jsonPart(late), bulkPart("b", noise(5e4)), bulkPart("a", noise(5e4))}, 200, "stored 1.1"},
		"out of order, much":              {[]bodyPart{jsonPart(late, jsonOf("1.2")), bulkPart("b", noise(1e6)), bulkPart("a", noise(1e6))}, 202, "stored 1.2 | failed 1.1 A700"},
		"much before native Pixel Data": {
			[]bodyPart{
				jsonPart(jsonOf("1.1", reference("00091001", "OB", "a"), grey(64, 64), reference("7FE00010", "OW", "p"))),
				bulkPart("a|Content-Length: 1000000", noise(1e6)), bulkPart("p", noise(2*64*64)),
			}, 200, "stored 1.1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := metadataService(t, limit)
			got := s.post(t, "/studies", relatedJSON, bytes.NewReader(related(test.parts...)))
			if got.status != test.status || got.outcomes() != test.want {
				t.Errorf("got %d %s %v, want %d %s", got.status, got.outcomes(), got.header["Warning"], test.status, test.want)
			}
		})
	}
}

// While others hold the memory for metadata, a request is asked to come again.
func TestMetadataMemoryIsBusy(t *testing.T) {
	var h *stow.Handler
	s := newService(t, func(handler *stow.Handler, config *s3store.Config) {
		h = handler
		h.Config.MetadataBytes, config.AsideBytes = 256<<10, 256<<10
	})
	other := h.Store.NewAside()
	if !other.Take(200 << 10) {
		t.Fatal("no memory")
	}
	defer other.Close()
	got := s.post(t, "/studies", relatedJSON, bytes.NewReader(related(jsonPart(jsonOf("1.1")))))
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q; want 503", got.status, got.header.Get("Retry-After"))
	}
}

// More instances of unknown length than the memory has buffers, side by side with plain ones: all end.
func TestUnknownLengthsTakeTurns(t *testing.T) {
	s := newService(t, func(h *stow.Handler, config *s3store.Config) {
		h.Config.MetadataBytes, config.AsideBytes, h.Config.MaxRequests = 1<<20, 1<<20, 64
		config.MemoryBudgetBytes, config.HeadWindowBytes = 32<<20, 4<<20
	})
	large := noise(20 << 20)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			body := related(jsonPart(jsonOf(fmt.Sprintf("1.%d", i+1), reference("00420011", "OB", "pdf"))), bulkPart("pdf", large))
			if got := s.post(t, "/studies", relatedJSON, chunked(body)); got.status != http.StatusOK {
				t.Errorf("got %d %s %v", got.status, got.body, got.header["Warning"])
			}
			if got := s.post(t, "/studies", "", chunked(multipart(ct(fmt.Sprintf("2.%d", i+1), 9<<20)))); got.status != http.StatusOK {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	all.Wait()
	if got := len(s.s3.Keys()); got != 12 {
		t.Errorf("got %d objects, want 12", got)
	}
}
