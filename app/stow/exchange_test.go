package stow_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// exchange is one row of a table: a request, and its result according to the standard, or as a client needs it.
type exchange struct {
	name   string // the topic
	source string // the section of the standard, or the client that sends it

	path        string // "": /studies
	contentType string // "": that of multipart
	header      map[string]string
	body        []byte
	chunked     bool // its length is not declared
	options     []option
	before      func(*service) // called before the request

	status int
	want   string   // outcomes
	stored [][]byte // the whole content of the bucket afterwards, byte for byte
	detail []string // words of an answer without a response module
}

func runExchanges(t *testing.T, tests []exchange) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, test.options...)
			if test.before != nil {
				test.before(s)
			}
			got := s.exchange(t, test)
			if got.status != test.status || got.outcomes() != test.want {
				t.Errorf("%s: got %d %q, want %d %q; body %s\n%s", test.source, got.status, got.outcomes(), test.status, test.want, got.body, s.log.String())
			}
			for _, words := range test.detail {
				if !strings.Contains(got.body, words) {
					t.Errorf("%s: the answer does not say %q: %s", test.source, words, got.body)
				}
			}
			s.wantStored(t, test.stored...)
			s.wantReferenced(t, got)
			if audit := s.audit(t); audit["status"] != float64(got.status) {
				t.Errorf("audit record: %v, the status is %d", audit, got.status)
			}
		})
	}
}

func (s *service) exchange(t *testing.T, test exchange) answer {
	t.Helper()
	var body io.Reader = bytes.NewReader(test.body)
	if test.chunked {
		body = undeclared(test.body)
	}
	if test.path == "" {
		test.path = "/studies"
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+test.path, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range test.header {
		r.Header.Set(name, value)
	}
	return s.do(t, r, test.contentType)
}

// wantStored checks that the bucket contains exactly these instances, byte for byte, no partial object, and no open upload.
func (s *service) wantStored(t *testing.T, instances ...[]byte) {
	t.Helper()
	var got, want []string
	for _, key := range s.s3.Keys() {
		data, _, _ := s.s3.Object(key)
		got = append(got, string(data))
	}
	for _, data := range instances {
		want = append(want, string(data))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("in the bucket are other bytes than the %d instances that were sent: %v", len(want), s.s3.Keys())
	}
	if open := s.s3.OpenUploads(); len(open) > 0 {
		t.Errorf("open uploads: %v", open)
	}
}

// wantReferenced checks that there is an object for each instance that was reported as stored.
func (s *service) wantReferenced(t *testing.T, a answer) {
	t.Helper()
	keys := fmt.Sprintf("%q", s.s3.Keys())
	for _, r := range a.module.Referenced {
		if !strings.Contains(keys, "/"+r.SOPInstanceUID+`"`) {
			t.Errorf("%s is reported as stored, in the bucket are %s", r.SOPInstanceUID, keys)
		}
	}
}

// audit returns the last record of the audit log.
func (s *service) audit(t *testing.T) map[string]any {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) == 0 {
		t.Fatal("no audit record")
	}
	return s.records[len(s.records)-1]
}
