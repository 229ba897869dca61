//go:build !linux

package main

import "syscall"

// processAttributes: nginx does not get the signals of the terminal, which end it at once.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
