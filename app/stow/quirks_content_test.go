package stow_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"stowrs-to-s3/app/dicomtest"
	"stowrs-to-s3/app/s3store"
	"stowrs-to-s3/app/s3test"
	"stowrs-to-s3/app/stow"
)

// Content quirks: DICOM as devices write it. An instance that can be identified is stored byte for
// byte and without a warning; any other is refused alone, not the request.
//
// Metadata with bulkdata have their own tests; damage before the UIDs is tested,
// element by element, in package dicom.
func TestContentQuirks(t *testing.T) {
	le := explicitLE
	uids := func(s dicomtest.Syntax, more ...[]byte) []byte {
		return dataset(s, "1.1", study, series, classUID, 10, more...)
	}
	padded := func(pad string) []byte {
		value := func(tag uint32, uid string) []byte { return le.Element(tag, "UI", uid+pad) }
		return dicomtest.File("1.1", classUID, le.UID, join(value(0x00080016, classUID), value(0x00080018, "1.1"), value(0x0020000D, study), value(0x0020000E, series)))
	}
	nested := join(le.UI(0x0020000D, "9.9.1"), le.UI(0x0020000E, "9.9.2"))      // not those of the instance
	undefinedUN := join(le.Header(0x00091001, "UN", dicomtest.UndefinedLength), // PS3.5 §6.2.2: inside, implicit VR little endian
		implicitLE.Open(dicomtest.Item, "", implicitLE.UI(0x0020000D, "9.9.1"), implicitLE.UI(0x0020000E, "9.9.2")), implicitLE.Header(dicomtest.SequenceEnd, "", 0))
	fragments := le.Open(dicomtest.PixelData, "OB", le.Element(dicomtest.Item, "", ""), le.Element(dicomtest.Item, "", string(nested)))
	polyglot := bytes.Replace(ct("1.1", 10), make([]byte, 128), append([]byte("MZ\x90\x00"), bytes.Repeat([]byte{0xCC}, 124)...), 1)
	exchanges := []exchange{
		{name: "no preamble and no File Meta, explicit VR", source: "pydicom/pydicom#150, #2231, ivmartel/dwv#188, cornerstonejs/dicomParser#12", body: uids(le)},
		{name: "no preamble and no File Meta, implicit VR", source: "cornerstonejs/dicomParser#112", body: uids(implicitLE)},
		{name: "no preamble", source: "PS3.10 §7.1", body: ct("1.1", 10)[128:]},
		{name: "preamble of a program", source: "PS3.10 §7.1, fo-dicom/fo-dicom#879; microsoft/dicom-server#1907 erases it", body: polyglot},
		{name: "UIDs that end in a space", source: "microsoft/dicom-server#1795, #2641, dcmjs-org/dcmjs#130", body: padded(" ")},
		{name: "UIDs that end in NULs", source: "Enet4/dicom-rs#157, #166, suyashkumar/dicom#80", body: padded("\x00\x00\x00")},
		{name: "deflated", source: "PS3.5 §A.5, dcm4che/dcm4che#448, #44, fo-dicom/fo-dicom#259", body: dicomtest.File("1.1", classUID, dicomtest.DeflatedLE, dicomtest.Deflate(uids(le)))},
		{name: "private SQ of undefined length before the UIDs", source: "pydicom/pydicom#242, cornerstonejs/dicomParser#49, #114, #266", body: with("1.1", le.Open(0x00091001, "SQ", le.Open(dicomtest.Item, "", nested)))},
		{name: "UN of undefined length before the UIDs", source: "fo-dicom/fo-dicom#64, #1876, #1941, #2183", body: with("1.1", undefinedUN)},
		{name: "encapsulated icon in a sequence before the UIDs", source: "fo-dicom/fo-dicom#133", body: with("1.1", le.Open(0x00091001, "SQ", le.Open(dicomtest.Item, "", fragments)))},
		{name: "an element of 12 MiB before the UIDs", source: "imi-bigpicture/wsidicomizer#138", body: with("1.1", le.Element(0x00091001, "OB", string(pixels(12<<20))))},
		{name: "implicit VR little endian", source: "PS3.18 §8.7.3 excludes it", body: dicomtest.File("1.1", classUID, implicitLE.UID, uids(implicitLE))},
		{name: "explicit VR big endian", source: "PS3.18 §8.7.3 excludes it", body: dicomtest.File("1.1", classUID, explicitBE.UID, uids(explicitBE))},
		{name: "longer than a buffer, encapsulated", source: "microsoft/dicom-server#346, #368", body: dicomtest.File("1.1", classUID, jpegBaseline, join(le.UI(0x00080016, classUID), le.UI(0x00080018, "1.1"),
			le.UI(0x0020000D, study), le.UI(0x0020000E, series), le.Open(dicomtest.PixelData, "OB", slices.Repeat([][]byte{le.Element(dicomtest.Item, "", string(pixels(1<<20)))}, 18)...)))},
		{name: "longer than its pixel data declares", source: "lengths have 32 bits, a file may be longer", body: append(ct("1.1", 10), pixels(9<<20)...)},
		{name: "private element in implicit VR", source: "microsoft/dicom-server GivenInstanceWithImplicitVRPrivateTag", body: dicomtest.File("1.1", classUID, implicitLE.UID, uids(implicitLE, implicitLE.Element(0x00091001, "", "private ")))},
		{name: "video", source: "dcm4che/dcm4chee-arc-light#5009", body: dicomtest.File("1.1", "1.2.840.10008.5.1.4.1.1.77.1.4.1", mpeg4HighProfile,
			dataset(le, "1.1", study, series, "1.2.840.10008.5.1.4.1.1.77.1.4.1", 3000))},
		{name: "no pixel data: reports and presentation states", source: "dcm4che/dcm4chee-arc-light#1428, #2454", body: ct("1.1", 0)[:len(ct("1.1", 0))-12]},
	}
	for i := range exchanges {
		e := &exchanges[i]
		e.stored, e.path, e.body = [][]byte{e.body}, "/studies/"+study, multipart(e.body)
		e.status, e.want = 200, "stored 1.1"
	}
	runExchanges(t, exchanges)
}

// Content that cannot be identified, or not with certainty. Each is sent between two good instances, which are stored.
func TestContentThatIsRefused(t *testing.T) {
	of := func(sop, study, series string) []byte { return instance(sop, study, series, classUID, 1) }
	long := strings.Repeat("1", 65)
	bomb := dataset(explicitLE, "1.3", study, series, classUID, 10, explicitLE.Element(0x00091001, "OB", string(make([]byte, 40<<20))))
	for _, test := range []struct {
		name, source string
		data         []byte
		want         string
	}{
		{"neither preamble nor File Meta nor group 0008", "pydicom/pydicom#2231", explicitLE.Element(0x00100010, "PN", "Doe^John"), "other C000"},
		{"no Study Instance UID", "microsoft/dicom-server#456", of("1.3", absent, series), "failed 1.3 0120"},
		{"empty Study Instance UID", "microsoft/dicom-server#456", of("1.3", "", series), "failed 1.3 0121"},
		{"UID of more than 64 characters", "pydicom/pynetdicom#769", of("1.3", study, long), "failed 1.3 0117"},
		{"UID of letters", "microsoft/dicom-server's tests", of("1.3", "abc.123", series), "failed 1.3 0117"},
		{"UID with a bar", "microsoft/dicom-server's tests", of("11|", study, series), "other 0117"},
		{"UID with an empty component", "rordenlab/dcm2niix#268", of("1.3", "1..2", series), "failed 1.3 0117"},
		{"path traversal in the study", "pydicom/pynetdicom#823, #829, #1092", of("1.3", "../../etc", series), "failed 1.3 0117"},
		{"path traversal: absolute", "honeynet/DICOMHawk#114", of("1.3", "/etc", series), "failed 1.3 0117"},
		{"path traversal: a dot", "honeynet/DICOMHawk#114", of("1.3", ".", series), "failed 1.3 0117"},
		{"path traversal: two dots in the series", "honeynet/DICOMHawk#114", of("1.3", study, ".."), "failed 1.3 0117"},
		{"path traversal in the instance", "honeynet/DICOMHawk#114", of("../1", study, series), "other 0117"},
		{"deflated bomb before the UIDs", "dcm4che/dcm4chee-arc-light#3028", dicomtest.File("1.3", classUID, dicomtest.DeflatedLE, dicomtest.Deflate(bomb)), "failed 1.3 C000"},
		{"an element longer than HEADWINDOW before the UIDs", "Orthanc TODO, Orthanc forum thread 5924", with("1.3", explicitLE.Element(0x00091001, "OB", string(make([]byte, 17<<20)))), "failed 1.3 C000"},
		{"an element that declares 4 GB", "Google: 4 GB an element; suyashkumar/dicom#349", with("1.3", explicitLE.Header(0x00091001, "OB", dicomtest.UndefinedLength-1)), "failed 1.3 C000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			a, b := ct("1.1", 10), ct("1.2", 3000)
			got := s.post(t, "/studies", "", bytes.NewReader(multipart(a, test.data, b)))
			if want := "stored 1.1 | stored 1.2 | " + test.want; got.status != 202 || got.outcomes() != want {
				t.Errorf("%s: got %d %q, want 202 %q", test.source, got.status, got.outcomes(), want)
			}
			s.wantStored(t, a, b)
		})
	}
}

// More about UIDs: leading zeros are common; a SOP Instance UID may occur again in
// another series or study (GoogleCloudPlatform/healthcare-dicom-dicomweb-adapter#153).
func TestKeysHoldTheWholeHierarchy(t *testing.T) {
	s := newService(t)
	a, b, c := instance("1.01", "1.2.003", "04", classUID, 1), instance("1.01", "1.2.003", "05", classUID, 2), instance("1.01", "1.2.3", "04", classUID, 3)
	if got := s.post(t, "/studies", "", bytes.NewReader(multipart(a, b, c))); got.status != 200 || got.outcomes() != "stored 1.01 | stored 1.01 | stored 1.01" {
		t.Errorf("got %d %q", got.status, got.outcomes())
	}
	if want := []string{"1.2.003/04/1.01", "1.2.003/05/1.01", "1.2.3/04/1.01"}; !slices.Equal(s.s3.Keys(), want) {
		t.Errorf("got keys %v, want %v", s.s3.Keys(), want)
	}
	s.wantStored(t, a, b, c)
}

// A duplicate never harms what is stored (dcm4che/dcm4chee-arc-light#4754), and an instance that
// the answer reports as failed is not stored (#4773, #862): neither the same bytes
// again, nor others that are rejected, nor others that S3 fails to store.
func TestDuplicateNeverDeletes(t *testing.T) {
	stored, other := ct("1.1", 300<<10), ct("1.1", 300<<10+1)
	outage := func(s *service) {
		s.s3.Inject(s3test.Fault{Operation: "CompleteMultipartUpload", Status: 500, Code: "InternalError"})
	}
	reject := func(_ *stow.Handler, c *s3store.Config) { c.RejectDuplicates = true }
	accept := func(*stow.Handler, *s3store.Config) {}
	for _, test := range []struct {
		name   string
		policy option
		before func(*service)
		again  []byte
		status int
		want   string
	}{
		{"overwrite, the same bytes", accept, nil, stored, 200, "stored 1.1"},
		{"overwrite, other bytes that S3 fails", accept, outage, other, 503, "failed 1.1 0110"},
		{"reject, the same bytes", reject, nil, stored, 200, "stored 1.1"},
		{"reject, other bytes", reject, nil, other, 409, "failed 1.1 0111"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, smallParts, test.policy)
			if first := s.post(t, "/studies", "", bytes.NewReader(multipart(stored))); first.status != 200 {
				t.Fatalf("the first: got %d", first.status)
			}
			if test.before != nil {
				test.before(s)
			}
			got := s.post(t, "/studies", "", bytes.NewReader(multipart(test.again)))
			if got.status != test.status || got.outcomes() != test.want {
				t.Errorf("got %d %q, want %d %q", got.status, got.outcomes(), test.status, test.want)
			}
			s.wantStored(t, stored)
		})
	}
}
