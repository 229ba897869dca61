package s3store

import "github.com/minio/crc64nvme"

// combineCRC is the CRC64NVME of two pieces of an object from those of the
// pieces, the second of secondBytes: a CRC is linear, so that of the first piece
// is carried on over as many zero bytes, by squaring the operator of one zero bit.
func combineCRC(first, second uint64, secondBytes int64) uint64 {
	operator := operatorOf(func(crc uint64) uint64 { // one zero bit, in the reflected order of the NVME polynomial
		if crc&1 != 0 {
			return crc>>1 ^ crc64nvme.NVME
		}
		return crc >> 1
	})
	for bits := uint64(secondBytes) << 3; bits > 0; bits >>= 1 { //nolint:gosec // a length, less than 2^60
		if bits&1 != 0 {
			first = operator.apply(first)
		}
		operator = operatorOf(func(crc uint64) uint64 { return operator.apply(operator.apply(crc)) })
	}
	return first ^ second
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
