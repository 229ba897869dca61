//go:build race

package compose_test

// uncountedBytes is larger under the race detector, because maps and slices need more memory.
const uncountedBytes = 4 << 20
