package client

import "errors"

// Exit codes of `stowrs send`; --help and docs/operations.md list them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnavailable = 3
	exitInterrupted = 130 // as shells say of SIGINT
)

// errNothing is a failure: what should be stored is somewhere else.
var errNothing = errors.New("no DICOM instance found")

// UsageError is something that has to be given in another way, before anything can be sent.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }

// Unwrap gives what is wrong.
func (e *UsageError) Unwrap() error { return e.err }

// ExitCode is how a process ends after Send.
func ExitCode(s Summary, err error) int {
	var usage *UsageError
	var refused *refusal
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(s.Stopped, errInterrupted):
		return exitInterrupted
	case errors.Is(s.Stopped, errUnavailable), errors.As(s.Stopped, &refused):
		return exitUnavailable
	case err != nil, s.Stopped != nil, s.Failed > 0:
		return exitFailed
	}
	return 0
}
