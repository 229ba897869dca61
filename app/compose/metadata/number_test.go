package metadata_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"stowrs-to-s3/app/compose/metadata"
)

// floats reads the JSON numbers as the values of one attribute, and returns their bytes.
func floats(t testing.TB, vr string, numbers []string) []byte {
	t.Helper()
	var encoded []byte
	text := fmt.Sprintf(`[{"00189087":{"vr":%q,"Value":[%s]}}]`, vr, strings.Join(numbers, ","))
	err := metadata.ReadJSON(strings.NewReader(text), unlimited, func(d *metadata.Dataset, err error) error {
		encoded = bytes.Clone(d.Encoded)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// The smallest numbers are parsed by separate code, and must also become the nearest value (IEEE 754).
func TestLeastNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := []string{"-0e-300", "0.0e-345", "4.9406564584124654e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072011e-308", "-1E-349", "1e-350", "1e-290"}
	for range 5000 {
		digits := fmt.Sprintf("%d.%0*d", r.IntN(10), 1+r.IntN(25), r.Int64())
		if r.IntN(2) == 0 {
			digits = "-" + digits
		}
		numbers = append(numbers, fmt.Sprintf("%se-%d", digits, 280+r.IntN(80)))
	}
	numbers = append(numbers, "1"+strings.Repeat("0", 260)+"e-300", "1."+strings.Repeat("7", 500)+"e-310")
	for vr, bits := range map[string]int{"FD": 64, "FL": 32} {
		got := floats(t, vr, numbers)
		got = got[len(got)-len(numbers)*bits/8:]
		for i, number := range numbers {
			want, err := strconv.ParseFloat(number, bits)
			if err != nil {
				t.Fatal(err)
			}
			var encoded []byte
			if encoded, _ = binary.Append(nil, binary.LittleEndian, want); bits == 32 {
				encoded, _ = binary.Append(nil, binary.LittleEndian, float32(want))
			}
			if each := got[i*bits/8:][:bits/8]; !bytes.Equal(each, encoded) {
				t.Errorf("%s: %s became % x, want % x", vr, number, each, encoded)
			}
		}
	}
}

// BenchmarkLeastNumbers reads the numbers that take most time in relation to their bytes.
func BenchmarkLeastNumbers(b *testing.B) {
	for _, number := range []string{"4e-320", "4.123456789012345678e-310", "0.1"} {
		b.Run(number, func(b *testing.B) {
			numbers := strings.Split(strings.TrimSuffix(strings.Repeat(number+",", 8_000), ","), ",")
			b.SetBytes(int64(8_000 * (len(number) + 1)))
			for b.Loop() {
				floats(b, "FD", numbers)
			}
		})
	}
}
