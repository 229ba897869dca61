package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// processAttributes makes nginx finish its requests and end if certsync is killed, and
// keeps the signals of the terminal from nginx, which would end it at once.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}

// messagePipe makes a pipe in which each read returns the bytes of exactly one write of at most 4 KiB (pipe(2), O_DIRECT).
func messagePipe() (io.ReadCloser, *os.File, error) {
	const setSize, sizeBytes = 1031, 1 << 20 // F_SETPIPE_SZ; 256 messages
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_DIRECT|syscall.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make a pipe of messages: %w", err)
	}
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(ends[0]), setSize, sizeBytes) // if this fails, the pipe is smaller: nginx has to wait earlier, but nothing is lost
	return os.NewFile(uintptr(ends[0]), "messages"), os.NewFile(uintptr(ends[1]), "messages"), nil
}
