//go:build linux || darwin

package server

import (
	"math"
	"syscall"
)

// openFiles is how many files and connections the process may have open at the same time.
func openFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt32
	}
	return int(min(limit.Cur, math.MaxInt32))
}
