package metadata_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose/metadata"
)

// FuzzReadJSON holds for any text: no panic; only the documented errors; datasets
// that are valid with and without their holes, also those of failed instances, and in which
// every element is found; at most a few times the bytes of the text.
func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{
		"", "[]", "{}", "[{},1]", "{" + everyVR + "}", "[{" + everyVR + "},{" + everyVR + "}]",
		`{"7FE00010":{"vr":"OW","BulkDataURI":"a"},"54000100":{"Value":[{"54001010":{"vr":"OB","BulkDataURI":"b"}},null,{}],"vr":"SQ"}}`,
		`{"00100010":{"Value":[{"Alphabetic":"Ä","Phonetic":null},"\ud83d\ude00",{}],"vr":"PN"},"00080005":{"vr":"CS","Value":["ISO_IR 100"]}}`,
		`{"00081140":{"vr":"SQ","Value":[{"00080005":{"vr":"CS"},"00080005":{}}]},"00720083":{"vr":"UV","Value":["1",2e0]}}`,
		`{"00189087":{"vr":"FD","Value":["NaN",null,1e-400]},"00280030":{"vr":"DS","Value":[0.30000000000000004,null]}}`,
		`[{"00100010":{"vr":"PN","Value":["\\u00e4\\/\\n\\ud83d\\ude00",-0.1e+5,true,false,null,[],0]}} , {} ]`, "[01]", "[1.]", "[-]", `["\x"]`, "[1 2]", "[tru]", `[{"a":1,}]`,
		"\uFEFF" + strings.Repeat(`{"00081140":{"vr":"SQ","Value":[`, 66) + strings.Repeat(`]}}`, 66),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var instances int
		err := metadata.ReadJSON(strings.NewReader(text), unlimited, func(d *metadata.Dataset, _ error) error {
			instances++
			check(t, d, len(text))
			return nil
		})
		if err != nil && !errors.Is(err, metadata.ErrSyntax) {
			t.Fatalf("error of no documented kind: %v", err)
		}
		// encoding/json accepts the same JSON, except for what would be replaced or not read.
		if valid := json.Valid([]byte(strings.TrimPrefix(text, "\uFEFF"))); valid && err != nil {
			refused := func(why string) bool { return strings.Contains(err.Error(), why) }
			if !slices.ContainsFunc([]string{"neither array nor object", "UTF-8", "surrogate", "nested"}, refused) {
				t.Fatalf("JSON, but: %v", err)
			}
		} else if !valid && err == nil {
			t.Fatal("not JSON, but no error")
		}
		if instances > len(text) {
			t.Fatalf("%d instances", instances)
		}
	})
}

// FuzzReadXML is FuzzReadJSON for XML.
func FuzzReadXML(f *testing.F) {
	for _, seed := range []string{
		"", "<NativeDicomModel/>", document(""),
		document(attribute("00080008", "CS", `<Value number="3">B</Value><Value number="1">A&lt;</Value>`)),
		document(attribute("00100010", "PN", `<PersonName number="1"><Alphabetic><FamilyName>Ä</FamilyName></Alphabetic></PersonName>`)),
		document(private("00090001", "US", "A", value("1")) + private("00111001", "OB", "B", `<BulkData uri="b"/>`) + attribute("00110010", "LO", value("C"))),
		document(attribute("00081140", "SQ", `<Item number="2">`+attribute("00080005", "CS", "")+`</Item><Item number="1">`+
			private("00090001", "SQ", "A", `<Item><DicomAttribute tag="00090002" privateCreator="A"><InlineBinary>AQ==</InlineBinary></DicomAttribute></Item>`)+`</Item>`)),
		`<?xml version="1.0" encoding="latin1"?><!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel>&b;</NativeDicomModel>`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := metadata.ReadXML(strings.NewReader(text), unlimited)
		switch {
		case errors.Is(err, metadata.ErrSyntax) && d == nil:
		case d == nil:
			t.Fatalf("no dataset: %v", err)
		default:
			check(t, d, len(text))
		}
	})
}

// check holds for every dataset that was read from text of some length.
func check(t *testing.T, d *metadata.Dataset, length int) {
	t.Helper()
	if err := valid(d); err != nil {
		t.Fatal(err)
	}
	if len(d.Encoded) > 4*length+64 || len(d.Holes) > length {
		t.Fatalf("%d bytes and %d holes from %d bytes of text", len(d.Encoded), len(d.Holes), length)
	}
	without := &metadata.Dataset{Encoded: d.Encoded}
	if err := valid(without); err != nil {
		t.Fatalf("without holes: %v", err)
	}
	for rest := d.Encoded; len(rest) > 0; {
		h, err := headerOf(rest)
		if err != nil {
			t.Fatal(err)
		}
		value, found := d.Lookup(tagOf(h.tag))
		if !found {
			t.Fatalf("%08X is not found", h.tag)
		}
		d.String(tagOf(h.tag))
		d.Int(tagOf(h.tag))
		rest = h.rest[len(value):]
		if h.length == undefined {
			rest = rest[8:]
		}
	}
	d.Set(tagOf(0x00080060), "CS", []byte("CT"))
	if err := valid(d); err != nil || d.String(tagOf(0x00080060)) != "CT" {
		t.Fatalf("after Set: %v", err)
	}
}
