//go:build !race

package e2e

const raceDetector = false

// slowness is the factor by which the tests are slower.
const slowness = 1
