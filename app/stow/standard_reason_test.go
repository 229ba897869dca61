package stow_test

import (
	"bytes"
	"strings"
	"testing"

	"stowrs-to-s3/app/dicomtest"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/storeresponse"
	"stowrs-to-s3/app/stow"
)

// Reasons: which situation gives which Failure Reason (PS3.18 Table I.2-2, PS3.7
// Annex C) in which sequence, and which Warning Reason (Table I.2-1).
//
// Never given: B000 and B006, nothing is coerced or discarded; 0122 and C122, no SOP
// class and no transfer syntax is refused; 0124, see TestStatusCodes.
func TestReasons(t *testing.T) {
	a, b := ct("1.1", 10), ct("1.3", 10)
	of := func(sop, study, series, class string) []byte {
		return multipart(instance(sop, study, series, class, 1))
	}
	reject := []option{func(_ *stow.Handler, c *s3store.Config) { c.RejectDuplicates = true }}
	fault := func(status int, code string) func(*service) {
		return func(s *service) { s.s3.Inject(s3test.Fault{Operation: "PutObject", Status: status, Code: code}) }
	}
	old := []byte("what was stored before")
	before := func(s *service) { s.s3.Put(study+"/"+series+"/1.1", old) }
	mismatch := bytes.Replace(ct("1.7", 10), []byte("1.7\x00"), []byte("1.8\x00"), 1)
	foreignClass := bytes.Replace(a, []byte(classUID), []byte("1.2.840.10008.5.1.4.1.1.4"), 1)
	private := dicomtest.File("1.5", classUID, "1.3.46.670589.33.1.4.1", dataset(explicitLE, "1.5", study, series, classUID, 10))
	runExchanges(t, []exchange{
		{name: "C000: no SOP Instance UID is known", source: "PS3.18 Table I.2-2, I.1-1 (119A)", body: multipart([]byte("text")), status: 400, want: "other C000"},
		{name: "C000: cut off, though its UID is known", source: "PS3.18 Table I.2-2", body: multipart(ct("1.2", 3000))[:1000], status: 400, want: "failed 1.2 C000"},
		{name: "0117: a UID of 65 characters", source: "PS3.7 §C.5.12, PS3.5 §9.1", body: of("1.3", strings.Repeat("1", 65), series, classUID), status: 409, want: "failed 1.3 0117"},
		{name: "0117: a UID of letters", source: "PS3.7 §C.5.12", body: of("1.3", "abc.123", series, classUID), status: 409, want: "failed 1.3 0117"},
		{name: "0117: a SOP class of letters", source: "PS3.7 §C.5.12", body: of("1.3", study, series, "CTImageStorage"), status: 409, want: "failed 1.3 0117"},
		{name: "0117: the SOP Instance UID itself", source: "PS3.18 Table I.1-1 (119A)", body: of("1..2", study, series, classUID), status: 409, want: "other 0117"},
		{name: "0120: no Study Instance UID", source: "PS3.7 §C.5.13", body: of("1.3", absent, series, classUID), status: 409, want: "failed 1.3 0120"},
		{name: "0120: no Series Instance UID", source: "PS3.7 §C.5.13", body: of("1.3", study, absent, classUID), status: 409, want: "failed 1.3 0120"},
		{name: "0120: no SOP Class UID", source: "PS3.7 §C.5.13", body: of("1.3", study, series, absent), status: 409, want: "failed 1.3 0120"},
		{name: "0120: no SOP Instance UID", source: "PS3.18 Table I.1-1 (119A)", body: of(absent, study, series, classUID), status: 409, want: "other 0120"},
		{name: "0121: a UID without value", source: "PS3.7 §C.5.14", body: of("1.3", study, "", classUID), status: 409, want: "failed 1.3 0121"},
		{name: "A901: another study than the URL", source: "PS3.18 Table I.2-2 (A9xx)", path: "/studies/9.9", body: multipart(a), status: 409, want: "failed 1.1 A901"},
		{name: "A700: over the size limit", source: "PS3.18 Table I.2-2 (A7xx)", options: []option{func(_ *stow.Handler, c *s3store.Config) { c.MaxInstanceBytes = 2000 }},
			body: multipart(a, ct("1.2", 9000), b), status: 202, want: "stored 1.1 | stored 1.3 | failed 1.2 A700", stored: [][]byte{a, b}},
		{name: "A700: S3 asks to slow down", source: "PS3.18 Table I.2-2 (A7xx)", before: fault(503, "SlowDown"), body: multipart(a), status: 503, want: "failed 1.1 A700"},
		{name: "0110: S3 failed after retries", source: "PS3.18 Table I.2-2", before: fault(500, "InternalError"), body: multipart(a), status: 503, want: "failed 1.1 0110"},
		{name: "0110: S3 refused", source: "PS3.18 Table I.2-2", before: fault(403, "AccessDenied"), body: multipart(a), status: 503, want: "failed 1.1 0110"},
		{name: "0111: other bytes are stored, and rejected", source: "PS3.7 §C.5.7", options: reject, before: before, body: multipart(a), status: 409, want: "failed 1.1 0111", stored: [][]byte{old}},
		{name: "no reason: other bytes are overwritten", source: "the default", before: before, body: multipart(a), status: 200, want: "stored 1.1", stored: [][]byte{a}},
		{name: "no reason: any transfer syntax", source: "against C122", body: multipart(private), status: 200, want: "stored 1.5", stored: [][]byte{private}},
		{name: "B007: File Meta names another instance", source: "PS3.18 Table I.2-1, PS3.10 §7.1", body: multipart(mismatch), status: 202, want: "stored 1.7 B007", stored: [][]byte{mismatch}},
		{name: "B007: File Meta names another class", source: "PS3.18 Table I.2-1, PS3.10 §7.1", body: multipart(foreignClass), status: 202, want: "stored 1.1 B007", stored: [][]byte{foreignClass}},
	})
}

// A reason is written as the number that PS3.18 Tables I.2-1 and I.2-2 and PS3.7 Annex C give it.
func TestReasonNumbers(t *testing.T) {
	for reason, want := range map[storeresponse.Reason]int{
		storeresponse.ReasonProcessingFailure: 272, storeresponse.ReasonDuplicateInstance: 273, storeresponse.ReasonInvalidInstance: 279, storeresponse.ReasonMissingAttribute: 288,
		storeresponse.ReasonMissingAttributeValue: 289, storeresponse.ReasonOutOfResources: 42752, storeresponse.ReasonStudyMismatch: 43265, storeresponse.ReasonWarnMismatch: 45063, storeresponse.ReasonCannotUnderstand: 49152,
	} {
		if int(reason) != want {
			t.Errorf("%s is %d, want %d", reason.Hex(), reason, want)
		}
	}
}
