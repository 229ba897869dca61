package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// processAttributes: nginx finishes its requests and ends when certsync is killed,
// and does not get the signals of the terminal, which end it at once.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}

// messagePipe is a pipe of which each read gets what was written at once, of 4 KiB at most, and no more (pipe(2), O_DIRECT).
func messagePipe() (io.ReadCloser, *os.File, error) {
	const setSize, sizeBytes = 1031, 1 << 20 // F_SETPIPE_SZ; 256 messages
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_DIRECT|syscall.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make a pipe of messages: %w", err)
	}
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(ends[0]), setSize, sizeBytes) // a smaller one holds nginx up sooner, and loses nothing
	return os.NewFile(uintptr(ends[0]), "messages"), os.NewFile(uintptr(ends[1]), "messages"), nil
}
