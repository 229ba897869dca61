//go:build !linux

package main

import (
	"bufio"
	"io"
	"os"
	"syscall"
)

// processAttributes keeps the signals of the terminal from nginx, which would end it at once.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// messagePipe makes a pipe in which each read returns one line.
func messagePipe() (io.ReadCloser, *os.File, error) {
	r, w, err := os.Pipe()
	return &lineReader{bufio.NewReader(r), r}, w, err //nolint:wrapcheck // it names the call
}

type lineReader struct {
	buffered *bufio.Reader
	io.Closer
}

// Read implements io.Reader.
func (l *lineReader) Read(p []byte) (int, error) {
	line, err := l.buffered.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		err = nil
	}
	return copy(p, line), err
}
