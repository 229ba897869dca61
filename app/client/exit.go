package client

import "errors"

// Exit codes of `stowrs send`; --help and docs/operations.md list them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnavailable = 3
	exitInterrupted = 130 // as shells report SIGINT: 128 + 2
)

// errNothing is a failure, because the user expected instances at these paths.
var errNothing = errors.New("no DICOM instance found")

// UsageError reports flags or arguments that cannot be used. Nothing was sent.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.err }

// ExitCode is the exit code of a process after Send or Check returned these results.
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
