package main

import (
	"os/exec"
	"syscall"
)

// endWithTests ends the process even if the tests are killed.
func endWithTests(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
