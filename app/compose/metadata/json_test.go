package metadata_test

import (
	"encoding/base64"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/suyashkumar/dicom/pkg/tag"

	"stowrs-to-s3/app/compose/metadata"
)

// TestReadJSONValues has one row for each rule of how values are encoded.
func TestReadJSONValues(t *testing.T) {
	nan32, nan64 := float32(math.NaN()), math.NaN()
	for _, row := range []struct{ rule, json, want string }{
		{"PS3.18 F.2.2: one value", `"00080060":{"vr":"CS","Value":["CT"]}`, el(0x00080060, "CS", "CT")},
		{"PS3.18 F.2.4: several values", `"00080008":{"vr":"CS","Value":["ORIGINAL","PRIMARY"]}`, el(0x00080008, "CS", `ORIGINAL\PRIMARY`)},
		{"PS3.18 F.2.5: no value", `"00080060":{"vr":"CS"}`, el(0x00080060, "CS", "")},
		{"PS3.18 F.2.5: null among values", `"00080008":{"vr":"CS","Value":["A",null,"BC"]}`, el(0x00080008, "CS", `A\\BC `)},
		{"no values at all", `"00080060":{"vr":"CS","Value":[]}`, el(0x00080060, "CS", "")},
		{"null alone is empty", `"00080060":{"vr":"CS","Value":[null]}`, el(0x00080060, "CS", "")},
		{"null for an array is empty", `"00080060":{"vr":"CS","Value":null}`, el(0x00080060, "CS", "")},
		{"vr after Value, as sorted names have it", `"00080060":{"Value":["CT"],"vr":"CS"}`, el(0x00080060, "CS", "CT")},
		{"names in lower case", `"0008103e":{"vr":"LO","Value":["ab"]}`, el(0x0008103E, "LO", "ab")},
		{"PS3.5 6.2: space pads text", `"00080060":{"vr":"CS","Value":["OTH"]}`, el(0x00080060, "CS", "OTH ")},
		{"PS3.5 6.2: NUL pads a UID", `"0020000D":{"vr":"UI","Value":["1.2.3"]}`, el(0x0020000D, "UI", "1.2.3\x00")},
		{"PS3.5 6.4: only the last UID is padded", `"00081150":{"vr":"UI","Value":["1.2","1.2"]}`, el(0x00081150, "UI", "1.2\\1.2\x00")},
		{"PS3.5 6.2: LT may have a backslash", `"00204000":{"vr":"LT","Value":["a\\b "]}`, el(0x00204000, "LT", `a\b `)},
		{"PS3.5 6.2: UT is long", `"0040A160":{"vr":"UT","Value":["ab"]}`, el(0x0040A160, "UT", "ab")},
		{"PS3.5 6.2: UR", `"00081190":{"vr":"UR","Value":["http://a/b"]}`, el(0x00081190, "UR", "http://a/b")},
		{"PS3.5 6.2: UC has several values", `"00189908":{"vr":"UC","Value":["a","bc"]}`, el(0x00189908, "UC", `a\bc`)},

		{"PS3.18 F.2.3: DS as number, as written", `"00280030":{"vr":"DS","Value":[0.10,1e-3]}`, el(0x00280030, "DS", `0.10\1e-3 `)},
		{"PS3.18 F.2.3: DS as string", `"00280030":{"vr":"DS","Value":["+0.5","1"]}`, el(0x00280030, "DS", `+0.5\1`)},
		{"PS3.5 6.2: DS has 16 bytes", `"00280030":{"vr":"DS","Value":[0.30000000000000004]}`, el(0x00280030, "DS", "0.3 ")},
		{"PS3.5 6.2: DS has 16 bytes, with sign and exponent", `"00280030":{"vr":"DS","Value":[-1.2345678901234567e-7]}`, el(0x00280030, "DS", "-1.23456789E-07 ")},
		{"PS3.18 F.2.3: IS as number", `"00200013":{"vr":"IS","Value":[12,-3]}`, el(0x00200013, "IS", `12\-3 `)},
		{"PS3.18 F.2.3: IS as string", `"00200013":{"vr":"IS","Value":[" 012"]}`, el(0x00200013, "IS", " 012")},
		{"a whole number with a fraction", `"00200013":{"vr":"IS","Value":[5.0]}`, el(0x00200013, "IS", "5 ")},
		{"an empty IS", `"00200013":{"vr":"IS","Value":[""]}`, el(0x00200013, "IS", "")},

		{"US", `"00181310":{"vr":"US","Value":[0,65535]}`, el(0x00181310, "US", le(uint16(0), uint16(65535)))},
		{"US, a whole number with an exponent", `"00280010":{"vr":"US","Value":[5.12e2]}`, el(0x00280010, "US", le(uint16(512)))},
		{"SS", `"00280106":{"vr":"SS","Value":[-32768,32767]}`, el(0x00280106, "SS", le(int16(-32768), int16(32767)))},
		{"UL", `"00081161":{"vr":"UL","Value":[4294967295]}`, el(0x00081161, "UL", le(uint32(math.MaxUint32)))},
		{"SL", `"00186020":{"vr":"SL","Value":[-2147483648]}`, el(0x00186020, "SL", le(int32(math.MinInt32)))},
		{"PS3.18 F.2.3: SV as number, exactly", `"00720082":{"vr":"SV","Value":[-9223372036854775808]}`, el(0x00720082, "SV", le(int64(math.MinInt64)))},
		{"PS3.18 F.2.3: SV as string", `"00720082":{"vr":"SV","Value":["9007199254740993"]}`, el(0x00720082, "SV", le(int64(9007199254740993)))},
		{"PS3.18 F.2.3: UV as number, exactly", `"00720083":{"vr":"UV","Value":[18446744073709551615]}`, el(0x00720083, "UV", le(uint64(math.MaxUint64)))},
		{"PS3.18 F.2.3: UV as string", `"00720083":{"vr":"UV","Value":["18446744073709551615"]}`, el(0x00720083, "UV", le(uint64(math.MaxUint64)))},
		{"US as decimal string", `"00181310":{"vr":"US","Value":["0"," 65535 "]}`, el(0x00181310, "US", le(uint16(0), uint16(65535)))},
		{"SS as decimal string", `"00280106":{"vr":"SS","Value":["-32768"]}`, el(0x00280106, "SS", le(int16(-32768)))},
		{"UL as decimal string", `"00081161":{"vr":"UL","Value":["4294967295"]}`, el(0x00081161, "UL", le(uint32(math.MaxUint32)))},
		{"SL as decimal string", `"00186020":{"vr":"SL","Value":["-5"]}`, el(0x00186020, "SL", le(int32(-5)))},
		{"FL as decimal string", `"00089459":{"vr":"FL","Value":["0.1","-2e3"]}`, el(0x00089459, "FL", le(float32(0.1), float32(-2000)))},
		{"FD as decimal string", `"00189087":{"vr":"FD","Value":["0.1"]}`, el(0x00189087, "FD", le(0.1))},
		{"an empty string is no number", `"00280010":{"vr":"US","Value":[""]}`, el(0x00280010, "US", "")},
		{"Value without its array", `"00080060":{"vr":"CS","Value":"CT"}`, el(0x00080060, "CS", "CT")},
		{"a number without its array", `"00280010":{"vr":"US","Value":512}`, el(0x00280010, "US", le(uint16(512)))},
		{"a person name without its array", `"00100010":{"vr":"PN","Value":{"Alphabetic":"A^B "}}`, el(0x00100010, "PN", "A^B ")},
		{"other members", `"00080060":{"vr":"CS","keyword":"Modality","more":{"Value":[{}]},"Value":["CT"]}`, el(0x00080060, "CS", "CT")},
		{"InlineBinary in an array", `"00420011":{"vr":"OB","InlineBinary":["AAEC"]}`, el(0x00420011, "OB", "\x00\x01\x02\x00")},
		{"InlineBinary beside an empty Value", `"00420011":{"Value":[],"vr":"OB","InlineBinary":"AAEC"}`, el(0x00420011, "OB", "\x00\x01\x02\x00")},
		{"FL", `"00089459":{"vr":"FL","Value":[0.1,-2]}`, el(0x00089459, "FL", le(float32(0.1), float32(-2)))},
		{"FD", `"00189087":{"vr":"FD","Value":[0.1]}`, el(0x00189087, "FD", le(0.1))},
		{"PS3.5 6.2: FL may be not finite", `"00089459":{"vr":"FL","Value":["NaN","inf","-inf","Infinity","-Infinity"]}`,
			el(0x00089459, "FL", le(nan32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.Inf(1)), float32(math.Inf(-1))))},
		{"null among floating point numbers is NaN", `"00189087":{"vr":"FD","Value":[1,null]}`, el(0x00189087, "FD", le(1.0, nan64))},
		{"nulls alone are no numbers", `"00189087":{"vr":"FD","Value":[null,null]}`, el(0x00189087, "FD", "")},
		{"PS3.18 F.2.3: AT, in either case", `"00280009":{"vr":"AT","Value":["00181063","0018106a"]}`, el(0x00280009, "AT", le(uint16(0x18), uint16(0x1063), uint16(0x18), uint16(0x106A)))},

		{"PS3.18 F.2.2: groups of a name", `"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B","Phonetic":"P"}]}`, el(0x00100010, "PN", "A^B==P")},
		{"groups in another order", `"00100010":{"Value":[{"Ideographic":"I","Alphabetic":"AB"}],"vr":"PN"}`, el(0x00100010, "PN", "AB=I")},
		{"several names, one empty, one null", `"00081070":{"vr":"PN","Value":[{"Alphabetic":"A"},{},null,{"Alphabetic":"B"}]}`, el(0x00081070, "PN", `A\\\B `)},
		{"a null group", `"00100010":{"vr":"PN","Value":[{"Alphabetic":"AB","Ideographic":null}]}`, el(0x00100010, "PN", "AB")},
		{"a name as plain string", `"00100010":{"vr":"PN","Value":["A^B=I^J"]}`, el(0x00100010, "PN", "A^B=I^J ")},
		{"empty names before their vr", `"00081070":{"Value":[{},null],"vr":"PN"}`, el(0x00081070, "PN", `\ `)},

		{"strings of DS and IS as they are, wrong ones too", `"00180050":{"vr":"DS","Value":["0,5","NaN"]},"00200013":{"vr":"IS","Value":["1.5"," 07"]}`,
			el(0x00180050, "DS", `0,5\NaN `) + el(0x00200013, "IS", `1.5\ 07 `)},
		{"PS3.18 F.2.7: InlineBinary", `"7FE00010":{"vr":"OW","InlineBinary":"AQIDBA=="}`, el(0x7FE00010, "OW", "\x01\x02\x03\x04")},
		{"base64 without padding, with white space", `"00420011":{"InlineBinary":" AQ\r\nID\tBAU","vr":"OB"}`, el(0x00420011, "OB", "\x01\x02\x03\x04\x05\x00")},
		{"PS3.18 F.2.7: binary numbers inline", `"00283006":{"vr":"US","InlineBinary":"AQACAA=="}`, el(0x00283006, "US", le(uint16(1), uint16(2)))},
		{"UN inline", `"00091001":{"vr":"UN","InlineBinary":"AQI="}`, el(0x00091001, "UN", "\x01\x02")},
		{"inline, but empty", `"7FE00010":{"vr":"OW","InlineBinary":""}`, el(0x7FE00010, "OW", "")},
		{"PS3.5 7.5.1: padding behind the dataset", `"FFFCFFFC":{"vr":"OB","InlineBinary":"AAA="}`, el(0xFFFCFFFC, "OB", "\x00\x00")},
	} {
		t.Run(row.rule, func(t *testing.T) {
			d, err := oneJSON(t, row.json)
			wantEncoded(t, d, err, row.want)
			if len(d.Holes) != 0 {
				t.Errorf("holes %+v", d.Holes)
			}
		})
	}
}

// TestReadJSONDatasets has one row for each rule about what becomes an element, and
// in which order.
func TestReadJSONDatasets(t *testing.T) {
	modality, number := `"00080060":{"vr":"CS","Value":["CT"]}`, `"00200013":{"vr":"IS","Value":["12"]}`
	modalityEl, numberEl := el(0x00080060, "CS", "CT"), el(0x00200013, "IS", "12")
	for _, row := range []struct{ rule, json, want string }{
		{"no attributes", ``, ""},
		{"PS3.5 7.1: tags ascend", number + `,` + modality, modalityEl + numberEl},
		{"PS3.18 10.5.1.4: no File Meta", `"00020010":{"vr":"UI","Value":["1.2"]},"00020001":"any",` + modality, modalityEl},
		{"PS3.18 F.2.2: no group lengths", `"00080000":{"vr":"UL","Value":[1]},"00090000":{"vr":"UL","Value":[1]},` + modality, modalityEl},
		{"PS3.5 7.8.1: private elements and their creators", `"00090010":{"vr":"LO","Value":["ACME"]},"00091001":{"vr":"US","Value":[1]}`,
			el(0x00090010, "LO", "ACME") + el(0x00091001, "US", le(uint16(1)))},
		{"PS3.6: the dictionary's vr", `"00080060":{"Value":["CT"]},"00280010":{"Value":[1]}`, modalityEl + el(0x00280010, "US", le(uint16(1)))},
		{"PS3.5 7.6: the dictionary's vr in a repeating group", `"60020010":{"Value":[1]}`, el(0x60020010, "US", le(uint16(1)))},
		{"PS3.5 8.1.2: pixel data without a vr are OW", `"7FE00010":{"InlineBinary":"AQI="}`, el(0x7FE00010, "OW", "\x01\x02")},
		{"PS3.5 7.8.1: a creator without a vr is LO", `"00090010":{"Value":["ACME"]}`, el(0x00090010, "LO", "ACME")},
		{"unknown without a vr is UN", `"00091001":{"InlineBinary":"AQI="},"00080002":{}`, el(0x00080002, "UN", "") + el(0x00091001, "UN", "\x01\x02")},

		{"members of nobody, beside a value", `"00080060":{"vr":"CS","note":["MR"],"Value":["CT"],"keyword":"Modality"}`, modalityEl},
		{"a member of nobody that is no value", `"00080060":{"vr":"CS","keyword":"Modality"}`, el(0x00080060, "CS", "")},

		{"PS3.5 7.5: items", `"00081140":{"vr":"SQ","Value":[{` + number + `,` + modality + `},{` + number + `}]}`,
			sq(0x00081140, it(modalityEl, numberEl), it(numberEl))},
		{"items before their vr", `"00081140":{"Value":[{` + number + `}],"vr":"SQ"}`, sq(0x00081140, it(numberEl))},
		{"items without a vr", `"00081140":{"Value":[{` + number + `}]}`, sq(0x00081140, it(numberEl))},
		{"PS3.18 F.2.5: empty items", `"00081140":{"vr":"SQ","Value":[{},{` + number + `},null]}`, sq(0x00081140, it(), it(numberEl), it())},
		{"empty items before their vr", `"00081140":{"Value":[null,{}],"vr":"SQ"}`, sq(0x00081140, it(), it())},
		{"an item of a dropped element is empty", `"00081140":{"vr":"SQ","Value":[{"00080000":{}}]}`, sq(0x00081140, it())},
		{"PS3.5 7.5: empty sequences", `"00081140":{"vr":"SQ"},"00081115":{"vr":"SQ","Value":[]}`, el(0x00081115, "SQ", "") + el(0x00081140, "SQ", "")},
		{"sequences in sequences, out of order", `"0040A730":{"vr":"SQ","Value":[{"0040A730":{"vr":"SQ","Value":[{` + number + `}]},` + modality + `}]},` + modality,
			modalityEl + sq(0x0040A730, it(modalityEl, sq(0x0040A730, it(numberEl))))},
	} {
		t.Run(row.rule, func(t *testing.T) {
			d, err := oneJSON(t, row.json)
			wantEncoded(t, d, err, row.want)
		})
	}
}

func TestReadJSONHoles(t *testing.T) {
	d, err := oneJSON(t, `"7FE00010":{"vr":"OW","BulkDataURI":"pixels"},
		"54000100":{"vr":"SQ","Value":[{"54001010":{"BulkDataURI":"wave","vr":"OB"},"54001004":{"vr":"US","Value":[16]}}]},
		"00420011":{"vr":"OB","BulkDataURI":"pdf"},
		"00091001":{"BulkDataURI":"private"},
		"00080060":{"vr":"CS","Value":["CT"]}`)
	modality := el(0x00080060, "CS", "CT")
	bits := el(0x54001004, "US", le(uint16(16)))
	wantEncoded(t, d, err, modality+sq(0x54000100, it(bits)))
	want := []metadata.Hole{
		{Offset: len(modality), Tag: tagOf(0x00091001), VR: "UN", URI: "private", TopLevel: true},
		{Offset: len(modality), Tag: tagOf(0x00420011), VR: "OB", URI: "pdf", TopLevel: true, Number: 1},
		{Offset: len(modality) + 12 + 8 + len(bits), Tag: tagOf(0x54001010), VR: "OB", URI: "wave", Number: 2},
		{Offset: len(d.Encoded), Tag: tagOf(0x7FE00010), VR: "OW", URI: "pixels", TopLevel: true, Number: 3},
	}
	if diff := cmp.Diff(want, d.Holes); diff != "" {
		t.Errorf("holes (-want +got):\n%s", diff)
	}
}

// TestReadJSONItemOfHole: an item that is only a hole is not empty.
func TestReadJSONItemOfHole(t *testing.T) {
	d, err := oneJSON(t, `"54000100":{"vr":"SQ","Value":[{"54001010":{"vr":"OB","BulkDataURI":"wave"}}]}`)
	header := string(metadata.ElementHeader(tagOf(0xFFFEE000), "", undefined))
	wantEncoded(t, d, err, sq(0x54000100, header+el(0xFFFEE00D, "", "")))
}

func TestReadJSONInstances(t *testing.T) {
	one := `{"0020000D":{"vr":"UI","Value":["1.2"]}}`
	bad := `{"0020000D":{"vr":"UI","Value":["1.2"]},"00280010":{"vr":"US","Value":["x"]}}`
	for _, row := range []struct {
		name, json string
		want       []string // errors; "" for none
	}{
		{"none", `[]`, nil},
		{"a single object", one, []string{""}},
		{"byte order mark and spaces", "\uFEFF \r\n[" + one + "]\n", []string{""}},
		{"a wrong one harms only itself", `[` + one + `,` + bad + `,` + one + `]`, []string{"", "(0028,0010)", ""}},
		{"not an object", `[7,["a"],null,` + one + `]`, []string{"not an object", "not an object", "not an object", ""}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := readJSON(t, row.json)
			if len(got) != len(row.want) {
				t.Fatalf("%d instances, want %d", len(got), len(row.want))
			}
			for i, want := range row.want {
				switch err := got[i].err; {
				case want == "" && err != nil:
					t.Error(err)
				case want != "":
					wantWrong(t, got[i].dataset, err, want)
				}
				if uid := got[i].dataset.String(tagOf(0x0020000D)); !strings.Contains(want, "object") && uid != "1.2" {
					t.Errorf("instance %d: study %q", i, uid)
				}
			}
		})
	}
}

func TestReadJSONEnds(t *testing.T) {
	stop := errors.New("stop")
	err := metadata.ReadJSON(strings.NewReader(`[{},{}]`), unlimited, func(*metadata.Dataset, error) error { return stop })
	if !errors.Is(err, stop) || errors.Is(err, metadata.ErrSyntax) {
		t.Errorf("error of each: %v", err)
	}
	broken := errors.New("broken")
	for _, text := range []string{"", "[", "[{}", "[{}]", `[{"00080060":{"vr":"C`} {
		r := iotest.TimeoutReader(strings.NewReader(text)) // fails at the second read
		err := metadata.ReadJSON(iotest.OneByteReader(r), unlimited, func(*metadata.Dataset, error) error { return nil })
		if len(text) > 1 && (!errors.Is(err, iotest.ErrTimeout) || errors.Is(err, metadata.ErrSyntax)) {
			t.Errorf("%q, timeout: %v", text, err)
		}
		err = metadata.ReadJSON(&failing{strings.NewReader(text), broken}, unlimited, func(*metadata.Dataset, error) error { return nil })
		if !errors.Is(err, broken) || errors.Is(err, metadata.ErrSyntax) {
			t.Errorf("%q, broken: %v", text, err)
		}
	}
}

// failing is a reader that ends with an error.
type failing struct {
	*strings.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	if n, err := f.Reader.Read(p); err == nil {
		return n, nil
	}
	return 0, f.err
}

// TestReadJSONPieces: the result does not depend on the sizes of the reads.
func TestReadJSONPieces(t *testing.T) {
	text := `{"00100010":{"vr":"PN","Value":[{"Alphabetic":"Ä€😀\uD83D\uDE00\\u"}]}}`
	text = strings.Replace(text, `\\u`, ``, 1)
	want := el(0x00080005, "CS", "ISO_IR 192") + el(0x00100010, "PN", "Ä€😀😀 ")
	for size := 1; size < len(text); size++ {
		err := metadata.ReadJSON(&pieces{text, size}, unlimited, func(d *metadata.Dataset, err error) error {
			wantEncoded(t, d, err, want)
			return nil
		})
		if err != nil {
			t.Fatalf("%d bytes a read: %v", size, err)
		}
	}
}

type pieces struct {
	text string
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	n := copy(b[:min(len(b), p.size)], p.text)
	p.text = p.text[n:]
	return n, eof(n)
}

// TestReadJSONLong: the longest value of a short VR has 65534 bytes (PS3.5 §7.1.2);
// other VRs allow more.
func TestReadJSONLong(t *testing.T) {
	text := strings.Repeat("a", 65534)
	d, err := oneJSON(t, `"00204000":{"vr":"LT","Value":["`+text+`"]}`)
	wantEncoded(t, d, err, el(0x00204000, "LT", text))
	d, err = oneJSON(t, `"00204000":{"vr":"LT","Value":["`+text+`a"]}`)
	wantWrong(t, d, err, "(0020,4000)")
	d, err = oneJSON(t, `"00204000":{"vr":"UT","Value":["`+text+`aa"]}`)
	wantEncoded(t, d, err, el(0x00204000, "UT", text+"aa"))
	d, err = oneJSON(t, `"7FE00010":{"vr":"OB","InlineBinary":"`+base64.StdEncoding.EncodeToString([]byte(text+"aaa"))+`"}`)
	wantEncoded(t, d, err, el(0x7FE00010, "OB", text+"aaa\x00"))
	numbers := slices.Repeat([]string{"1"}, 32768)
	d, err = oneJSON(t, `"00283006":{"vr":"US","Value":[`+strings.Join(numbers, ",")+`]}`)
	wantWrong(t, d, err, "(0028,3006)")
}

// PS3.5 §6.2.2: an element with VR UN may get its VR from PS3.6; writers without a
// dictionary write the UIDs of the instance like this.
func TestUnknownVRsOfTheName(t *testing.T) {
	d, err := oneJSON(t, `"00080018":{"vr":"UN","InlineBinary":"MS4yAA=="}`)
	if err != nil || d.String(tag.SOPInstanceUID) != "1.2" {
		t.Errorf("got %q, error %v", d.String(tag.SOPInstanceUID), err)
	}
}
