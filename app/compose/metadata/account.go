package metadata

import "reflect"

// account counts the memory of one reader before it is used. take belongs to the caller;
// it gets a negative number when memory is given back.
type account struct {
	take      func(bytes int64) error
	heldBytes int64
	err       error // of take. Readers end with it at the next token; until then they use no more memory.
}

// hold counts n more bytes; false if there is not enough memory.
func (a *account) hold(n int) bool {
	if a.err == nil {
		a.err = a.take(int64(n))
	}
	if a.err != nil {
		return false
	}
	a.heldBytes += int64(n)
	return true
}

// free gives n bytes back.
func (a *account) free(n int) {
	if n > 0 {
		a.heldBytes -= int64(n)
		_ = a.take(-int64(n)) // giving back does not fail
	}
}

// close gives everything back.
func (a *account) close() { a.free(int(a.heldBytes)) }

// sizeOf is the memory of a slice with room for n elements.
func sizeOf[T any](n int) int { return n * int(reflect.TypeFor[T]().Size()) }

// grow returns s with room for n more elements. Without enough memory it returns s unchanged
// and false.
func grow[T any](a *account, s []T, n int) ([]T, bool) {
	const leastBytes = 256
	if cap(s)-len(s) >= n {
		return s, true
	}
	room := max(len(s)+n, cap(s)+cap(s)/2, leastBytes/sizeOf[T](1))
	if !a.hold(sizeOf[T](room)) {
		return s, false
	}
	grown := append(make([]T, 0, room), s...)
	a.free(sizeOf[T](cap(s)))
	return grown, true
}

// add is append with counted memory. Without enough memory s remains unchanged.
func add[T any](a *account, s []T, more ...T) []T {
	s, ok := grow(a, s, len(more))
	if !ok {
		return s
	}
	return append(s, more...)
}

// textBytes is the memory of a text of n bytes, which Go rounds up.
func textBytes(n int) int { return n + n/8 }
