package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// kickSignal makes certsync kick.
const kickSignal = syscall.SIGUSR1

// pidName is the file in RUN_FOLDER that has the process of certsync.
const pidName = "certsync.pid"

// writePID says in RUN_FOLDER which process this is. The lock on the file, which ends with the process, says that this is true.
func (c settings) writePID() (*os.File, error) {
	path := filepath.Join(c.RunFolder, pidName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the folder is configured
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("another certsync has locked %s (%w)", path, err), file.Close())
	}
	err = file.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(file, os.Getpid())
	}
	return file, err //nolint:wrapcheck // it names the file
}

// readPID is the process of a certsync that runs over RUN_FOLDER.
func (c settings) readPID() (int, error) {
	path := filepath.Join(c.RunFolder, pidName)
	file, err := os.Open(path) //nolint:gosec // the folder is configured
	if err != nil {
		return 0, err //nolint:wrapcheck // it names the file
	}
	defer file.Close()
	if syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0, fmt.Errorf("%s is of one that has ended", path)
	}
	content, err := io.ReadAll(io.LimitReader(file, 32))
	if err != nil {
		return 0, err //nolint:wrapcheck // it names the file
	}
	return strconv.Atoi(strings.TrimSpace(string(content))) //nolint:wrapcheck // it has the text
}

// kick is the subcommand: it tells the certsync of this machine.
func kick(c settings) int {
	pid, err := c.readPID()
	if err == nil {
		err = syscall.Kill(pid, kickSignal)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "certsync: no certsync can be told: %v\n", err)
		return exitFailed
	}
	fmt.Println("told; the record \"kicked\" says when it is done")
	return 0
}

// endOldWorkers ends those that finish requests of before the last reload, at once. It returns how many.
func (n *nginx) endOldWorkers() (int, error) {
	workers, err := n.workers()
	ended := 0
	for _, w := range workers {
		if (w.old || n.isOfBefore(w)) && syscall.Kill(w.pid, syscall.SIGTERM) == nil {
			ended++
		}
	}
	return ended, err
}

// isOfBefore tells whether a worker was there before the last reload. nginx tells those to take no more connections a moment after the new ones serve.
func (n *nginx) isOfBefore(w worker) bool {
	return slices.ContainsFunc(n.before, func(b worker) bool { return b.pid == w.pid })
}

// full tells whether a worker that takes connections has hardly any left: then nginx is busy, and not dead, though it does not answer.
// Any worker may be the one that was asked.
func (n *nginx) full() bool {
	workers, _ := n.workers() // none are known
	return slices.ContainsFunc(workers, func(w worker) bool {
		return !w.old && uint64(w.files) >= workerConnections()*7/8 //nolint:gosec // a count
	})
}

// fullest is the number of open files of the worker that has most of them.
func (n *nginx) fullest() int {
	workers, _ := n.workers() // none are known
	most := 0
	for _, w := range workers {
		most = max(most, w.files)
	}
	return most
}

// worker is a process of nginx.
type worker struct {
	pid   int
	old   bool // of before the last reload: it takes no new connections
	files int  // open ones, connections most of them
	ticks int  // processor time that it has used, in 1/100 s (proc_pid_stat(5))
}

// workedTicks of processor time between two looks are more than a worker uses that waits.
const workedTicks = 5

// worked tells whether a worker that took connections before has used processor time since: then nginx is busy, too. One that hangs uses none.
func (n *nginx) worked(before []worker) bool {
	workers, _ := n.workers() // none are known
	return slices.ContainsFunc(workers, func(now worker) bool {
		return slices.ContainsFunc(before, func(then worker) bool {
			return then.pid == now.pid && !now.old && now.ticks-then.ticks >= workedTicks
		})
	})
}

// workers looks at the processes, as Linux shows them.
func (n *nginx) workers() ([]worker, error) {
	process := n.process.Load()
	if process == nil {
		return nil, nil
	}
	pid := process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, fmt.Errorf("look at the workers of nginx: %w", err)
	}
	var workers []worker
	for field := range strings.FieldsSeq(string(children)) {
		w := worker{}
		if w.pid, err = strconv.Atoi(field); err != nil {
			return nil, fmt.Errorf("look at the workers of nginx: %w", err)
		}
		title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.pid))
		if err != nil {
			continue // it has ended
		}
		w.old = strings.Contains(string(title), "shutting down")
		files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.pid)) // it has ended
		w.files = len(files)
		w.ticks = ticks(w.pid)
		workers = append(workers, w)
	}
	return workers, nil
}

// ticks are the 14th and 15th field of stat. The second, a name, may have spaces, and ends with the last bracket.
func ticks(pid int) int {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // it has ended
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}
