package s3store

import "github.com/minio/crc64nvme"

// combiner computes the CRC64NVME of an object from those of its parts. A CRC is linear:
// the CRC of the front is extended over as many zero bytes as the next part has.
// The operator that does this is kept for the next part, which usually has the
// same length.
type combiner struct {
	operator gf2
	bytes    int64 // of operator; 0: none yet
}

// combine computes the CRC of two pieces from the CRCs of the pieces; the second has secondBytes.
func (c *combiner) combine(first, second uint64, secondBytes int64) uint64 {
	if first == 0 || secondBytes == 0 {
		return first ^ second
	}
	if c.bytes != secondBytes {
		c.operator, c.bytes = zeroBytes(secondBytes), secondBytes
	}
	return c.operator.apply(first) ^ second
}

// zeroBytes extends a CRC over n zero bytes, by squaring the operator of one zero bit.
func zeroBytes(n int64) gf2 {
	square := operatorOf(func(crc uint64) uint64 { // one zero bit, in the reflected order of the NVME polynomial
		if crc&1 != 0 {
			return crc>>1 ^ crc64nvme.NVME
		}
		return crc >> 1
	})
	result := operatorOf(func(crc uint64) uint64 { return crc })
	for bits := uint64(n) << 3; bits > 0; bits >>= 1 { //nolint:gosec // a length, less than 2^60
		if bits&1 != 0 {
			result = operatorOf(func(crc uint64) uint64 { return square.apply(result.apply(crc)) })
		}
		square = operatorOf(func(crc uint64) uint64 { return square.apply(square.apply(crc)) })
	}
	return result
}

// gf2 is a linear operator on CRCs: the images of their 64 bits.
type gf2 [64]uint64

func operatorOf(f func(uint64) uint64) gf2 {
	var o gf2
	for i := range o {
		o[i] = f(1 << i)
	}
	return o
}

func (o *gf2) apply(crc uint64) uint64 {
	var sum uint64
	for i := 0; crc != 0; i, crc = i+1, crc>>1 {
		if crc&1 != 0 {
			sum ^= o[i]
		}
	}
	return sum
}
