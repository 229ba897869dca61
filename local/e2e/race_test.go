//go:build race

package e2e

const raceDetector = true

// slowness: the race detector, and the tests that wait beside each other, make everything slower.
const slowness = 6
