package metadata_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/compose/metadata"
)

func attribute(tag, vr, content string) string {
	return `<DicomAttribute tag="` + tag + `" vr="` + vr + `">` + content + `</DicomAttribute>`
}

func private(tag, vr, creator, content string) string {
	return `<DicomAttribute tag="` + tag + `" vr="` + vr + `" privateCreator="` + creator + `">` + content + `</DicomAttribute>`
}

// value is content with numbered values.
func value(values ...string) string {
	var s strings.Builder
	for i, v := range values {
		fmt.Fprintf(&s, `<Value number="%d">%s</Value>`, i+1, v)
	}
	return s.String()
}

// TestReadXML has one row for each rule of the Native DICOM Model.
func TestReadXML(t *testing.T) {
	modality, modalityEl := attribute("00080060", "CS", value("CT")), el(0x00080060, "CS", "CT")
	for _, row := range []struct{ rule, xml, want string }{
		{"no attributes", "", ""},
		{"PS3.19 A.1.5-2: one value", modality, modalityEl},
		{"keyword is not needed", `<DicomAttribute keyword="Modality" vr="CS" tag="00080060"><Value number="1">CT</Value></DicomAttribute>`, modalityEl},
		{"vr is optional", `<DicomAttribute tag="00080060"><Value number="1">CT</Value></DicomAttribute>`, modalityEl},
		{"spaces and comments between elements", "\n\t<!-- a > b -->" + attribute("00080060", "CS", "\r\n "+value("CT")+"<?p i?> "), modalityEl},
		{"PS3.5 7.1: tags ascend", attribute("0020000D", "UI", value("1.2.3")) + modality, modalityEl + el(0x0020000D, "UI", "1.2.3\x00")},
		{"no value", attribute("00080060", "CS", ""), el(0x00080060, "CS", "")},
		{"an element of nobody, beside a value", attribute("00080060", "CS", "<Note><Value>MR</Value></Note>"+value("CT")), modalityEl},
		{"several values", attribute("00080008", "CS", value("MPG", "", "XR3")), el(0x00080008, "CS", `MPG\\XR3`)},
		{"values by their numbers", attribute("00080008", "CS", `<Value number="2">B</Value><Value number="1">A</Value>`), el(0x00080008, "CS", `A\B `)},
		{"numbers left out are empty values", attribute("00080008", "CS", `<Value number="3">B</Value>`), el(0x00080008, "CS", `\\B `)},
		{"no numbers at all", attribute("00080008", "CS", `<Value>A</Value><Value>B</Value>`), el(0x00080008, "CS", `A\B `)},
		{"white space in a value is significant", attribute("00204000", "LT", value(" a\n b ")), el(0x00204000, "LT", " a\n b ")},
		{"entities of XML and characters", attribute("00204000", "LT", value(`&lt;&amp;&quot;&#13;&#x41;`)), el(0x00204000, "LT", "<&\"\rA ")},
		{"CDATA, cut by a comment", attribute("00204000", "LT", value(`<![CDATA[a<b]]><!-- -->c`)), el(0x00204000, "LT", "a<bc")},
		{"no File Meta, no group length", attribute("00020010", "UI", value("1.2")) + attribute("00080000", "UL", value("1")) + modality, modalityEl},

		{"US", attribute("00181310", "US", value("512", " 7\n")), el(0x00181310, "US", le(uint16(512), uint16(7)))},
		{"SS", attribute("00280106", "SS", value("-1")), el(0x00280106, "SS", le(int16(-1)))},
		{"UV", attribute("00720083", "UV", value("18446744073709551615")), el(0x00720083, "UV", le(uint64(math.MaxUint64)))},
		{"FD", attribute("00189087", "FD", value("1.5e-3", "INF", "-INF")), el(0x00189087, "FD", le(1.5e-3, math.Inf(1), math.Inf(-1)))},
		{"FL", attribute("00089459", "FL", value("NaN", "2")), el(0x00089459, "FL", le(float32(math.NaN()), float32(2)))},
		{"an empty number", attribute("00280010", "US", value("")), el(0x00280010, "US", "")},
		{"AT", attribute("00280009", "AT", value("00181063")), el(0x00280009, "AT", le(uint16(0x18), uint16(0x1063)))},
		{"DS and IS", attribute("00280030", "DS", value("0.50", "1")) + attribute("00200013", "IS", value("12")),
			el(0x00200013, "IS", "12") + el(0x00280030, "DS", `0.50\1`)},

		{"components of a name", attribute("00100010", "PN", `<PersonName number="1"><Alphabetic><GivenName>G</GivenName><FamilyName>F</FamilyName></Alphabetic>
			<Phonetic><NameSuffix>S</NameSuffix></Phonetic></PersonName>`), el(0x00100010, "PN", "F^G==^^^^S")},
		{"all components", attribute("00100010", "PN", `<PersonName number="1"><Alphabetic><FamilyName>F</FamilyName><GivenName>G</GivenName><MiddleName>M</MiddleName>
			<NamePrefix>P</NamePrefix><NameSuffix>S</NameSuffix></Alphabetic><Ideographic><FamilyName>I</FamilyName></Ideographic></PersonName>`), el(0x00100010, "PN", "F^G^M^P^S=I ")},
		{"several names, one empty", attribute("00081070", "PN", `<PersonName number="3"><Alphabetic><FamilyName>C</FamilyName></Alphabetic></PersonName><PersonName number="1"/>`),
			el(0x00081070, "PN", `\\C `)},

		{"items", attribute("00081140", "SQ", `<Item number="1">`+modality+`</Item><Item number="2"/>`), sq(0x00081140, it(modalityEl), it())},
		{"items by their numbers", attribute("00081140", "SQ", `<Item number="2">`+modality+`</Item><Item number="1">`+attribute("00280010", "US", value("1"))+`</Item>`),
			sq(0x00081140, it(el(0x00280010, "US", le(uint16(1)))), it(modalityEl))},
		{"no items", attribute("00081140", "SQ", ""), el(0x00081140, "SQ", "")},
		{"PS3.19 A.1.5-2: InlineBinary", attribute("7FE00010", "OW", "<InlineBinary>\nAQID\nBA==\n</InlineBinary>"), el(0x7FE00010, "OW", "\x01\x02\x03\x04")},
		{"PS3.5 6.1.2.3: text that is not ASCII", attribute("00080005", "CS", value("ISO_IR 100")) + attribute("00100020", "LO", value("Ä")),
			el(0x00080005, "CS", "ISO_IR 192") + el(0x00100020, "LO", "Ä")},
	} {
		t.Run(row.rule, func(t *testing.T) {
			d, err := oneXML(t, row.xml)
			wantEncoded(t, d, err, row.want)
		})
	}
}

// TestReadXMLPrivate: a private element names its creator instead of its block
// (PS3.19 Table A.1.5-2). The block may be any that this creator has, or that is free
// (PS3.5 §7.8.1).
func TestReadXMLPrivate(t *testing.T) {
	one := le(uint16(1))
	for _, row := range []struct{ rule, xml, want string }{
		{"the creator is added", private("00090001", "US", "ACME", value("1")), el(0x00090010, "LO", "ACME") + el(0x00091001, "US", one)},
		{"element 00 of a block is no group length", private("00090000", "US", "ACME", value("1")), el(0x00090010, "LO", "ACME") + el(0x00091000, "US", one)},
		{"the creator is there, in another block", private("00090001", "US", "ACME", value("1")) + attribute("00090011", "LO", value(" ACME ")),
			el(0x00090011, "LO", " ACME ") + el(0x00091101, "US", one)},
		{"two creators with the same element", private("00090001", "US", "ACME", value("1")) + private("00090001", "US", "BCME", value("1")),
			el(0x00090010, "LO", "ACME") + el(0x00090011, "LO", "BCME") + el(0x00091001, "US", one) + el(0x00091101, "US", one)},
		{"a creator in two groups", private("00090001", "US", "ACME", value("1")) + private("00110001", "US", "ACME", value("1")),
			el(0x00090010, "LO", "ACME") + el(0x00091001, "US", one) + el(0x00110010, "LO", "ACME") + el(0x00111001, "US", one)},
		{"the block is named, against the standard", private("00092201", "US", "ACME", value("1")), el(0x00090022, "LO", "ACME") + el(0x00092201, "US", one)},
		{"two blocks of a creator", private("00091001", "US", "ACME", value("1")) + private("00091101", "US", "ACME", value("1")),
			el(0x00090010, "LO", "ACME") + el(0x00090011, "LO", "ACME") + el(0x00091001, "US", one) + el(0x00091101, "US", one)},
		{"the block that is named is another's", attribute("00090010", "LO", value("OTHER1")) + private("00091001", "US", "ACME", value("1")),
			el(0x00090010, "LO", "OTHER1") + el(0x00090011, "LO", "ACME") + el(0x00091101, "US", one)},
		{"the block that is named is another's, but the creator has one", attribute("00090010", "LO", value("OTHER1")) + attribute("00090020", "LO", value("ACME")) +
			private("00091001", "US", "ACME", value("1")), el(0x00090010, "LO", "OTHER1") + el(0x00090020, "LO", "ACME") + el(0x00092001, "US", one)},
		{"a creator as bulkdata is nobody's", attribute("00090010", "LO", `<BulkData uri="a"/>`) + private("00090001", "US", "ACME", value("1")),
			el(0x00090011, "LO", "ACME") + el(0x00091101, "US", one)},
		{"a block in use without a creator is not taken", attribute("00091001", "US", value("1")) + private("00090001", "US", "ACME", value("1")),
			el(0x00090011, "LO", "ACME") + el(0x00091001, "US", one) + el(0x00091101, "US", one)},
		{"private elements as they are in a dataset", attribute("00091001", "US", value("1")) + attribute("00090010", "LO", value("ACME")),
			el(0x00090010, "LO", "ACME") + el(0x00091001, "US", one)},
		{"each item has its own blocks", private("00090001", "US", "ACME", value("1")) +
			private("00090002", "SQ", "BCME", `<Item number="1">`+private("00090001", "US", "BCME", value("1"))+`</Item>`),
			el(0x00090010, "LO", "ACME") + el(0x00090011, "LO", "BCME") + el(0x00091001, "US", one) +
				sq(0x00091102, it(el(0x00090010, "LO", "BCME")+el(0x00091001, "US", one)))},
		{"no vr", `<DicomAttribute tag="00090001" privateCreator="ACME"><InlineBinary>AQI=</InlineBinary></DicomAttribute>`,
			el(0x00090010, "LO", "ACME") + el(0x00091001, "UN", "\x01\x02")},
		{"no creator anywhere", attribute("00090001", "US", value("1")), el(0x00090001, "US", one)},
		{"a standard element has no creator", private("00280010", "US", "ACME", value("1")), el(0x00280010, "US", one)},
		{"a creator that is not ASCII", private("00090001", "US", "ACMÉ", value("1")),
			el(0x00080005, "CS", "ISO_IR 192") + el(0x00090010, "LO", "ACMÉ ") + el(0x00091001, "US", one)},
	} {
		t.Run(row.rule, func(t *testing.T) {
			d, err := oneXML(t, row.xml)
			wantEncoded(t, d, err, row.want)
		})
	}

	d, err := oneXML(t, private("00090002", "OB", "ACME", `<BulkData uri="b"/>`)+private("00090001", "OB", "ACME", `<BulkData uri="a"/>`))
	wantEncoded(t, d, err, el(0x00090010, "LO", "ACME"))
	want := []metadata.Hole{{12, tagOf(0x00091001), "OB", "a", true, 0}, {12, tagOf(0x00091002), "OB", "b", true, 1}}
	if diff := cmp.Diff(want, d.Holes); diff != "" {
		t.Errorf("holes (-want +got):\n%s", diff)
	}
}

// TestReadXMLPrivateFull: a group has only 240 blocks (PS3.5 §7.8.1).
func TestReadXMLPrivateFull(t *testing.T) {
	var text strings.Builder
	for i := range 240 {
		text.WriteString(private("00090001", "US", fmt.Sprint("C", i), value("1")))
	}
	d, err := oneXML(t, text.String())
	if err != nil || valid(d) != nil || d.String(tagOf(0x000900FF)) != "C239" {
		t.Errorf("240 creators: %v, %v", err, valid(d))
	}
	d, err = oneXML(t, text.String()+private("00090001", "US", "one more", value("1")))
	wantWrong(t, d, err, "(0009,0001)")
}

func TestReadXMLHoles(t *testing.T) {
	d, err := oneXML(t, attribute("7FE00010", "OW", `<BulkData uri="pixels"/>`)+
		attribute("54000100", "SQ", `<Item number="2">`+attribute("54001010", "OB", `<BulkData uri="wave2"> </BulkData>`)+`</Item>
			<Item number="1">`+attribute("54001010", "OB", `<BulkData uuid="wave1"/>`)+`</Item>`))
	waves := string(metadata.ElementHeader(tagOf(0xFFFEE000), "", undefined)) + el(0xFFFEE00D, "", "")
	wantEncoded(t, d, err, sq(0x54000100, waves, waves))
	want := []metadata.Hole{
		{Offset: 20, Tag: tagOf(0x54001010), VR: "OB", URI: "wave1"},
		{Offset: 36, Tag: tagOf(0x54001010), VR: "OB", URI: "wave2", Number: 1},
		{Offset: 52, Tag: tagOf(0x7FE00010), VR: "OW", URI: "pixels", TopLevel: true, Number: 2},
	}
	if diff := cmp.Diff(want, d.Holes); diff != "" {
		t.Errorf("holes (-want +got):\n%s", diff)
	}
}

// TestReadXMLDocuments has one row for each accepted form of a document.
func TestReadXMLDocuments(t *testing.T) {
	modality := attribute("00080060", "CS", value("CT"))
	for _, row := range []struct{ name, xml string }{
		{"no declaration, no namespace", `<NativeDicomModel>` + modality + `</NativeDicomModel>`},
		{"a prefix", `<n:NativeDicomModel xmlns:n="http://dicom.nema.org/PS3.19/models/NativeDICOM"><n:DicomAttribute tag="00080060" vr="CS"><n:Value number="1">CT</n:Value></n:DicomAttribute></n:NativeDicomModel>`},
		{"byte order mark", "\uFEFF" + document(modality)},
		{"encoding in lower case", `<?xml version="1.0" encoding="utf-8"?><NativeDicomModel>` + modality + `</NativeDicomModel>`},
		{"US-ASCII", `<?xml version="1.0" encoding="US-ASCII"?><NativeDicomModel>` + modality + `</NativeDicomModel>`},
		{"xml:space and a comment", `<!-- --><NativeDicomModel xml:space="preserve">` + modality + "</NativeDicomModel>\n<!-- -->\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d, err := metadata.ReadXML(iotest.HalfReader(strings.NewReader(row.xml)), unlimited)
			wantEncoded(t, d, err, el(0x00080060, "CS", "CT"))
		})
	}
}

// TestReadXMLRefuses has one row for each rule by which an instance fails.
func TestReadXMLRefuses(t *testing.T) {
	for _, row := range []struct{ rule, xml, want string }{
		{"another element in a dataset", `<Attribute/>`, "DicomAttribute"},
		{"another namespace", `<DicomAttribute xmlns="urn:other" tag="00080060" vr="CS"/>`, "DicomAttribute"},
		{"no tag", `<DicomAttribute keyword="Modality" vr="CS"/>`, "tag"},
		{"a tag that is none", attribute("0008,0060", "CS", ""), "tag"},
		{"a tag twice", attribute("00080060", "CS", "") + attribute("00080060", "CS", ""), "(0008,0060) is there twice"},
		{"no items as attributes", attribute("FFFEE000", "SQ", ""), "(FFFE,E000)"},
		{"a creator with a backslash", private("00090001", "US", `SEC\RET`, value("1")), "(0009,0010)"},
		{"a group that is never private", private("FFFF0001", "US", "SECRET", value("1")), "(FFFF,0001)"},
		{"a private sequence that is wrong", private("00090001", "SQ", "ACME", value("SECRET")) + private("00090002", "LO", "ACME", value("ok")), "(0009,0001)"},
		{"text between elements", attribute("00080060", "CS", "SECRET"), "text where"},
		{"an element in a value", attribute("00080060", "CS", "<Value><b>SECRET</b></Value>"), "element where"},
		{"a value in another form", attribute("7FE00010", "OB", `<DataFragment number="1"><InlineBinary>AQI=</InlineBinary></DataFragment>`), "(7FE0,0010) has a value in a form"},
		{"an element in BulkData", attribute("7FE00010", "OB", `<BulkData uri="a"><b/></BulkData>`), "BulkData"},
		{"Value and InlineBinary", attribute("7FE00010", "OB", value("SECRET")+"<InlineBinary/>"), "(7FE0,0010) has more than one"},
		{"BulkData twice", attribute("7FE00010", "OB", `<BulkData uri="a"/><BulkData uri="a"/>`), "(7FE0,0010) has more than one"},
		{"BulkData without uri", attribute("7FE00010", "OB", `<BulkData/>`), "(7FE0,0010)"},
		{"BulkData of a sequence", attribute("00081140", "SQ", `<BulkData uri="a"/>`), "(0008,1140)"},
		{"BulkData of a UID", attribute("0020000E", "UI", `<BulkData uri="a"/>`), "(0020,000E)"},
		{"items and values", attribute("00081140", "SQ", value("SECRET")+`<Item number="2"/>`), "(0008,1140)"},
		{"items of text", attribute("00100020", "LO", `<Item number="1"/>`), "(0010,0020)"},
		{"two values of a number", attribute("00080008", "CS", `<Value number="1">SECRET</Value><Value number="1">B</Value>`), "(0008,0008) has two values"},
		{"two items of a number", attribute("00081140", "SQ", `<Item number="1"/><Item number="1"/>`), "(0008,1140) has two items"},
		{"number 0", attribute("00080008", "CS", `<Value number="0">SECRET</Value>`), "(0008,0008) has a value whose number"},
		{"number that is none", attribute("00080008", "CS", `<Value number="x">SECRET</Value>`), "(0008,0008) has a value whose number"},
		{"numbers far apart", attribute("00080008", "CS", `<Value number="100000">A</Value>`), "(0008,0008) has values whose numbers"},
		{"a name that is text", attribute("00100010", "PN", `<PersonName number="1">SECRET</PersonName>`), "text where"},
		{"a group twice", attribute("00100010", "PN", `<PersonName><Phonetic><FamilyName>A</FamilyName></Phonetic><Phonetic/></PersonName>`), "groups"},
		{"a component twice", attribute("00100010", "PN", `<PersonName><Phonetic><FamilyName>A</FamilyName><FamilyName/></Phonetic></PersonName>`), "components"},
		{"a name for text", attribute("00100020", "LO", `<PersonName><Alphabetic><FamilyName>SECRET</FamilyName></Alphabetic></PersonName>`), "(0010,0020)"},
		{"US above", attribute("00280010", "US", value("65536")), "(0028,0010) has a number outside"},
		{"US is decimal", attribute("00280010", "US", value("0x1p4")), "(0028,0010)"},
		{"FD is decimal", attribute("00189087", "FD", value("0x1p4")), "(0018,9087)"},
		{"UN has no Value", attribute("00091001", "UN", value("SECRET")), "(0009,1001)"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			d, err := oneXML(t, row.xml+attribute("0020000D", "UI", value("1.2")))
			wantWrong(t, d, err, row.want)
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("error tells a value: %v", err)
			}
			if got := d.String(tagOf(0x0020000D)); got != "1.2" {
				t.Errorf("study %q behind the wrong attribute", got)
			}
		})
	}
	nested := strings.Repeat(`<DicomAttribute tag="00081140" vr="SQ"><Item number="1">`, 65) + strings.Repeat(`</Item></DicomAttribute>`, 65)
	d, err := oneXML(t, nested)
	wantWrong(t, d, err, "(0008,1140) is nested deeper")
}

func TestReadXMLSyntax(t *testing.T) {
	for _, row := range []struct{ name, xml, want string }{
		{"empty", "", "cut off"},
		{"only a comment", "<!-- -->", "cut off"},
		{"not XML", "{}", ""},
		{"another root", "<html/>", ""},
		{"a root of another namespace", `<NativeDicomModel xmlns="urn:other"/>`, ""},
		{"two roots", "<NativeDicomModel/><NativeDicomModel/>", ""},
		{"text behind", "<NativeDicomModel/>text", ""},
		{"cut off", "<NativeDicomModel>", "cut off"},
		{"crossed", "<NativeDicomModel><a></NativeDicomModel></a>", ""},
		{"a value that is not escaped", "<NativeDicomModel>\n" + attribute("00100010", "PN", value("A<SECRET")) + "</NativeDicomModel>", "not XML in line 2"},
		{"Latin-1 as declared", `<?xml version="1.0" encoding="ISO-8859-1"?><NativeDicomModel/>`, `"ISO-8859-1"`},
		{"UTF-16 without declaration", "\xFF\xFE<\x00N\x00", ""},
		{"not UTF-8", "<NativeDicomModel>" + attribute("00100020", "LO", value("\xC4")) + "</NativeDicomModel>", "UTF-8"},
		{"a document type", "<!DOCTYPE NativeDicomModel><NativeDicomModel/>", "document type"},
		{"entities that grow", `<!DOCTYPE N [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><NativeDicomModel>` + attribute("00100020", "LO", value("&b;")) + `</NativeDicomModel>`, "document type"},
		{"an entity of nobody", "<NativeDicomModel>" + attribute("00100020", "LO", value("&auml;")) + "</NativeDicomModel>", "not XML in line 1"},
		{"nested without end", "<NativeDicomModel>" + strings.Repeat("<a>", 100_000), "nested"},
		{"attributes without end", "<NativeDicomModel " + strings.Repeat(`a="" `, 100_000) + "/>", "attributes"},
		{"an attribute twice", `<NativeDicomModel><DicomAttribute tag="00080018" tag="0020000D" vr="UI"/></NativeDicomModel>`, "twice"},
		{"many attributes", "<NativeDicomModel " + strings.Repeat(`a="" `, 33) + "/>", "attributes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d, err := metadata.ReadXML(strings.NewReader(row.xml), unlimited)
			if !errors.Is(err, metadata.ErrSyntax) || d != nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%v, error %v, want ErrSyntax with %q", d, err, row.want)
			}
		})
	}
	broken := errors.New("broken")
	for _, text := range []string{"", "\uFEFF", "<NativeDicomModel>", "<NativeDicomModel/>"} {
		_, err := metadata.ReadXML(&failing{strings.NewReader(text), broken}, unlimited)
		if !errors.Is(err, broken) || errors.Is(err, metadata.ErrSyntax) {
			t.Errorf("%q, broken: %v", text, err)
		}
	}
}
