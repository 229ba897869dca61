// Package e2e tests the whole system from outside: the built binaries stowrs and
// local as processes, an S3 server in a process of its own, and clients over TCP.
//
// The tests start all they need, each in its own folder, and every process ends
// with its test. The S3 server is the test binary itself, run once more: the
// gateway keeps global state, so that there is one in a process.
//
// Run them with -count=1: go test does not know that they depend on the sources of
// the binaries, and would show an old result.
package e2e
