// Package e2e tests the whole system from outside: the built binaries stowrs and
// local as processes, an S3 server in a separate process, and clients over TCP.
//
// The tests start everything they need, each in its own folder, and every process ends
// with its test. The gateway, an S3 server, is the test binary itself, started once
// more: it has global state, so a process can run only one.
//
// Most S3 servers of the tests are behind a front that can delay, refuse, cut and
// lose answers. Tests that mostly wait are parallel, and run after the others,
// which need the processor. Environment variables make runs longer or repeat them: E2E_KILLS (kills of
// the service, default 20), E2E_FUZZTIME (default 30s) and E2E_SEED for the random requests, and E2E_FULL=1
// for the full sizes of the measurements.
//
// Run them with -count=1: go test does not know that they depend on the sources of
// the binaries, and would show an old result.
package e2e
