//go:build !race

package compose_test

// uncountedBytes is the memory that may be used besides what is counted.
const uncountedBytes = 300 << 10
