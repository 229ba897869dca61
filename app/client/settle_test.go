package client

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"stowrs-to-s3/app/storeresponse"
)

// Answers after which nothing is sent again, and how they are reported.
func TestPermanentAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reply reply
		want  string
	}{
		"400":              {plain(400, "text/plain", "who are you?"), "HTTP 400 Bad Request: who are you?"},
		"problem document": {plain(400, "application/problem+json", `{"title":"Forbidden","detail":"not from here"}`), "HTTP 400 Bad Request: Forbidden: not from here"},
		"message in JSON":  {plain(400, "application/json", `{"message":"send application/dicom"}`), "HTTP 400 Bad Request: send application/dicom"},
		"HTML":             {plain(400, "text/html", "<html><head><title>400</title></head><body><h1>No certificate</h1>was &lt;sent&gt;</body></html>"), "HTTP 400 Bad Request: No certificate was <sent>"},
		"control bytes":    {plain(400, "text/plain", "\x1b[2Jgone\r\n"), "HTTP 400 Bad Request: [2Jgone"},
		"500":              {plain(500, "", ""), "HTTP 500 Internal Server Error"},
		"Warning header": {func(w http.ResponseWriter, _ upload) {
			w.Header().Set("Warning", "A700 service: Out of memory")
			w.WriteHeader(http.StatusConflict)
		}, "HTTP 409 Conflict: A700 service: Out of memory"},
		"200 without module": {plain(200, "application/json", `{}`), "HTTP 200 OK without a Store Instances Response Module: nothing says what is stored"},
		"204":                {plain(204, "", ""), "HTTP 204 No Content without a Store Instances Response Module: nothing says what is stored"},
		"conflict":           {reasons(409, map[string]storeresponse.Reason{"1.1": 0x0111}), "0111 duplicate SOP instance: other bytes are stored under the same UIDs"},
		"foreign reason":     {reasons(409, map[string]storeresponse.Reason{"1.1": 0xC409}), "C409 cannot understand"},
		"no reason":          {reasons(409, map[string]storeresponse.Reason{"1.1": 0}), "the service gives no reason"},
		"other failures":     {module(409, storeresponse.Response{OtherFailures: []storeresponse.Reason{0xC000}}), "C000 cannot understand: not DICOM, damaged, or cut off"},
		"failed without UID": {module(409, storeresponse.Response{Failed: []storeresponse.Failed{{FailureReason: 0x0120}}}), "0120 missing attribute: a Study, Series, SOP Class or SOP Instance UID is absent"},
		"stored and failed": {module(202, storeresponse.Response{
			Referenced: []storeresponse.Referenced{{SOPInstanceUID: "1.1"}},
			Failed:     []storeresponse.Failed{{SOPInstanceUID: "1.1", FailureReason: 0xA901}},
		}), "A901 the instance belongs to another study than the request names"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, test.reply)
			r := sendWith(t, s.URL, folderOf(t, "1.1"), nil)
			wantCounts(t, r, 0, 1)
			wantEqual(t, "failures", map[string]string{"1.1.dcm": test.want}, r.failures())
			wantEqual(t, "requests", 1, len(s.received()))
		})
	}
}

// Answers that every request would get end the run at once, with one sentence.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reply reply
		want  string
	}{
		"401": {plain(401, "text/plain", "who are you?"), "HTTP 401 Unauthorized: who are you?"},
		"403": {plain(403, "application/problem+json", `{"title":"Forbidden","detail":"not from here"}`), "HTTP 403 Forbidden: Forbidden: not from here"},
		"404": {plain(404, "", ""), "HTTP 404 Not Found"},
		"405": {plain(405, "", ""), "HTTP 405 Method Not Allowed"},
		"415": {plain(415, "", ""), "HTTP 415 Unsupported Media Type"},
		"redirect": {func(w http.ResponseWriter, _ upload) {
			w.Header().Set("Location", "https://other/studies")
			w.WriteHeader(http.StatusMovedPermanently)
		}, "HTTP 301 Moved Permanently: the service is elsewhere; give that as --url: https://other/studies"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, test.reply)
			r := sendWith(t, s.URL, folderOf(t, "1.1", "1.2", "1.3"), func(o *Options) { o.Batch = 1 })
			wantCounts(t, r, 0, 0)
			wantEqual(t, "exit code", 3, ExitCode(r.summary, r.err))
			wantEqual(t, "requests", 1, len(s.received()))
			wantContains(t, "stdout", r.stdout, "stopped before the end: "+test.want)
		})
	}
}

// OtherFailuresSequence (0008,119A) contains reasons without UIDs: which instances they concern
// is known only if no more instances are left than reasons.
func TestOtherFailures(t *testing.T) {
	t.Parallel()
	referenced := func(uids ...string) (all []storeresponse.Referenced) {
		for _, uid := range uids {
			all = append(all, storeresponse.Referenced{SOPInstanceUID: uid})
		}
		return all
	}
	tests := map[string]struct {
		first    storeresponse.Response
		requests [][]string
		stored   int
	}{
		"as many reasons as instances": {
			storeresponse.Response{Referenced: referenced("1.1", "1.2"), OtherFailures: []storeresponse.Reason{0xC000}},
			[][]string{{"1.1", "1.2", "1.3"}}, 2,
		},
		"fewer reasons": {
			storeresponse.Response{Referenced: referenced("1.1"), OtherFailures: []storeresponse.Reason{0xC000}},
			[][]string{{"1.1", "1.2", "1.3"}, {"1.2", "1.3"}}, 3,
		},
		"a temporary reason": {
			storeresponse.Response{Referenced: referenced("1.1", "1.2"), OtherFailures: []storeresponse.Reason{0xA700}},
			[][]string{{"1.1", "1.2", "1.3"}, {"1.3"}}, 3,
		},
		"not named at all": {
			storeresponse.Response{Referenced: referenced("1.1 ", "1.2\x00")},
			[][]string{{"1.1", "1.2", "1.3"}, {"1.3"}}, 3,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := folderOf(t, "1.1", "1.2", "1.3")
			s := newService(t, module(202, test.first), storedAll)
			wantCounts(t, sendWith(t, s.URL, folder, nil), test.stored, 3-test.stored)
			wantEqual(t, "UIDs sent", test.requests, s.sentUIDs())
		})
	}
}

func TestNeverNamedFails(t *testing.T) {
	t.Parallel()
	s := newService(t, module(200, storeresponse.Response{Referenced: []storeresponse.Referenced{{SOPInstanceUID: "9.9"}}}))
	r := sendWith(t, s.URL, folderOf(t, "1.1"), func(o *Options) { o.Attempts = 2 })
	wantEqual(t, "failures", map[string]string{"1.1.dcm": "the answer does not name the instance"}, r.failures())
}

// Both media types of PS3.18 §10.5.3.3, and warnings of Table I.2-1.
func TestAnswersInBothMediaTypes(t *testing.T) {
	t.Parallel()
	for accept, mediaType := range map[string]string{"json": storeresponse.MediaTypeJSON, "xml": storeresponse.MediaTypeXML} {
		t.Run(accept, func(t *testing.T) {
			t.Parallel()
			folder := folderOf(t, "1.1", "1.2")
			s := newService(t, module(202, storeresponse.Response{
				Referenced: []storeresponse.Referenced{{SOPInstanceUID: "1.1", WarningReason: storeresponse.ReasonWarnMismatch}},
				Failed:     []storeresponse.Failed{{SOPInstanceUID: "1.2", FailureReason: storeresponse.ReasonInvalidInstance}},
			}))
			r := sendWith(t, s.URL, folder, func(o *Options) { o.Accept = accept })
			wantCounts(t, r, 1, 1)
			wantEqual(t, "Accept", mediaType, s.received()[0].header.Get("Accept"))
			wantContains(t, "stdout", r.stdout, "stored with a warning, 1 instance: B007", "failed, 1 instance: 0117")
		})
	}
}

// Stored instances are recognised in all forms in which services write their answers.
func TestAnswersInOddShapes(t *testing.T) {
	t.Parallel()
	const one = `{"00081199":{"Value":[{"00081155":{"Value":["1.1"]}}]}}`
	const two = `{"00081198":{"Value":[{"00081155":{"Value":["1.2 "]},"00081197":{"Value":["279"]}}]}}`
	const document = `<NativeDicomModel><DicomAttribute tag="00081199"><Item><DicomAttribute tag="00081155"><Value>1.1</Value></DicomAttribute></Item></DicomAttribute>` +
		`<DicomAttribute tag="00081198"><Item><DicomAttribute tag="00081155"><Value>1.2</Value></DicomAttribute><DicomAttribute tag="00081197"><Value>279</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>`
	both := one[:len(one)-1] + "," + two[1:]
	for name, reply := range map[string]reply{
		"array of modules":         plain(200, "application/dicom+json", "["+one+","+two+"]"),
		"no Content-Type":          plain(200, "", both),
		"JSON called HTML":         plain(200, "text/html; charset=utf-8", both),
		"JSON called XML":          plain(200, "application/dicom+xml", both),
		"XML called JSON":          plain(200, "application/dicom+json", document),
		"byte order mark":          plain(200, "application/dicom+json", "\uFEFF"+both),
		"byte order mark, XML":     plain(200, "application/dicom+xml", "\uFEFF"+document),
		"XML in windows-1252":      plain(200, "application/dicom+xml", `<?xml version="1.0" encoding="windows-1252"?>`+document),
		"409 with partial success": plain(409, "application/dicom+json", both),
		"500 with partial success": plain(500, "application/dicom+json", both),
		"400 with partial success": plain(400, "text/plain", both),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, reply)
			r := sendWith(t, s.URL, folderOf(t, "1.1", "1.2"), nil)
			wantCounts(t, r, 1, 1)
			wantContains(t, "why", r.failures()["1.2.dcm"], "0117")
			wantEqual(t, "requests", 1, len(s.received()))
		})
	}
}

// RFC 9110 §10.2.3.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"0":                             0,
		"-1":                            0,
		"soon":                          0,
		"99999999999":                   longestWait,
		"86400":                         longestWait,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
	}
	for value, want := range tests {
		a := answer{header: http.Header{"Retry-After": {value}}}
		if got := a.retryAfter(now); got != want {
			t.Errorf("Retry-After %q: got %s, want %s", value, got, want)
		}
	}
}

// An instance that was not sent is not stored, even if the answer says so: the answer belongs to another request, or a proxy made it.
func TestAnswerBeforeTheBytes(t *testing.T) {
	t.Parallel()
	var large atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		large.Store(r.ContentLength > 20<<20)
		respondModule(w, 200, "application/dicom+json", storeresponse.Response{Referenced: []storeresponse.Referenced{{SOPInstanceUID: "1.1"}}})
	}))
	t.Cleanup(server.Close)
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "1.1.dcm"), instanceBytes("1.1", 30<<20))
	r := sendWith(t, server.URL, folder, func(o *Options) { o.Attempts = 2 })
	wantCounts(t, r, 0, 1)
	if why := r.failures()["1.1.dcm"]; !large.Load() || why != "the answer came before all of it was sent" {
		t.Errorf("failed because %q", why)
	}
}
