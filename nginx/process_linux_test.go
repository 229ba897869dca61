package main

import (
	"os/exec"
	"syscall"
)

// endWithTests ends the process even when the tests are killed.
func endWithTests(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
