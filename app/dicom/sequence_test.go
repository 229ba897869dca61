package dicom_test

import (
	"bytes"
	"errors"
	"testing"

	"stowrs-to-s3/app/dicom"
)

// Sequences before the UIDs contain UIDs of other instances, which must not be
// used (PS3.5 §7.5).
func TestIdentifyTakesTopLevelOnly(t *testing.T) {
	const icon, private = 0x00091010, 0x00091002
	var tests []identifyTest
	for _, s := range []struct {
		name   string
		syntax syntax
		uid    string
	}{{"explicit", explicit, explicitSyntax}, {"implicit", implicit, implicitSyntax}, {"big endian", big, bigSyntax}} {
		w, decoys := s.syntax, s.syntax.decoys()
		defined := w.Element(item, "", string(decoys))
		un := implicit.Open(item, "", implicit.decoys(), implicit.Open(0x00081140, "SQ", implicit.Open(item, "", implicit.decoys())))
		fragments := join(w.Element(item, "", ""), w.Element(item, "", string(decoys)))
		for _, test := range []struct {
			name  string
			extra []byte
		}{
			{"SQ of defined length", w.Element(0x00081140, "SQ", string(defined))},
			{"SQ of undefined length, item of defined", w.Open(0x00081140, "SQ", defined, defined)},
			{"SQ and items of undefined length", w.Open(0x00081140, "SQ", w.Open(item, "", decoys), w.Open(item, "", decoys))},
			{"SQ without items", w.Open(0x00081140, "SQ")},
			{"empty item", w.Open(0x00081140, "SQ", w.Open(item, ""))},
			{"private nested SQ", w.Open(private, "SQ", w.Open(item, "", decoys, w.Open(private, "SQ", w.Open(item, "", decoys)), decoys))},
			{"SQ of defined length in an item of undefined", w.Open(private, "SQ", w.Open(item, "", w.Element(private, "SQ", string(defined)), decoys))},
			{"UN of undefined length is implicit little endian, PS3.5 §6.2.2", join(w.Header(private, "UN", undefined), un, implicit.Header(sequenceEnd, "", 0))},
			{"UN of defined length", w.Element(private, "UN", string(decoys))},
			{"icon with encapsulated pixel data, PS3.5 §A.4", w.Open(0x00091011, "SQ", w.Open(item, "", w.Open(0x7FE00010, "OB", fragments)))},
			{"encapsulated data in a private element", w.Open(icon, "OW", fragments)},
			{"VR yet unknown of undefined length", w.Open(private, "ZZ", w.Open(item, "", decoys))},
			{"item delimiter after an item of defined length", w.Open(private, "SQ", defined, w.Header(itemEnd, "", 0))},
			{"delimiters after a sequence of defined length", join(w.Element(private, "SQ", string(defined)), w.Header(itemEnd, "", 0), w.Header(sequenceEnd, "", 0))},
			{"delimiter with a length", join(w.Header(private, "SQ", undefined), w.Open(item, "", decoys), w.Header(sequenceEnd, "", 7))},
			{"64 levels", nest(w, 64)},
		} {
			tests = append(tests, identifyTest{s.name + "/" + test.name, file(s.uid, w.dataset(test.extra)), want(s.uid)})
		}
	}
	runIdentified(t, tests)
}

// nest returns sequences of undefined length, nested levels deep.
func nest(w syntax, levels int) []byte {
	var b []byte
	for range levels {
		b = w.Open(0x00291002, "SQ", w.Open(item, "", w.decoys(), b))
	}
	return b
}

func TestIdentifyRefusesBrokenSequences(t *testing.T) {
	w := explicit
	head := w.Header(0x00081140, "SQ", undefined)
	for name, extra := range map[string][]byte{
		"deeper than 64":                 nest(w, 65),
		"hostile depth":                  bytes.Repeat(join(head, w.Header(item, "", undefined)), 100_000),
		"fragment of undefined length":   join(w.Header(0x00091001, "OB", undefined), w.Header(item, "", undefined)),
		"unknown delimiter":              join(head, w.Header(0xFFFE0001, "", 0)),
		"undefined length of UT":         join(w.Header(0x00091001, "UT", undefined), w.Header(sequenceEnd, "", 0)),
		"undefined length of UT in item": join(head, w.Header(item, "", undefined), w.Header(0x00091001, "UT", undefined)),
		"length past the end":            w.Header(0x00091001, "OB", 0x7FFFFFFF),
		"item length past the end":       join(head, w.Header(item, "", 0x7FFFFFFF)),
		"length one below undefined":     w.Header(0x00091001, "OB", undefined-1),
		"UID of undefined length":        implicit.Header(studyUID, "", undefined),
	} {
		t.Run(name, func(t *testing.T) {
			input := file(explicitSyntax, w.dataset(extra))
			_, err := dicom.Identify(bytes.NewReader(input), 8<<30)
			if !errors.Is(err, dicom.ErrNotDICOM) {
				t.Errorf("error %v, want ErrNotDICOM", err)
			}
		})
	}
}
