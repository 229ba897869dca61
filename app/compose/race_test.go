//go:build race

package compose_test

// uncountedBytes is more under the race detector, which makes maps and slices larger.
const uncountedBytes = 4 << 20
