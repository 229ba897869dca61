package metadata_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	library "github.com/suyashkumar/dicom"

	"stowrs-to-s3/app/compose/metadata"
)

const ctStorage = "1.2.840.10008.5.1.4.1.1.2"

// everyVR is a dataset with all VRs, in JSON. SV, UV and OV have their
// own test, because the library reads them with short lengths.
const everyVR = `"00080016":{"vr":"UI","Value":["` + ctStorage + `"]},
	"00080018":{"vr":"UI","Value":["1.2.3"]},
	"00080008":{"vr":"CS","Value":["ORIGINAL","PRIMARY",null,"AXIAL"]},
	"00080020":{"vr":"DA","Value":["20260102"]},
	"00080030":{"vr":"TM","Value":["101112.5"]},
	"0008002A":{"vr":"DT","Value":["20260102101112"]},
	"00080054":{"vr":"AE","Value":["ONE","OTHER"]},
	"00081030":{"vr":"LO","Value":["Röntgen"]},
	"00081140":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.4"]},"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.5"]}}]}},
		{"00081155":{"vr":"UI","Value":["1.2.6"]}}]},
	"00081161":{"vr":"UL","Value":[1,4294967295]},
	"00081190":{"vr":"UR","Value":["http://a/b"]},
	"00089459":{"vr":"FL","Value":[0.1,-3e38]},
	"00090010":{"vr":"LO","Value":["ACME"]},
	"00091001":{"vr":"UN","InlineBinary":"AQIDBA=="},
	"00100010":{"vr":"PN","Value":[{"Alphabetic":"Yamada^Tarou","Ideographic":"山田^太郎"},"B"]},
	"00101010":{"vr":"AS","Value":["042Y"]},
	"00181411":{"vr":"DS","Value":[0.5,"1.50"]},
	"00186020":{"vr":"SL","Value":[-2147483648]},
	"00189087":{"vr":"FD","Value":[0.1,"-inf"]},
	"00189908":{"vr":"UC","Value":["a","b"]},
	"0020000D":{"vr":"UI","Value":["1.2"]},
	"0020000E":{"vr":"UI","Value":["1.2.9"]},
	"00200010":{"vr":"SH","Value":["7"]},
	"00200013":{"vr":"IS","Value":[12,-7]},
	"00204000":{"vr":"LT","Value":["a\r\nc"]},
	"00280009":{"vr":"AT","Value":["00181063"]},
	"00181310":{"vr":"US","Value":[512,65535]},
	"00280106":{"vr":"SS","Value":[-5]},
	"00281201":{"vr":"OW","InlineBinary":"AQIDBA=="},
	"0040A160":{"vr":"UT","Value":["long"]},
	"0040E020":{"vr":"ST","Value":["short"]},
	"00420011":{"vr":"OB","InlineBinary":"AQID"},
	"00660016":{"vr":"OF","InlineBinary":"AQIDBA=="},
	"00660040":{"vr":"OL","InlineBinary":"AQIDBA=="},
	"00660022":{"vr":"OD","InlineBinary":"AQIDBAUGBwg="}`

// TestLibraryReadsEveryVR: the library reads from File Meta and dataset what is
// in the metadata.
func TestLibraryReadsEveryVR(t *testing.T) {
	d, err := oneJSON(t, everyVR)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, e := range parse(t, d).Elements {
		if e.Tag.Group == 0x0002 {
			continue
		}
		got[fmt.Sprintf("%04X%04X %s", e.Tag.Group, e.Tag.Element, e.RawValueRepresentation)] = show(e.Value)
	}
	want := map[string]string{
		"00080005 CS": "[ISO_IR 192]", "00080008 CS": "[ORIGINAL PRIMARY  AXIAL]", "00080016 UI": "[" + ctStorage + "]", "00080018 UI": "[1.2.3]",
		"00080020 DA": "[20260102]", "00080030 TM": "[101112.5]", "0008002A DT": "[20260102101112]", "00080054 AE": "[ONE OTHER]",
		"00081030 LO": "[Röntgen]", "00081140 SQ": "{[1.2.4]{[1.2.5]}}{[1.2.6]}", "00081161 UL": "[1 4294967295]", "00081190 UR": "[http://a/b]",
		"00089459 FL": "[0.1 -3e+38]", "00090010 LO": "[ACME]", "00091001 UN": "[1 2 3 4]",
		"00100010 PN": "[Yamada^Tarou=山田^太郎 B]", "00101010 AS": "[042Y]", "00181411 DS": "[0.5 1.50]", "00186020 SL": "[-2147483648]",
		"00189087 FD": fmt.Sprint([]float64{0.1, math.Inf(-1)}), "00189908 UC": "[a b]", "0020000D UI": "[1.2]", "0020000E UI": "[1.2.9]",
		"00200010 SH": "[7]", "00200013 IS": "[12 -7]", "00204000 LT": "[a\r\nc]", "00280009 AT": "[24 4195]", "00181310 US": "[512 65535]",
		"00280106 SS": "[-5]", "00281201 OW": "[1 2 3 4]", "0040A160 UT": "[long]", "0040E020 ST": "[short]", "00420011 OB": "[1 2 3 0]",
		"00660016 OF": "[\x01\x02\x03\x04]", "00660040 OL": "[\x01\x02\x03\x04]", "00660022 OD": "[\x01\x02\x03\x04\x05\x06\x07\x08]", // the library reads these as text
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +library):\n%s", diff)
	}
}

// TestLongVRs: PS3.5 §7.1.2 gives SV, UV and OV lengths of 32 bits.
func TestLongVRs(t *testing.T) {
	d, err := oneJSON(t, `"00720082":{"vr":"SV","Value":[-1]},"00720083":{"vr":"UV","Value":[1]},"00720081":{"vr":"OV","InlineBinary":"AQIDBAUGBwg="}`)
	wantEncoded(t, d, err, "\x72\x00\x81\x00OV\x00\x00\x08\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08"+
		"\x72\x00\x82\x00SV\x00\x00\x08\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"+
		"\x72\x00\x83\x00UV\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00")
}

// TestXMLAgreesWithJSON: the same attributes give the same dataset in both models
// (PS3.18 §F.3.1).
func TestXMLAgreesWithJSON(t *testing.T) {
	json, err := oneJSON(t, everyVR)
	if err != nil {
		t.Fatal(err)
	}
	inline := func(text string) string { return "<InlineBinary>" + text + "</InlineBinary>" }
	xml, err := oneXML(t, attribute("00080016", "UI", value(ctStorage))+attribute("00080018", "UI", value("1.2.3"))+
		attribute("00080008", "CS", value("ORIGINAL", "PRIMARY", "", "AXIAL"))+attribute("00080020", "DA", value("20260102"))+
		attribute("00080030", "TM", value("101112.5"))+attribute("0008002A", "DT", value("20260102101112"))+
		attribute("00080054", "AE", value("ONE", "OTHER"))+attribute("00081030", "LO", value("Röntgen"))+
		attribute("00081140", "SQ", `<Item number="1">`+attribute("00081155", "UI", value("1.2.4"))+
			attribute("00081199", "SQ", `<Item number="1">`+attribute("00081155", "UI", value("1.2.5"))+`</Item>`)+
			`</Item><Item number="2">`+attribute("00081155", "UI", value("1.2.6"))+`</Item>`)+
		attribute("00081161", "UL", value("1", "4294967295"))+attribute("00081190", "UR", value("http://a/b"))+
		attribute("00089459", "FL", value("0.1", "-3e38"))+
		private("00090001", "UN", "ACME", inline("AQIDBA=="))+
		attribute("00100010", "PN", `<PersonName number="1"><Alphabetic><FamilyName>Yamada</FamilyName><GivenName>Tarou</GivenName></Alphabetic>
			<Ideographic><FamilyName>山田</FamilyName><GivenName>太郎</GivenName></Ideographic></PersonName>
			<PersonName number="2"><Alphabetic><FamilyName>B</FamilyName></Alphabetic></PersonName>`)+
		attribute("00101010", "AS", value("042Y"))+attribute("00181411", "DS", value("0.5", "1.50"))+attribute("00186020", "SL", value("-2147483648"))+
		attribute("00189087", "FD", value("0.1", "-INF"))+attribute("00189908", "UC", value("a", "b"))+
		attribute("0020000D", "UI", value("1.2"))+attribute("0020000E", "UI", value("1.2.9"))+attribute("00200010", "SH", value("7"))+
		attribute("00200013", "IS", value("12", "-7"))+attribute("00204000", "LT", value("a&#13;\nc"))+attribute("00280009", "AT", value("00181063"))+
		attribute("00181310", "US", value("512", "65535"))+attribute("00280106", "SS", value("-5"))+attribute("00281201", "OW", inline("AQIDBA=="))+
		attribute("0040A160", "UT", value("long"))+attribute("0040E020", "ST", value("short"))+attribute("00420011", "OB", inline("AQID"))+
		attribute("00660016", "OF", inline("AQIDBA=="))+attribute("00660040", "OL", inline("AQIDBA=="))+attribute("00660022", "OD", inline("AQIDBAUGBwg=")))
	wantEncoded(t, xml, err, string(json.Encoded))
}

// parse reads a file with the dataset by the library.
func parse(t testing.TB, d *metadata.Dataset) library.Dataset {
	t.Helper()
	file := append(metadata.FileMeta(ctStorage, "1.2.3", "1.2.840.10008.1.2.1"), filled(d)...)
	parsed, err := library.Parse(bytes.NewReader(file), int64(len(file)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// show writes a value of the library.
func show(v library.Value) string {
	if v.ValueType() != library.Sequences {
		return v.String()
	}
	var s strings.Builder
	for _, item := range v.GetValue().([]*library.SequenceItemValue) {
		s.WriteString("{")
		for _, e := range item.GetValue().([]*library.Element) {
			s.WriteString(show(e.Value))
		}
		s.WriteString("}")
	}
	return s.String()
}
