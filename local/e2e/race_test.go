//go:build race

package e2e

const raceDetector = true

// slowness: the race detector, and the tests that run at the same time, make everything slower.
const slowness = 6
