package commitment_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/commitment"
	"stowrs-to-s3/app/commitment/references"
	"stowrs-to-s3/app/memory"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

// service is the handler behind HTTP, with an S3.
type service struct {
	url    string
	s3     *s3test.Server
	ledger *memory.Ledger

	mu      sync.Mutex
	records []map[string]any
}

// Write implements io.Writer for the audit log.
func (s *service) Write(p []byte) (int, error) {
	var record map[string]any
	if err := json.Unmarshal(p, &record); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, record)
	return len(p), nil
}

func (s *service) record(t *testing.T) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := len(s.records)
		s.mu.Unlock()
		if n > 0 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.records[n-1]
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no record")
		}
	}
}

type option func(*stow.Handler, *s3store.Config, *commitment.Handler)

func newService(t *testing.T, options ...option) *service {
	t.Helper()
	s := &service{s3: s3test.Start(t, "dicom"), ledger: memory.New(64<<20, 16<<20, 16<<20)}
	quiet, audit := slog.New(slog.DiscardHandler), slog.New(slog.NewJSONHandler(s, nil))
	storeConfig := s3store.Config{Bucket: "dicom", Threads: 4, LargestPartBytes: 16 << 20, RetryTime: 500 * time.Millisecond}
	h := stow.Handler{
		Config: stow.Config{HeadWindowBytes: 16 << 20, MaxRequests: 8},
		Log:    quiet, Audit: quiet, Ledger: s.ledger, Stop: t.Context(), Observe: func(stow.Transaction) {},
	}
	committer := &commitment.Handler{Log: quiet, Audit: audit, Observe: func(commitment.Transaction) {}}
	for _, o := range options {
		o(&h, &storeConfig, committer)
	}
	h.Store = s3store.New(storeConfig, s.s3.Client(t), h.Ledger, h.Log)
	committer.Stow = stow.NewHandler(h)
	if committer.Store == nil {
		committer.Store = h.Store
	}
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		var refusal *stow.Refusal
		if ok := asRefusal(err, &refusal); ok {
			_ = c.String(refusal.StatusCode, refusal.Detail)
			return
		}
		_ = c.String(http.StatusInternalServerError, err.Error())
	}
	e.POST("/commitment-requests/:transaction", committer.Post)
	e.GET("/commitment-requests/:transaction", committer.Result)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

type answer struct {
	status int
	header http.Header
	body   string
	module *references.Module
}

const transaction = "/commitment-requests/2.25.77"

func (s *service) post(t *testing.T, path, mediaType string, body io.Reader, accept ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", mediaType)
	r.Header.Set("Accept", strings.Join(accept, ","))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: string(got)}
	if a.status == http.StatusOK {
		a.module, err = references.Read(bytes.NewReader(got), response.Header.Get("Content-Type"), func(int64) error { return nil })
		if err != nil {
			t.Fatalf("%v in %s", err, got)
		}
	}
	return a
}

// outcomes are the references of an answer in short form: "1/2/3 ok", "4 0110".
func (a answer) outcomes() string {
	var words []string
	if a.module == nil {
		return fmt.Sprintf("%d %s", a.status, a.body)
	}
	for _, r := range a.module.All {
		word := r.SOPInstanceUID
		if r.Series != nil {
			word = r.Series.StudyInstanceUID + "/" + r.Series.SeriesInstanceUID + "/" + word
		}
		if r.FailureReason == 0 {
			word += " ok"
		} else {
			word += " " + r.FailureReason.Hex()
		}
		words = append(words, word)
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

const ct = "1.2.840.10008.5.1.4.1.1.2"

// ask makes a request about instances: study/series/instance, or an instance alone.
func ask(mediaType string, instances ...string) io.Reader {
	var all []references.Reference
	for _, i := range instances {
		r := references.Reference{SOPClassUID: ct, SOPInstanceUID: i}
		if parts := strings.SplitN(i, "/", 3); len(parts) == 3 {
			r.Series, r.SOPInstanceUID = &references.Series{StudyInstanceUID: parts[0], SeriesInstanceUID: parts[1]}, parts[2]
		}
		all = append(all, r)
	}
	references.Sort(all)
	var b bytes.Buffer
	if err := references.Write(&b, mediaType, all); err != nil {
		panic(err)
	}
	return &b
}

func TestCommitsToWhatIsThere(t *testing.T) {
	for _, tc := range []struct {
		name, prefix, suffix string
		stored, asked        []string
		want                 string
		searches             int
	}{
		{
			"by study", "", "", []string{"1.1/1.2/1.3", "1.1/1.2/1.30", "1.1/1.4/1.5"}, []string{"1.1/1.2/1.3", "1.1/1.2/1.9", "1.1/1.4/1.5", "9.1/9.2/9.3"},
			"1.1/1.2/1.3 ok, 1.1/1.2/1.9 0112, 1.1/1.4/1.5 ok, 9.1/9.2/9.3 0112", 3,
		},
		{"a UID that begins like another", "", "", []string{"1.1/1.2/1.30"}, []string{"1.1/1.2/1.3"}, "1.1/1.2/1.3 0112", 1},
		{"a study that begins like another", "", "", []string{"1.10/1.2/1.3"}, []string{"1.1/1.2/1.3"}, "1.1/1.2/1.3 0112", 1},
		{"prefix and suffix", "a/b", ".dcm", []string{"a/b/1.1/1.2/1.3.dcm", "a/b/1.1/1.2/1.4", "1.1/1.2/1.5.dcm"}, []string{"1.1/1.2/1.3", "1.1/1.2/1.4", "1.1/1.2/1.5"}, "1.1/1.2/1.3 ok, 1.1/1.2/1.4 0112, 1.1/1.2/1.5 0112", 1},
		{"a suffix that none has", "", ".dcm", []string{"1.1/1.2/1.3"}, []string{"1.1/1.2/1.3"}, "1.1/1.2/1.3 0112", 1},
		{"an object without a byte", "", "", []string{"empty 1.1/1.2/1.3"}, []string{"1.1/1.2/1.3"}, "1.1/1.2/1.3 0112", 1},
		// Objects of others, under keys of another shape, are not instances of this service.
		{"a series that is no UID", "", "", []string{"1.1/x/1.3", "1.1//1.4", "1.1/1.2/1.7/1.5"}, []string{"1.1/1.9/1.8", "1.3", "1.4", "1.5"}, "1.1/1.9/1.8 0112, 1.3 0112, 1.4 0112, 1.5 0112", 1},
		{"asked twice", "", "", []string{"1.1/1.2/1.3"}, []string{"1.1/1.2/1.3", "1.1/1.2/1.3"}, "1.1/1.2/1.3 ok", 1},
		// A flat sequence contains no study.
		{"without a study", "", "", []string{"1.1/1.2/1.3"}, []string{"1.3"}, "1.3 0110", 0},
		{"without a study, beside one", "", "", []string{"1.1/1.2/1.3", "1.1/1.7/1.8", "2.1/2.2/2.3"}, []string{"1.1/1.2/1.3", "1.1/1.2/1.9", "1.8", "2.3"}, "1.1/1.2/1.3 ok, 1.1/1.2/1.9 0112, 1.8 ok, 2.3 0112", 1},
		// An invalid UID is never the name of an instance, and never part of a key.
		{"no UIDs", "", "", []string{"1.1/1.2/1.3", "x"}, []string{"1.1/1.2/x", "1.1/../1.3", "*/1.2/1.3", "1.1/1.2/1.3/..", "1.1/1.2/1..3"}, "*/1.2/1.3 0112, 1.1/../1.3 0112, 1.1/1.2/1..3 0112, 1.1/1.2/1.3/.. 0112, 1.1/1.2/x 0112", 1},
	} {
		for _, mediaType := range []string{storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML} {
			t.Run(tc.name+" "+mediaType, func(t *testing.T) {
				s := newService(t, func(_ *stow.Handler, c *s3store.Config, _ *commitment.Handler) {
					c.Prefix, c.Suffix = tc.prefix, tc.suffix
				})
				for _, key := range tc.stored {
					if empty, found := strings.CutPrefix(key, "empty "); found {
						s.s3.Put(empty, nil)
					} else {
						s.s3.Put(key, []byte("x"))
					}
				}
				a := s.post(t, transaction, mediaType, ask(mediaType, tc.asked...), mediaType)
				if got := a.outcomes(); got != tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
				if got := a.header.Get("Content-Type"); got != mediaType {
					t.Errorf("Content-Type %q", got)
				}
				if strings.Contains(tc.want, "0110") != strings.Contains(a.header.Get("Warning")+strings.Join(a.header.Values("Warning"), ""), "without their study") {
					t.Errorf("the words in Warning are %q", a.header.Values("Warning"))
				}
				record := s.record(t)
				if record["searches"] != float64(tc.searches) || record["status"] != 200.0 || record["msg"] != "commitment" {
					t.Errorf("record %v, want %d searches", record, tc.searches)
				}
				if text := fmt.Sprint(slices.Collect(maps.Values(record))); strings.Contains(text, "1.2/1.3") || strings.Contains(text, "2.25.77") {
					t.Errorf("the record names a UID: %s", text)
				}
				for _, r := range s.s3.Requests() {
					if r.Operation != "ListObjectsV2" || strings.Contains(r.Query.Get("prefix"), "..") || strings.Contains(r.Query.Get("prefix"), "*") {
						t.Errorf("request to S3: %s %v", r.Operation, r.Query)
					}
				}
			})
		}
	}
}
