//go:build !race

package e2e

const raceDetector = false

// slowness is what the race detector costs.
const slowness = 1
