package commitment_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/app/commitment"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

// If a list of S3 contains keys that were not asked for, these commit to nothing; and a list that is cut short gives no result.
func TestOddLists(t *testing.T) {
	page := func(truncated string, keys ...string) string {
		text := `<?xml version="1.0"?><ListBucketResult>` + truncated
		for _, key := range keys {
			text += `<Contents><Key>` + key + `</Key><Size>1</Size></Contents>`
		}
		return text + `</ListBucketResult>`
	}
	const last, more = `<IsTruncated>false</IsTruncated>`, `<IsTruncated>true</IsTruncated><NextContinuationToken>a+b/=&amp;c</NextContinuationToken>`
	const missing, there, unknown = "1.1/1.2/1.3 0112", "1.1/1.2/1.3 ok", "503"
	for name, tc := range map[string]struct {
		pages []string // the last one is repeated
		want  string
	}{
		"another series":           {[]string{page(last, "1.1/9.9/1.3")}, missing},
		"another prefix":           {[]string{page(last, "a/1.1/1.2/1.3", "/1.1/1.2/1.3")}, missing},
		"longer and shorter names": {[]string{page(last, "1.1/1.2/1.30", "1.1/1.2/1.", "1.1/1.2/1.3/", "1.1/1.2/")}, missing},
		"encoded keys":             {[]string{page(last, "1.1%2F1.2%2F1.3")}, missing},
		"no key":                   {[]string{page(last)}, missing},
		"in no order, and twice":   {[]string{page(last, "1.1/1.2/1.31", "1.1/1.2/1.3", "1.1/1.2/1.30", "1.1/1.2/1.3")}, there},
		"on the third page":        {[]string{page(more), page(more, "1.1/1.2/1.30"), page(last, "1.1/1.2/1.3")}, there},
		"cut short without token":  {[]string{page(`<IsTruncated>true</IsTruncated>`, "1.1/1.2/1.30")}, unknown},
		"the next marker of V1":    {[]string{page(`<IsTruncated>true</IsTruncated><NextMarker>x</NextMarker>`)}, unknown},
		"it does not say":          {[]string{page("")}, unknown},
		"without end":              {[]string{page(more, "1.1/1.2/1.30")}, unknown},
		"not XML":                  {[]string{"hello"}, unknown},
		"an error under 200":       {[]string{`<?xml version="1.0"?><Error><Code>InternalError</Code></Error>`}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := int(asked.Add(1)) - 1
				if token := r.URL.Query().Get("continuation-token"); n > 0 && len(tc.pages) > 1 && token != "a+b/=&c" {
					t.Errorf("page %d: token %q", n, token)
				}
				w.Header().Set("Content-Type", "application/xml")
				_, _ = io.WriteString(w, tc.pages[min(n, len(tc.pages)-1)])
			}))
			defer server.Close()
			s := newService(t, func(_ *stow.Handler, c *s3store.Config, h *commitment.Handler) {
				h.Store, h.LookTime = storeAt(t, *c, server.URL), 500*time.Millisecond
			})
			a := s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, "1.1/1.2/1.3"))
			if got := a.outcomes(); !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// storeAt is a store with another S3 server.
func storeAt(t *testing.T, c s3store.Config, url string) *s3store.Store {
	t.Helper()
	client := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &url, UsePathStyle: true, Credentials: aws.AnonymousCredentials{}})
	return s3store.New(c, client, memory.New(1<<20, 0, 0), slog.New(slog.DiscardHandler))
}

// S3 lists 1,000 keys per page; all pages are read, and each instance is named once in the answer.
func TestManyPages(t *testing.T) {
	s := newService(t)
	var asked []string
	for i := range 3000 {
		s.s3.Put(fmt.Sprintf("1.1/1.2/1.%d", i), []byte("x"))
		asked = append(asked, fmt.Sprintf("1.1/1.2/1.%d", i*2))
	}
	a := s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, asked...))
	if ok := strings.Count(a.outcomes(), " ok"); ok != 1500 || len(a.module.All) != 3000 {
		t.Errorf("%d committed of %d, want 1500 of 3000", ok, len(a.module.All))
	}
	if pages := s.s3.Counters().Answers["ListObjectsV2 200"]; pages != 3 {
		t.Errorf("%d pages, want 3", pages)
	}
}

// If a list fails, nothing is said about the instances that it could contain.
func TestS3Faults(t *testing.T) {
	for name, fault := range map[string]s3test.Fault{
		"503":                       {Status: 503, Code: "SlowDown"},
		"403":                       {Status: 403, Code: "AccessDenied"},
		"500":                       {Status: 500, Code: "InternalError"},
		"503 of the second page":    {Status: 503, Code: "SlowDown", Skip: 1},
		"a page that breaks off":    {CutAnswer: true, Skip: 1},
		"no answer":                 {Cut: true},
		"an answer that is not S3s": {Foreign: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			for i := range 1500 {
				s.s3.Put(fmt.Sprintf("1.1/1.2/1.%d", i), []byte("x"))
			}
			fault.Operation = "ListObjectsV2"
			s.s3.Inject(fault)
			a := s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, "1.1/1.2/1.2", "1.1/1.2/1.1499"))
			if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "storage") {
				t.Errorf("got %d %s, want 503", a.status, a.body)
			}
			s.s3.ClearFaults()
			s.s3.Inject(s3test.Fault{Operation: "ListObjectsV2", Status: 503, Code: "SlowDown", Times: 1})
			if a := s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, "1.1/1.2/1.1")); a.status != http.StatusOK {
				t.Errorf("after one SlowDown: %d %s", a.status, a.body)
			}
		})
	}
}

// A panic in any goroutine is a fault of this one request, which is answered and has its record.
func TestPanic(t *testing.T) {
	s := newService(t, func(_ *stow.Handler, _ *s3store.Config, h *commitment.Handler) { h.Store = &s3store.Store{} })
	if a := s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, "1.1/1.2/1.3")); a.status != http.StatusInternalServerError {
		t.Errorf("got %d %s, want 500", a.status, a.body)
	}
	if record := s.record(t); record["status"] != 500.0 || record["committed"] != 0.0 {
		t.Errorf("record %v", record)
	}
	if got := s.ledger.InUseBytes(); got != 0 {
		t.Errorf("%d bytes are still held", got)
	}
}

// A client that leaves ends the listing, and its request.
func TestClientThatLeavesEndsTheListing(t *testing.T) {
	s := newService(t)
	ctx, leave := context.WithCancel(t.Context())
	s.s3.Inject(s3test.Fault{Operation: "ListObjectsV2", Hold: make(chan struct{}), OnHit: func(s3test.Request) { leave() }})
	var asked []string
	for i := range 1000 {
		asked = append(asked, fmt.Sprintf("1.1/1.%d/1.3", i))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+transaction, ask(storeresponse.MediaTypeJSON, asked...))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", storeresponse.MediaTypeJSON)
	if response, err := http.DefaultClient.Do(r); err == nil {
		response.Body.Close()
		t.Fatal("there was an answer")
	}
	record := s.record(t)
	if got := len(s.s3.Requests()); got > 16 || record["refusal"] != "the client has left" {
		t.Errorf("%d lists after the client left, record %v", got, record)
	}
	if got := s.ledger.InUseBytes(); got != 0 {
		t.Errorf("%d bytes are still held", got)
	}
}

// At most eight lists are made at the same time, for all clients, and none continues after LookTime.
func TestListsAreBounded(t *testing.T) {
	s := newService(t, func(h *stow.Handler, _ *s3store.Config, c *commitment.Handler) {
		h.Config.MaxRequests, c.LookTime = 64, 3*time.Second
	})
	s.s3.SetLatency(200*time.Millisecond, "ListObjectsV2")
	var asked []string
	for i := range 200 {
		asked = append(asked, fmt.Sprintf("1.1/1.%d/1.3", i))
	}
	var clients sync.WaitGroup
	for range 6 {
		clients.Go(func() {
			a := s.post(t, transaction, storeresponse.MediaTypeJSON, ask(storeresponse.MediaTypeJSON, asked...))
			if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "fewer") {
				t.Errorf("got %d %s, want 503 after LookTime", a.status, a.body)
			}
		})
	}
	clients.Wait()
	if got := s.s3.MaxInFlight("ListObjectsV2"); got > 8 {
		t.Errorf("%d lists at the same time, want 8 at most", got)
	}
}
