package bulkdata_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose/bulkdata"
)

// boxed is an ISO box.
func boxed(kind string, content ...string) string {
	body := strings.Join(content, "")
	return string(binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))) + kind + body
}

// jp2Boxes wraps a codestream as JP2, JPX and JPH files do.
func jp2Boxes(header, codestream string) string {
	return "\x00\x00\x00\x0CjP  \r\n\x87\n" + boxed("ftyp", "jph \x00\x00\x00\x00jph ") + boxed("jp2h", header) + boxed("jp2c", codestream)
}

// inside returns the position of the codestream in a JP2 file (PS3.5 §A.4.4: without boxes).
func inside(t *testing.T, file string, img bulkdata.Image) bulkdata.Image {
	data := stream(t, file)
	start := bytes.Index(data, []byte{0xFF, 0x4F, 0xFF, 0x51})
	if end := bytes.LastIndex(data, []byte{0xFF, 0xD9}); start < 0 || end+2 != len(data) {
		t.Fatalf("%s: the codestream is not its end", file)
	}
	img.SkipBytes, img.CodestreamBytes = int64(start), int64(len(data)-start)
	return img
}

// PS3.5 §8.2.4, §A.4.4, §A.4.5, §10.18.
func TestJPEG2000(t *testing.T) {
	const lossy, lossyHT = "ISO_15444_1", "ISO_15444_15"
	signed := still("90", 1, "MONOCHROME2", 16, "")
	signed.PixelRepresentation = 1
	wide := still("203", 3, "YBR_ICT", 8, lossyHT)
	inspectAll(t, []inspection{
		{"grey.j2k", "image/jp2", "", still("90", 1, "MONOCHROME2", 8, "")},
		{"grey.j2k", "image/jp2", "91", still("91", 1, "MONOCHROME2", 8, "")},
		{"grey.j2k", "image/jpx", "", still("92", 1, "MONOCHROME2", 8, "")},
		{"grey.j2k", "image/jpx", "93", still("93", 1, "MONOCHROME2", 8, "")},
		{"signed.j2k", "image/jp2", "90", signed},
		{"tiles.j2k", "image/jp2", "", still("90", 3, "YBR_RCT", 8, "")},
		{"grey16.jp2", "image/jp2", "", inside(t, "grey16.jp2", still("90", 1, "MONOCHROME2", 16, ""))},
		{"colour.jp2", "image/jp2", "", inside(t, "colour.jp2", still("90", 3, "YBR_RCT", 8, ""))},
		{"nomct.jp2", "image/jp2", "", inside(t, "nomct.jp2", still("90", 3, "RGB", 8, ""))},
		{"lossy.jp2", "image/jp2", "91", inside(t, "lossy.jp2", still("91", 3, "YBR_ICT", 8, lossy))},
		{"lossy.jp2", "image/jpx", "", inside(t, "lossy.jp2", still("93", 3, "YBR_ICT", 8, lossy))},
		// RPCL alone is not sufficient for .202, which also requires tile-part lengths.
		{"ht-rpcl.j2c", "image/jphc", "", still("201", 1, "MONOCHROME2", 8, "")},
		{"ht-rpcl.j2c", "image/jphc", "203", still("203", 1, "MONOCHROME2", 8, "")},
		{"ht-rpcl.j2c", "image/jp2", "", still("201", 1, "MONOCHROME2", 8, "")}, // the codestream decides
		{"ht-rpcl.j2c", "image/j2c", "", still("201", 1, "MONOCHROME2", 8, "")},
		{"ht-tlm.j2c", "image/jph", "", still("202", 3, "YBR_RCT", 8, "")},
		{"ht-tlm.j2c", "image/jph", "201", still("201", 3, "YBR_RCT", 8, "")},
		{"ht-lossy.j2c", "image/jphc", "", wide},
	})
}

func TestJPEG2000Refused(t *testing.T) {
	refuseAll(t, []refusal{
		{"lossy.jp2", "image/jp2", "90", "is said to be"},
		{"ht-lossy.j2c", "image/jph", "201", "is said to be"},
		{"ht-rpcl.j2c", "image/jph", "202", "is said to be"},
		{"ht-rpcl.j2c", "image/jp2", "90", "is said to be"},
		{"grey.j2k", "image/jph", "203", "is said to be"},
	})
}

// ISO/IEC 15444-1 Annex I: the content of boxes, and the end of the codestream.
func TestJP2Boxes(t *testing.T) {
	codestream := string(stream(t, "tiles.j2k"))
	colours := func(enumerated byte) string {
		return boxed("colr", "\x01\x00\x00\x00\x00\x00"+string(rune(enumerated)))
	}
	inspect := func(data string) (bulkdata.Image, error) {
		return bulkdata.Inspect("image/jp2", "", []byte(data), true)
	}

	got, err := inspect(jp2Boxes(colours(16), codestream) + boxed("uuid", "behind the codestream"))
	if err != nil || got.CodestreamBytes != int64(len(codestream)) {
		t.Errorf("boxes behind the codestream: %d bytes of it, %v, want %d", got.CodestreamBytes, err, len(codestream))
	}
	file := jp2Boxes(colours(16), codestream)
	start := strings.Index(file, codestream)
	toTheEnd := file[:start-8] + "\x00\x00\x00\x00jp2c" + codestream
	if got, err = inspect(toTheEnd); err != nil || got.SkipBytes != int64(start) || got.CodestreamBytes != 0 {
		t.Errorf("box up to the end: %+v, %v", got, err)
	}
	size := binary.BigEndian.AppendUint64(nil, uint64(16+len(codestream)))
	long := file[:start-8] + "\x00\x00\x00\x01jp2c" + string(size) + codestream
	if got, err = inspect(long); err != nil || got.SkipBytes != int64(start)+8 || got.CodestreamBytes != int64(len(codestream)) {
		t.Errorf("box of 64-bit length: %+v, %v", got, err)
	}

	// Without a component transform, the colour space is that of the boxes; nomct.jp2
	// has sRGB, 16, and is changed to sYCC, 18 (Table I.10).
	noTransform := stream(t, "nomct.jp2")
	at := bytes.Index(noTransform, []byte("colr")) + 4 + 6
	if noTransform[at] != 16 {
		t.Fatalf("nomct.jp2 has colourspace %d", noTransform[at])
	}
	noTransform[at] = 18
	if got, err := inspect(string(noTransform)); err != nil || got.PhotometricInterpretation != "YBR_FULL" {
		t.Errorf("sYCC: %q, %v", got.PhotometricInterpretation, err)
	}

	for name, tt := range map[string]struct{ data, reason string }{
		"palette":              {jp2Boxes(colours(16)+boxed("pclr", "\x00\x02\x01\x07\x00\xFF"), codestream), "palette"},
		"cut codestream":       {jp2Boxes(colours(16), codestream[:30]), "ends inside the main header"},
		"empty codestream":     {jp2Boxes(colours(16), "") + codestream, "ends inside the main header"},
		"no codestream":        {file[:start-8], "the stream ends"},
		"broken header box":    {jp2Boxes("\x00\x00\x00\x20colr", codestream), "JP2 header box is broken"},
		"box without a length": {file[:12] + "\x00\x00\x00\x07ftyp" + file[20:], "impossible length"},
		"impossible length":    {file[:12] + "\x00\x00\x00\x01ftyp\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF" + file[28:], "impossible length"},
		"other box first":      {boxed("ftyp", "jp2 ") + file, "neither"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, "image/jp2", "", []byte(tt.data), tt.reason) })
	}
}

// ISO/IEC 15444-1 §A.5, §A.6: markers that the available encoders do not write.
func TestJPEG2000MainHeader(t *testing.T) {
	const (
		siz  = "\xFF\x51\x00\x29\x00\x00\x00\x00\x00\x28\x00\x00\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x28\x00\x00\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x07\x01\x01"
		siz2 = "\xFF\x51\x00\x2C\x00\x00\x00\x00\x00\x28\x00\x00\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x28\x00\x00\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x07\x01\x01\x07\x01\x01"
		siz3 = "\xFF\x51\x00\x2F\x00\x00\x00\x00\x00\x28\x00\x00\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x28\x00\x00\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x07\x01\x01\x07\x02\x01\x07\x02\x01"
		cod  = "\xFF\x52\x00\x0C\x00\x00\x00\x01\x00\x01\x04\x04\x00\x01"
		coc  = "\xFF\x53\x00\x09\x00\x00\x01\x04\x04\x00\x00" // component 0 has the 9-7 wavelet
		sot  = "\xFF\x90\x00\x0A"
	)
	part2 := siz[:4] + "\x80\x00" + siz[6:]
	for name, tt := range map[string]struct {
		header string
		want   string
		lossy  bool
	}{
		"both segments":            {siz + cod, uid("90"), false},
		"order does not matter":    {siz + "\xFF\x64\x00\x04\x00\x01" + cod, uid("90"), false},
		"one component loses":      {siz + cod + coc, uid("91"), true},
		"COC before COD":           {siz + coc + cod, uid("91"), true},
		"extensions of Part 2":     {part2 + cod, uid("92"), false},
		"extensions, irreversible": {part2 + cod[:13] + "\x00", uid("93"), true},
	} {
		got, err := bulkdata.Inspect("image/jp2", "", []byte("\xFF\x4F"+tt.header+sot), true)
		if err != nil || got.TransferSyntaxUID != tt.want || got.Lossy != tt.lossy || got.Columns != 40 || got.Rows != 24 {
			t.Errorf("%s: %+v, %v, want %s", name, got, err, tt.want)
		}
	}
	wide := strings.Replace(siz, "\x00\x00\x00\x28\x00\x00\x00\x18\x00\x00\x00\x00", "\x00\x01\x00\x28\x00\x00\x00\x18\x00\x00\x00\x00", 1)
	offset := strings.Replace(siz, "\x00\x00\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x18\x00\x00\x00\x29\x00\x00\x00\x00", 1)
	for name, tt := range map[string]struct{ header, reason string }{
		"two components":          {siz2 + cod + sot, "2 components"},
		"subsampled":              {siz3 + cod + sot, "differ in bits, sign or size"},
		"65576 columns":           {wide + cod + sot, "65576 columns"},
		"offset beyond the image": {offset + cod + sot, "-1 columns"},
		"no COD":                  {siz + sot, "lacks SIZ or COD"},
		"no SIZ":                  {cod + sot, "lacks SIZ or COD"},
		"cut COD":                 {siz + "\xFF\x52\x00\x03\x00" + sot, "COD segment is cut"},
		"cut COC":                 {siz + "\xFF\x53\x00\x04\x00\x00" + sot, "COC segment is cut"},
		"cut SIZ":                 {siz[:2] + "\x00\x04\x00\x00" + sot, "SIZ segment is cut"},
		"SIZ without components":  {siz[:3] + "\x26" + siz[4:40] + sot, "does not describe its components"},
		"start of data":           {siz + cod + "\xFF\x93", "0xff93 is no marker"},
		"no length":               {siz + cod + "\xFF\x64\x00\x01", "of no length"},
		"39 bits":                 {siz[:40] + "\x26\x01\x01" + cod + sot, "39 bits"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, "image/jp2", "", []byte("\xFF\x4F"+tt.header), tt.reason) })
	}

	// More than HeadBytes of packet headers (PPM, §A.7.4) follow.
	packets := strings.Repeat("\xFF\x60\xFF\xFF"+strings.Repeat("x", 0xFFFD), 17)
	if got, err := bulkdata.Inspect("image/jp2", "", []byte("\xFF\x4F"+siz+cod+packets), false); err != nil || got.TransferSyntaxUID != uid("90") {
		t.Errorf("a long main header: %+v, %v", got, err)
	}
	if _, err := bulkdata.Inspect("image/jp2", "", []byte("\xFF\x4F" + siz + cod + packets)[:bulkdata.HeadBytes-1], false); !errors.Is(err, bulkdata.ErrShort) {
		t.Errorf("a main header that goes on: %v, want ErrShort", err)
	}
}

// PS3.5 §10.18: the lowest resolution of .202 has at most 64 rows and columns.
func TestHTJ2KRPCLNeedsASmallResolution(t *testing.T) {
	data := stream(t, "ht-tlm.j2c")
	cod := bytes.Index(data, []byte{0xFF, 0x52})
	binary.BigEndian.PutUint32(data[8:], 1000)  // columns
	binary.BigEndian.PutUint32(data[12:], 1000) // rows
	for levels, want := range map[byte]string{3: uid("201"), 4: uid("202")} {
		data[cod+9] = levels
		if got, err := bulkdata.Inspect("image/jphc", "", data, true); err != nil || got.TransferSyntaxUID != want {
			t.Errorf("%d levels: %s, %v, want %s", levels, got.TransferSyntaxUID, err, want)
		}
	}
}
