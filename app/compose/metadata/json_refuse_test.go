package metadata_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose/metadata"
)

// TestReadJSONRefuses has one row for each rule by which an instance fails. The
// error names the tag, and never contains the value, which is SECRET where
// possible.
func TestReadJSONRefuses(t *testing.T) {
	for _, row := range []struct{ rule, json, want string }{
		{"PS3.18 F.2.2: names are tags, not keywords", `"PatientID":{"vr":"LO","Value":["SECRET"]}`, "is not a tag of 8"},
		{"names are hexadecimal", `"0008006X":{"vr":"LO"}`, "is not a tag of 8"},
		{"names are not told", `"SECRET":{"vr":"LO"}`, "is not a tag of 8"},
		{"names have no sign", `"+0080060":{"vr":"LO"}`, "is not a tag of 8"},
		{"names are 8 digits", `"8":{"vr":"LO"}`, "is not a tag of 8"},
		{"a tag twice", `"00080060":{"vr":"CS"},"00080060":{"vr":"CS","Value":["SECRET"]}`, "(0008,0060) is there twice"},
		{"a tag twice, in either case", `"0008103E":{"vr":"LO"},"0008103e":{"vr":"LO"}`, "(0008,103E) is there twice"},
		{"a tag twice in an item", `"00081140":{"vr":"SQ","Value":[{"00080060":{"vr":"CS"},"00080060":{"vr":"CS"}}]}`, "(0008,0060) is there twice"},
		{"PS3.5 7.1: no commands", `"00000100":{"vr":"US","Value":[1]}`, "(0000,0100)"},
		{"PS3.5 7.5: no items", `"FFFEE000":{"vr":"SQ"}`, "(FFFE,E000)"},
		{"PS3.5 7.8.1: groups that are never private", `"00070010":{"vr":"LO"},"00080060":{"vr":"CS"}`, "(0007,0010)"},
		{"not an attribute object", `"00080060":"SECRET"`, "(0008,0060) is not an object"},
		{"PS3.5 6.2: unknown vr", `"00080060":{"vr":"XX"}`, "(0008,0060) has an unknown vr"},
		{"vr twice", `"00080060":{"vr":"CS","vr":"LO"}`, "(0008,0060) has vr"},
		{"vr of another type", `"00080060":{"vr":1}`, "(0008,0060) has vr"},
		{"Value that is true", `"00080060":{"vr":"CS","Value":true}`, "(0008,0060) has a value"},
		{"Value twice", `"00080060":{"vr":"CS","Value":["a"],"Value":["b"]}`, "(0008,0060) has Value twice"},
		{"Value and InlineBinary", `"7FE00010":{"vr":"OW","Value":[1],"InlineBinary":""}`, "(7FE0,0010) has more than one"},
		{"InlineBinary and BulkDataURI", `"7FE00010":{"vr":"OW","InlineBinary":"","BulkDataURI":"a"}`, "(7FE0,0010) has more than one"},
		{"BulkDataURI twice", `"7FE00010":{"vr":"OW","BulkDataURI":"a","BulkDataURI":"a"}`, "(7FE0,0010) has more than one"},
		{"InlineBinary of another type", `"7FE00010":{"vr":"OW","InlineBinary":[5]}`, "(7FE0,0010) has InlineBinary"},
		{"InlineBinary of several strings", `"7FE00010":{"vr":"OW","InlineBinary":["AAA=","AAA="]}`, "(7FE0,0010) has more than one"},
		{"a name in other letters, which may have the value", `"00080060":{"vr":"CS","value":["SECRET"]}`, "(0008,0060) has Value"},
		{"the vr in other letters", `"00080060":{"VR":"CS"}`, "(0008,0060) has vr"},

		{"PS3.18 F.2.3: a number for text", `"00100020":{"vr":"LO","Value":[42]}`, "(0010,0020)"},
		{"a boolean", `"00100020":{"vr":"LO","Value":[true]}`, "(0010,0020)"},
		{"an array in an array", `"00100020":{"vr":"LO","Value":[["SECRET"]]}`, "(0010,0020)"},
		{"a name for text", `"00100020":{"vr":"LO","Value":[{"Alphabetic":"SECRET"}]}`, "(0010,0020)"},
		{"an item for text", `"00100020":{"vr":"LO","Value":[{"00080060":{"vr":"CS"}}]}`, "(0010,0020)"},
		{"an item for text before its vr", `"00100020":{"Value":[{"00080000":{}}],"vr":"LO"}`, "(0010,0020)"},
		{"an empty object for text", `"00100020":{"vr":"LO","Value":[{}]}`, "(0010,0020)"},
		{"a name in a sequence", `"00081140":{"vr":"SQ","Value":[{"Alphabetic":"SECRET"}]}`, "(0008,1140)"},
		{"text in a sequence", `"00081140":{"vr":"SQ","Value":["SECRET"]}`, "(0008,1140)"},
		{"PS3.5 6.2: two values of LT", `"00204000":{"vr":"LT","Value":["SECRET","SECRET"]}`, "(0020,4000) has several values"},
		{"two values of UR", `"00081190":{"vr":"UR","Value":["a",null]}`, "(0008,1190) has several values"},
		{"PS3.18 F.2.4: a backslash in a value", `"00100020":{"vr":"LO","Value":["SE\\CRET"]}`, "(0010,0020) has a backslash"},
		{"a backslash in a name", `"00100010":{"vr":"PN","Value":[{"Alphabetic":"SE\\CRET"}]}`, "(0010,0010) has a backslash"},
		{"PS3.5 6.2.1: a delimiter in a group", `"00100010":{"vr":"PN","Value":[{"Alphabetic":"SE=CRET","Phonetic":"P"}]}`, "(0010,0010)"},
		{"another group", `"00100010":{"vr":"PN","Value":[{"Alphabetic":"SECRET","Latin":"SECRET"}]}`, "(0010,0010)"},
		{"a group of another type", `"00100010":{"vr":"PN","Value":[{"Alphabetic":["SECRET"]}]}`, "(0010,0010)"},

		{"DS of a number beyond any", `"00280030":{"vr":"DS","Value":[1.0000000000000000e999]}`, "(0028,0030)"},
		{"PS3.5 6.2: IS is whole", `"00200013":{"vr":"IS","Value":[1.5]}`, "(0020,0013)"},
		{"IS has 32 bits", `"00200013":{"vr":"IS","Value":[2147483648]}`, "(0020,0013) has a number outside"},
		{"US above", `"00280010":{"vr":"US","Value":[65536]}`, "(0028,0010) has a number outside"},
		{"US below", `"00280010":{"vr":"US","Value":[-1]}`, "(0028,0010) has a number outside"},
		{"US below, with a fraction", `"00280010":{"vr":"US","Value":[-1.0]}`, "(0028,0010) has a number outside"},
		{"US is whole", `"00280010":{"vr":"US","Value":[0.5]}`, "(0028,0010)"},
		{"US is no string of text", `"00280010":{"vr":"US","Value":["SECRET"]}`, "(0028,0010)"},
		{"US is no string of a fraction", `"00280010":{"vr":"US","Value":["1.5"]}`, "(0028,0010)"},
		{"US is no string of a number that it cannot have", `"00280010":{"vr":"US","Value":["65536"]}`, "(0028,0010)"},
		{"US is no string in hexadecimal", `"00280010":{"vr":"US","Value":["0x10"]}`, "(0028,0010)"},
		{"US and null", `"00280010":{"vr":"US","Value":[1,null]}`, "(0028,0010) has an empty value"},
		{"SS above", `"00280106":{"vr":"SS","Value":[32768]}`, "(0028,0106) has a number outside"},
		{"UL above", `"00081161":{"vr":"UL","Value":[4294967296]}`, "(0008,1161) has a number outside"},
		{"SL below", `"00186020":{"vr":"SL","Value":[-2147483649]}`, "(0018,6020) has a number outside"},
		{"SV above", `"00720082":{"vr":"SV","Value":[9223372036854775808]}`, "(0072,0082) has a number outside"},
		{"SV inexactly", `"00720082":{"vr":"SV","Value":[9.1e18]}`, "(0072,0082) has a number outside"},
		{"UV above", `"00720083":{"vr":"UV","Value":["18446744073709551616"]}`, "(0072,0083) has a number outside"},
		{"UV below", `"00720083":{"vr":"UV","Value":["-1"]}`, "(0072,0083) has a number outside"},
		{"UV is a number", `"00720083":{"vr":"UV","Value":["SECRET"]}`, "(0072,0083)"},
		{"FL above", `"00089459":{"vr":"FL","Value":[1e39]}`, "(0008,9459) has a number outside"},
		{"FD above", `"00189087":{"vr":"FD","Value":[1e309]}`, "(0018,9087) has a number outside"},
		{"FD is no string of text", `"00189087":{"vr":"FD","Value":["SECRET"]}`, "(0018,9087)"},
		{"FD is no string of two numbers", `"00189087":{"vr":"FD","Value":["1.5\\2"]}`, "(0018,9087)"},
		{"AT is no number", `"00280009":{"vr":"AT","Value":[1]}`, "(0028,0009)"},
		{"AT is hexadecimal", `"00280009":{"vr":"AT","Value":["0018106X"]}`, "(0028,0009)"},
		{"AT and null", `"00280009":{"vr":"AT","Value":["00181063",null]}`, "(0028,0009) has an empty value"},

		{"PS3.18 F.2.2: OB has no Value", `"7FE00010":{"vr":"OB","Value":[1]}`, "(7FE0,0010)"},
		{"a value in another form", `"7FE00010":{"vr":"OB","DataFragment":[null,{"InlineBinary":"AQI="}]}`, "(7FE0,0010) has a value in a form"},
		{"PS3.18 F.2.2: UN has no Value", `"00091001":{"vr":"UN","Value":["SECRET"]}`, "(0009,1001)"},
		{"unknown, with a Value", `"00091001":{"Value":["SECRET"]}`, "(0009,1001)"},
		{"UN has no items", `"00091001":{"vr":"UN","Value":[{"00080060":{"vr":"CS"}}]}`, "(0009,1001)"},
		{"not base64", `"7FE00010":{"vr":"OB","InlineBinary":"SEC*RET="}`, "(7FE0,0010) has InlineBinary that is not base64"},
		{"base64 cut off", `"7FE00010":{"vr":"OB","InlineBinary":"AAAAA"}`, "(7FE0,0010) has InlineBinary that is not base64"},
		{"half a word", `"7FE00010":{"vr":"OW","InlineBinary":"AQID"}`, "(7FE0,0010) has InlineBinary that is not a whole"},
		{"PS3.18 F.2.7: no text inline", `"00204000":{"vr":"LT","InlineBinary":"AQI="}`, "(0020,4000)"},
		{"no sequence inline", `"00081140":{"vr":"SQ","InlineBinary":"AQI="}`, "(0008,1140)"},
		{"PS3.18 F.2.2: no sequence as bulkdata", `"00081140":{"vr":"SQ","BulkDataURI":"a"}`, "(0008,1140)"},
		{"no sequence as bulkdata, without a vr", `"00081140":{"BulkDataURI":"a"}`, "(0008,1140)"},
		{"no SOPClassUID as bulkdata", `"00080016":{"vr":"UI","BulkDataURI":"a"}`, "(0008,0016)"},
		{"no SOPInstanceUID as bulkdata", `"00080018":{"vr":"UI","BulkDataURI":"a"}`, "(0008,0018)"},
		{"no StudyInstanceUID as bulkdata", `"0020000D":{"vr":"UI","BulkDataURI":"a"}`, "(0020,000D)"},
		{"no SeriesInstanceUID as bulkdata", `"0020000E":{"vr":"UI","BulkDataURI":"a"}`, "(0020,000E)"},
		{"no SpecificCharacterSet as bulkdata", `"00080005":{"vr":"CS","BulkDataURI":"a"}`, "(0008,0005)"},
		{"PS3.6: SpecificCharacterSet as a sequence", `"00080005":{"vr":"SQ","Value":[{"00080060":{"vr":"CS","Value":["CT"]}}]}`, "(0008,0005) has the VR \"SQ\", PS3.6 says CS"},
		{"PS3.6: SpecificCharacterSet as a number in an item", `"00081140":{"vr":"SQ","Value":[{"00080005":{"vr":"US","Value":[8224]}}]}`, "(0008,0005) has the VR"},
		{"PS3.6: SpecificCharacterSet inline", `"00080005":{"vr":"OB","InlineBinary":"AAA="}`, "(0008,0005) has the VR"},
		{"PS3.6: SpecificCharacterSet as IS", `"00080005":{"vr":"IS","Value":[1]}`, "(0008,0005) has the VR"},
		{"PS3.6: SpecificCharacterSet as AT", `"00080005":{"vr":"AT","Value":["00080005"]}`, "(0008,0005) has the VR"},
		{"PS3.6: a sequence for SpecificCharacterSet before its vr", `"00080005":{"Value":[{"00080060":{}}],"vr":"SQ"}`, "(0008,0005) has the VR"},
		{"PS3.6: Rows as FD", `"00280010":{"vr":"FD","Value":[512]}`, "(0028,0010) has the VR \"FD\", PS3.6 says US"},
		{"PS3.6: Rows as SS", `"00280010":{"vr":"SS","Value":[512]}`, "(0028,0010) has the VR"},
		{"PS3.6: Number of Frames as US", `"00280008":{"vr":"US","Value":[2]}`, "(0028,0008) has the VR"},
		{"PS3.6: Photometric Interpretation as LO", `"00280004":{"vr":"LO","Value":["RGB"]}`, "(0028,0004) has the VR"},
		{"PS3.6: a UID as SH", `"00080018":{"vr":"SH","Value":["1.2"]}`, "(0008,0018) has the VR"},
		{"PS3.6: Rows of two values", `"00280010":{"vr":"US","Value":[512,512]}`, "(0028,0010) has several values"},
		{"PS3.6: Rows of two values inline", `"00280010":{"vr":"US","InlineBinary":"AQACAA=="}`, "(0028,0010) has several values"},
		{"PS3.6: Number of Frames of two values", `"00280008":{"vr":"IS","Value":[1,2]}`, "(0028,0008) has several values"},
		{"PS3.6: a UID of two values", `"0020000D":{"vr":"UI","Value":["1.2","1.3"]}`, "(0020,000D) has several values"},
		{"bulkdata without a URI", `"7FE00010":{"vr":"OW","BulkDataURI":""}`, "(7FE0,0010)"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			const study, modality = `"00200010":{"vr":"SH","Value":["AB"]},`, `,"00400007":{"vr":"LO","Value":["CD"]}`
			d, err := oneJSON(t, study+row.json+modality)
			wantWrong(t, d, err, row.want)
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("error tells a value: %v", err)
			}
			if got := d.String(tagOf(0x00200010)) + d.String(tagOf(0x00400007)); got != "ABCD" {
				t.Errorf("around the wrong attribute: %q", got)
			}
		})
	}
}

// TestReadJSONKeepsFirstTag: if a tag occurs twice, the first one is kept, so
// that the following elements do not move.
func TestReadJSONKeepsFirstTag(t *testing.T) {
	d, err := oneJSON(t, `"00200010":{"vr":"SH","Value":["AB"]},"00200010":{"vr":"SH","Value":["CD"]}`)
	wantWrong(t, d, err, "twice")
	if got := d.String(tagOf(0x00200010)); got != "AB" {
		t.Errorf("got %q", got)
	}
}

func TestReadJSONRefusesDepth(t *testing.T) {
	nested := func(depth int) string {
		return strings.Repeat(`"00081140":{"vr":"SQ","Value":[{`, depth) + `"00080060":{"vr":"CS"}` + strings.Repeat(`}]}`, depth)
	}
	d, err := oneJSON(t, nested(64))
	if err != nil || valid(d) != nil {
		t.Errorf("64 sequences: %v, %v", err, valid(d))
	}
	d, err = oneJSON(t, nested(65))
	wantWrong(t, d, err, "(0008,1140) is nested deeper")
	d, err = oneJSON(t, nested(100)+`,"0020000D":{"vr":"UI","Value":["1.2"]}`)
	wantWrong(t, d, err, "(0008,1140) is nested deeper")
	if d.String(tagOf(0x0020000D)) != "1.2" {
		t.Error("what follows is not read")
	}
}

func TestReadJSONSyntax(t *testing.T) {
	for _, row := range []struct{ name, json string }{
		{"empty", ""},
		{"only spaces", " \n"},
		{"not JSON", "--boundary"},
		{"a string", `"00080060"`},
		{"a number", "1"},
		{"null", "null"},
		{"cut off after the array", "[{}"},
		{"cut off in a name", `[{"0008`},
		{"cut off in a value", `[{"00080060":{"vr":"CS","Value":["C`},
		{"a quote too many", `[{"00100010":{"vr":"PN","Value":["A"SECRET"]}}]`},
		{"a comma too many", "[{},]"},
		{"a comma too few", "[{}{}]"},
		{"something follows an array", "[{}] {}"},
		{"something follows an object", "{}]"},
		{"a name that is no string", "[{8:{}}]"},
		{"a control character", "[{\"00080060\":{\"vr\":\"CS\",\"Value\":[\"\n\"]}}]"},
		{"RFC 8259 8.1: Latin-1", "[{\"00100010\":{\"vr\":\"PN\",\"Value\":[\"\xC4\"]}}]"},
		{"a character cut off at the end", "[{}]\xC3"},
		{"surrogates as bytes", "[{\"00100010\":{\"vr\":\"PN\",\"Value\":[\"\xED\xA0\x80\"]}}]"},
		{"RFC 8259 8.2: half of a pair", `[{"00100010":{"vr":"PN","Value":["\uD83D"]}}]`},
		{"the other half", `[{"00100010":{"vr":"PN","Value":["\uDE00"]}}]`},
		{"the first half twice", `[{"00100010":{"vr":"PN","Value":["\uD83D\uD83D\uDE00"]}}]`},
		{"half a pair and another escape", `[{"00100010":{"vr":"PN","Value":["\ud83d\n"]}}]`},
		{"nested without end", strings.Repeat("[", 100_000)},
		{"nested without end in a value", `{"00080060":{"vr":"CS","Value":` + strings.Repeat(`[{"a":`, 100_000)},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := metadata.ReadJSON(strings.NewReader(row.json), unlimited, func(*metadata.Dataset, error) error { return nil })
			if !errors.Is(err, metadata.ErrSyntax) || strings.Contains(err.Error(), "'S'") {
				t.Errorf("error %v, want ErrSyntax", err)
			}
		})
	}
}

// TestReadJSONSyntaxAfter: instances before the error were returned.
func TestReadJSONSyntaxAfter(t *testing.T) {
	var n int
	err := metadata.ReadJSON(strings.NewReader(`[{},{},{"0008`), unlimited, func(_ *metadata.Dataset, err error) error {
		n++
		return err
	})
	if !errors.Is(err, metadata.ErrSyntax) || n != 2 {
		t.Errorf("%d instances, %v", n, err)
	}
}

// TestReadJSONCharset has one row for each rule of SpecificCharacterSet (PS3.5
// §6.1.2.3).
func TestReadJSONCharset(t *testing.T) {
	latin := `"00080005":{"vr":"CS","Value":["ISO_IR 100"]}`
	name := func(s string) string { return fmt.Sprintf(`"00100010":{"vr":"PN","Value":[{"Alphabetic":"%s"}]}`, s) }
	latinEl, utf8El := el(0x00080005, "CS", "ISO_IR 100"), el(0x00080005, "CS", "ISO_IR 192")
	for _, row := range []struct{ rule, json, want string }{
		{"ASCII keeps what is given", latin + `,` + name("AB"), latinEl + el(0x00100010, "PN", "AB")},
		{"ASCII gets none", name("AB"), el(0x00100010, "PN", "AB")},
		{"other text replaces it", latin + `,` + name("Ä"), utf8El + el(0x00100010, "PN", "Ä")},
		{"other text replaces several", `"00080005":{"vr":"CS","Value":[null,"ISO 2022 IR 87"]},` + name("Ä"), utf8El + el(0x00100010, "PN", "Ä")},
		{"other text adds it", `"00080060":{"vr":"CS"},` + name("Ä"), utf8El + el(0x00080060, "CS", "") + el(0x00100010, "PN", "Ä")},
		{"escapes count as what they are", name(`\u00c4`), utf8El + el(0x00100010, "PN", "Ä")},
		{"other text in an item", latin + `,"00081140":{"vr":"SQ","Value":[{` + name("Ä") + `}]}`, utf8El + sq(0x00081140, it(el(0x00100010, "PN", "Ä")))},
		{"items that have their own", `"00081140":{"vr":"SQ","Value":[{` + latin + `},{}]},"7FE00010":{"vr":"OW","BulkDataURI":"a"},` + latin + `,` + name("Ä"),
			utf8El + sq(0x00081140, it(utf8El), it()) + el(0x00100010, "PN", "Ä")},
		{"items keep their own in ASCII", latin + `,"00081140":{"vr":"SQ","Value":[{` + latin + `}]}`, latinEl + sq(0x00081140, it(latinEl))},
	} {
		t.Run(row.rule, func(t *testing.T) {
			d, err := oneJSON(t, row.json)
			wantEncoded(t, d, err, row.want)
			for _, h := range d.Holes {
				if h.Offset != len(d.Encoded) {
					t.Errorf("hole at %d of %d", h.Offset, len(d.Encoded))
				}
			}
		})
	}
	for _, vr := range []string{"LO", "LT", "PN", "SH", "ST", "UC", "UT"} {
		d, err := oneJSON(t, `"00091001":{"vr":"`+vr+`","Value":["Ä"]}`)
		wantEncoded(t, d, err, utf8El+el(0x00091001, vr, "Ä"))
	}
}
