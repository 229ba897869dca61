package main

import "syscall"

// processAttributes: nginx finishes its requests and ends when certsync is killed,
// and does not get the signals of the terminal, which end it at once.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}
