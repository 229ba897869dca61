package commitment_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"stowrs-to-s3/app/commitment"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

func asRefusal(err error, refusal **stow.Refusal) bool { return errors.As(err, refusal) }

// repeated is a reader of head, n times the same text, and tail.
func repeated(head, text string, n int, tail string) io.Reader {
	readers := []io.Reader{strings.NewReader(head)}
	block := strings.Repeat(text, 1000)
	for range n / 1000 {
		readers = append(readers, strings.NewReader(block))
	}
	return io.MultiReader(append(readers, strings.NewReader(strings.Repeat(text, n%1000)+tail))...)
}

// A body that is not a Storage Commitment Request Module is refused in words (PS3.18 Table 13.4.3-1), and in little memory.
func TestRefusals(t *testing.T) {
	const open = `{"00081199":{"vr":"SQ","Value":[`
	const one = `{"00081155":{"vr":"UI","Value":["1.3"]}}`
	flat := func(items string) string { return open + items + `]}}` }
	xml := func(inner string) string { return `<NativeDicomModel>` + inner + `</NativeDicomModel>` }
	j, x := storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML
	text := func(s string) io.Reader { return strings.NewReader(s) }
	for name, tc := range map[string]struct {
		path, mediaType string
		body            io.Reader
		status          int
		words           string
	}{
		"a transaction that is no UID":   {"/commitment-requests/abc", j, text(flat(one)), 400, "transaction"},
		"a transaction of 65 characters": {"/commitment-requests/" + strings.Repeat("1", 65), j, text(flat(one)), 400, "transaction"},
		"another transaction inside":     {transaction, j, text(`{"00081195":{"vr":"UI","Value":["1.9"]},` + flat(one)[1:]), 400, "Transaction UID"},
		"the same transaction inside":    {transaction, j, text(`{"00081195":{"vr":"UI","Value":["2.25.77"]},` + flat(one)[1:]), 200, ""},
		"no body":                        {transaction, j, text(""), 400, "EOF"},
		"an empty object":                {transaction, j, text("{}"), 400, "no instance"},
		"an empty sequence":              {transaction, j, text(flat("")), 400, "no instance"},
		"one object in an array":         {transaction, j, text("[" + flat(one) + "]"), 200, ""},
		"two objects in an array":        {transaction, j, text("[" + flat(one) + "," + flat(one) + "]"), 400, "not several"},
		"two objects":                    {transaction, j, text(flat(one) + flat(one)), 400, "follows"},
		"no JSON":                        {transaction, j, text("POST me"), 400, "not a Storage Commitment module"},
		"cut off":                        {transaction, j, text(flat(one)[:40]), 400, "not a Storage Commitment module"},
		"a reference without instance":   {transaction, j, text(flat(`{"00081150":{"vr":"UI","Value":["1.2"]}}`)), 400, "(0008,1155)"},
		"an empty instance":              {transaction, j, text(flat(`{"00081155":{"vr":"UI"}}`)), 400, "(0008,1155)"},
		"a long instance":                {transaction, j, text(flat(`{"00081155":{"vr":"UI","Value":["` + strings.Repeat("1", 129) + `"]}}`)), 400, "128 characters"},
		"a study without UID":            {transaction, j, text(`{"00081110":{"vr":"SQ","Value":[{}]}}`), 400, "(0020,000D)"},
		"a series without UID":           {transaction, j, text(`{"00081110":{"vr":"SQ","Value":[{"00081115":{"vr":"SQ","Value":[{}]},"0020000D":{"vr":"UI","Value":["1.1"]}}]}}`), 400, "(0020,000E)"},
		"padded, in lower case":          {transaction, j, text("\uFEFF" + `{"0008119b":{"vr":"SQ"},"00081199":{"Value":[{"00081155":{"Value":["1.3 "],"vr":"UI"}}],"vr":"SQ"}}`), 200, ""},
		"XML that is none":               {transaction, x, text("<a>"), 400, "NativeDicomModel"},
		"XML cut off":                    {transaction, x, text(`<NativeDicomModel><DicomAttribute tag="00081199" vr="SQ">`), 400, "not a Storage Commitment module"},
		"XML without instance":           {transaction, x, text(xml("")), 400, "no instance"},
		"XML with entities":              {transaction, x, text(`<!DOCTYPE a [<!ENTITY b "1.3">]>` + xml(`<DicomAttribute tag="00081199" vr="SQ"><Item number="1"><DicomAttribute tag="00081155" vr="UI"><Value number="1">&b;</Value></DicomAttribute></Item></DicomAttribute>`)), 400, "entity"},
		"XML with an attribute twice":    {transaction, x, text(xml(`<DicomAttribute tag="00081199" tag="00081110" vr="SQ"/>`)), 400, "twice"},
		"XML in US-ASCII":                {transaction, x, text(`<?xml version="1.0" encoding="us-ascii"?>` + xml(`<DicomAttribute tag="00081199" vr="SQ"><Item number="1"><DicomAttribute tag="00081155" vr="UI"><Value number="1">1.3</Value></DicomAttribute></Item></DicomAttribute>`)), 200, ""},
		"XML in another encoding":        {transaction, x, text(`<?xml version="1.0" encoding="ISO-8859-1"?>` + xml("")), 400, "only UTF-8"},
		"another media type":             {transaction, "application/dicom", text(flat(one)), 415, storeresponse.MediaTypeXML},
		"no media type":                  {transaction, "", text(flat(one)), 415, storeresponse.MediaTypeJSON},
		"application/json":               {transaction, "application/json; charset=utf-8", text(flat(one)), 200, ""},
		"100,000 references":             {transaction, j, repeated(open, one+",", 99_999, one+"]}}"), 200, ""},
		"100,001 references":             {transaction, j, repeated(open, one+",", 100_000, one+"]}}"), 413, "100000 instances"},
		"64 MB of other attributes":      {transaction, j, repeated("{", `"00400280":{"vr":"ST","Value":["`+strings.Repeat("x", 1000)+`"]},`, 65_000, flat(one)[1:]), 413, "67108864"},
		"a declared length of more":      {transaction, j, bytes.NewReader(make([]byte, 64<<20+1)), 413, "67108865"},
		"space of 1 MB":                  {transaction, j, repeated(open, " ", 1<<20, "]}}"), 400, "65536 bytes"},
		"a token of 1 MB":                {transaction, j, repeated(open+`{"00081155":{"vr":"UI","Value":["`, "1", 1<<20, `"]}}]}}`), 400, "65536 bytes"},
		"a million levels":               {transaction, j, repeated("", `{"00081199":{"Value":[`, 1_000_000, ""), 400, "64 levels"},
		"a million levels of nothing":    {transaction, j, repeated(`{"a":`, "[", 1_000_000, ""), 400, "64 levels"},
		"a million levels of XML":        {transaction, x, repeated("<NativeDicomModel>", "<a>", 1_000_000, ""), 400, "64 levels"},
		"XML of 1 MB in one value":       {transaction, x, repeated(`<NativeDicomModel><DicomAttribute tag="00081155"><Value number="1">`, "1", 1<<20, "</Value></DicomAttribute></NativeDicomModel>"), 400, "65536 bytes"},
		"a million studies":              {transaction, j, repeated(`{"00081110":{"vr":"SQ","Value":[`, `{"0020000D":{"Value":["1"]}},`, 1_000_000, `{"0020000D":{"Value":["1"]}}]}}`), 413, "METADATALIMIT"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			a := s.post(t, tc.path, tc.mediaType, tc.body)
			if a.status != tc.status || !strings.Contains(a.body, tc.words) {
				t.Errorf("got %d %.300s, want %d with %q", a.status, a.body, tc.status, tc.words)
			}
			if record := s.record(t); record["status"] != float64(tc.status) {
				t.Errorf("record %v", record)
			}
			if got := s.ledger.InUseBytes(); got != 0 {
				t.Errorf("%d bytes are still held", got)
			}
		})
	}
}

// PS3.18 Table 13.5.3-1: 404, the origin server cannot find the result. Results are not stored.
func TestResultIsNotKept(t *testing.T) {
	s := newService(t)
	for path, want := range map[string]int{transaction: 404, "/commitment-requests/x": 400} {
		response, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != want || want == 404 && !strings.Contains(string(body), "POST") {
			t.Errorf("%s: %d %s, want %d", path, response.StatusCode, body, want)
		}
	}
}

// Requests for commitment take neither slots nor memory that stores need: while their series are listed, all of them together have at most an eighth of
// MAXREQUESTS and three quarters of METADATALIMIT.
func TestStoresAreServedBesides(t *testing.T) {
	s := newService(t, func(h *stow.Handler, _ *s3store.Config, _ *commitment.Handler) { h.Config.MaxRequests = 16 })
	release, held := make(chan struct{}), make(chan struct{}, 16)
	s.s3.Inject(s3test.Fault{Operation: "ListObjectsV2", Hold: release, OnHit: func(s3test.Request) { held <- struct{}{} }})
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, "1.1/1.2/1.3"))
		})
	}
	<-held
	<-held
	if a := s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, "1.1/1.2/1.3")); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "2 requests for storage commitment") {
		t.Errorf("the third: got %d %s, want 503", a.status, a.body)
	}
	close(release)
	clients.Wait()

	other := s.ledger.KeepBeside()
	defer other.Close()
	if err := other.Take(12 << 20); err != nil {
		t.Fatal(err)
	}
	if a := s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, "1.1/1.2/1.3")); a.status != http.StatusServiceUnavailable {
		t.Errorf("with three quarters held: got %d %s, want 503", a.status, a.body)
	}
	store := s.ledger.Keep()
	defer store.Close()
	if err := store.Take(4 << 20); err != nil {
		t.Errorf("a store: %v", err)
	}
}

func TestBusyService(t *testing.T) {
	s := newService(t, func(h *stow.Handler, _ *s3store.Config, _ *commitment.Handler) { h.Config.MaxRequests = 0 })
	if a := s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, "1.3")); a.status != http.StatusServiceUnavailable {
		t.Errorf("got %d %s, want 503", a.status, a.body)
	}
	kept := s.ledger.Keep()
	defer kept.Close()
	s = newService(t)
	kept = s.ledger.Keep()
	if err := kept.Take(16 << 20); err != nil {
		t.Fatal(err)
	}
	if a := s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, "1.3")); a.status != http.StatusServiceUnavailable {
		t.Errorf("without memory: got %d %s, want 503", a.status, a.body)
	}
}
