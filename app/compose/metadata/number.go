package metadata

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// maxDecimalLength is the longest value of DS, in bytes (PS3.5 §6.2).
const maxDecimalLength = 16

// maxNumberLength bounds, in bytes, the text of a number that is read as one.
const maxNumberLength = 1000

// maxExactFloat is the magnitude up to which every whole number is a float64.
const maxExactFloat = 1 << 53

// trim removes what XML may have around a number, and DICOM around text that is
// one (PS3.5 §6.2).
func trim(text []byte) []byte { return bytes.Trim(text, " \t\r\n") }

// parseFloat reads a decimal number, with or without an exponent, rounded to what is nearest.
// strconv.ParseFloat alone would take names and hexadecimal digits too, and needs thirty microseconds
// for numbers near the least ones: six bytes could be one.
func parseFloat(text []byte, bits int) (f float64, problem string) {
	for _, c := range text {
		if (c < '0' || c > '9') && strings.IndexByte("+-.eE", c) < 0 {
			return 0, problemNumber
		}
	}
	if isTiny(text) {
		if r, valid := new(big.Rat).SetString(string(text)); valid {
			if f, _ = r.Float64(); bits == 32 {
				single, _ := r.Float32()
				f = float64(single)
			}
			if text[0] == '-' && f == 0 {
				f = math.Copysign(0, -1)
			}
			return f, ""
		}
	}
	f, err := strconv.ParseFloat(string(text), bits)
	return f, problemOf(err)
}

// isTiny tells by the exponent whether a number may be one of the least. Below them all are zero, and quickly read.
func isTiny(text []byte) bool {
	i := bytes.IndexAny(text, "eE")
	if i < 0 {
		return false
	}
	exponent, err := strconv.Atoi(string(text[i+1:]))
	return err == nil && -350 < exponent && exponent < -290
}

// appendDecimal appends a JSON number as a value of DS; one longer than DS can be is
// rounded to what fits.
func appendDecimal(b []byte, text []byte) ([]byte, string) {
	if len(text) <= maxDecimalLength {
		return append(b, text...), ""
	}
	f, problem := parseFloat(text, 64)
	if problem != "" {
		return b, problem
	}
	rounded := strconv.FormatFloat(f, 'G', -1, 64)
	for digits := maxDecimalLength; len(rounded) > maxDecimalLength; digits-- {
		rounded = strconv.FormatFloat(f, 'G', digits, 64)
	}
	return append(b, rounded...), ""
}

// appendInteger appends a JSON number as a value of IS, from -2^31 to 2^31-1 (PS3.5
// §6.2).
func appendInteger(b []byte, text []byte) ([]byte, string) {
	n, problem := parseSigned(text, kindNumber, 4)
	if problem != "" {
		return b, problem
	}
	return strconv.AppendInt(b, n, 10), ""
}

// parseSigned reads a whole number of size bytes exactly. A JSON number may be
// written with a fraction or an exponent, as long as it is whole.
func parseSigned(text []byte, k kind, size int) (int64, string) {
	n, err := strconv.ParseInt(string(text), 10, 8*size)
	if errors.Is(err, strconv.ErrSyntax) && k == kindNumber {
		var whole string
		if whole, err = wholeNumber(text); err == nil {
			n, err = strconv.ParseInt(whole, 10, 8*size)
		}
	}
	return n, problemOf(err)
}

func parseUnsigned(text []byte, k kind, size int) (uint64, string) {
	n, err := strconv.ParseUint(string(text), 10, 8*size)
	if errors.Is(err, strconv.ErrSyntax) {
		if signed, signedErr := strconv.ParseInt(string(text), 10, 64); signedErr == nil && signed < 0 {
			return 0, problemRange
		}
	}
	if errors.Is(err, strconv.ErrSyntax) && k == kindNumber {
		var whole string
		if whole, err = wholeNumber(text); err == nil {
			if n, err = strconv.ParseUint(whole, 10, 8*size); errors.Is(err, strconv.ErrSyntax) {
				return 0, problemRange // below zero
			}
		}
	}
	return n, problemOf(err)
}

func problemOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, strconv.ErrRange):
		return problemRange
	}
	return problemNumber
}

// wholeNumber writes a number such as 5.0 or 1e3 without fraction and exponent.
func wholeNumber(text []byte) (string, error) {
	f, err := strconv.ParseFloat(string(text), 64)
	switch {
	case err != nil:
		return "", err
	case f != math.Trunc(f):
		return "", strconv.ErrSyntax
	case math.Abs(f) > maxExactFloat:
		return "", strconv.ErrRange
	}
	return strconv.FormatInt(int64(f), 10), nil
}

// appendBinary encodes a value of SS, SL, SV, US, UL or UV. JSON strings, which PS3.18
// §F.2.3 allows for the longest, lose nothing in the others.
func appendBinary(b []byte, k kind, text []byte, r representation) ([]byte, string) {
	switch k {
	case kindNumber:
	case kindText, kindString:
		text = trim(text)
	default:
		return b, problemType
	}
	var bits uint64
	var problem string
	if r.class == classSigned {
		var n int64
		n, problem = parseSigned(text, k, r.size)
		bits = uint64(n) //nolint:gosec // two's complement
	} else {
		bits, problem = parseUnsigned(text, k, r.size)
	}
	if problem != "" {
		return b, problem
	}
	var encoded [8]byte
	binary.LittleEndian.PutUint64(encoded[:], bits)
	return append(b, encoded[:r.size]...), ""
}

// appendFloatText encodes a value of FL or FD: a number, rounded to what is
// nearest, or a string, which PS3.18 §F.2.3 has for what JSON numbers cannot be.
func appendFloatText(b []byte, k kind, text []byte, size int) ([]byte, string) {
	switch k {
	case kindText, kindString:
		text = trim(text)
	case kindNumber:
	default:
		return b, problemType
	}
	if f, special := specialFloat(text); special && k != kindNumber {
		return appendFloat(b, f, size), ""
	}
	f, problem := parseFloat(text, 8*size)
	if problem != "" {
		return b, problem
	}
	return appendFloat(b, f, size), ""
}

// specialFloat reads the names of what is not finite, as xsd:double (INF, NaN),
// Python (inf, nan), and JavaScript (Infinity, NaN) write them.
func specialFloat(text []byte) (float64, bool) {
	name := bytes.ToLower(text[:min(len(text), len("-infinity")+1)])
	switch string(name) {
	case "nan":
		return math.NaN(), true
	case "inf", "+inf", "infinity", "+infinity":
		return math.Inf(1), true
	case "-inf", "-infinity":
		return math.Inf(-1), true
	}
	return 0, false
}

func appendFloat(b []byte, f float64, size int) []byte {
	if size == 8 {
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(f)))
}
