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

// kickSignal is the signal that "certsync kick" sends.
const kickSignal = syscall.SIGUSR1

// pidName is the file in RUN_FOLDER that contains the process id of certsync.
const pidName = "certsync.pid"

// writePID writes the process id of this process into RUN_FOLDER. The lock on the file ends with the process, and shows that the process still runs.
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

// readPID returns the process id of the certsync that uses RUN_FOLDER.
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
	return strconv.Atoi(strings.TrimSpace(string(content))) //nolint:wrapcheck // it contains the text
}

// kick is the subcommand: it sends kickSignal to the certsync of this machine, and returns the exit status.
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

// endOldWorkers ends the workers that still finish requests from before the last reload. It returns how many.
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

// isOfBefore tells whether a worker existed before the last reload. Such a worker stops taking connections only a moment after the new workers serve.
func (n *nginx) isOfBefore(w worker) bool {
	return slices.ContainsFunc(n.before, func(b worker) bool { return b.pid == w.pid })
}

// full tells whether a worker that takes connections has almost none left. Then nginx is busy and not dead, even if it does not answer,
// because any worker may be the one that was asked.
func (n *nginx) full() bool {
	workers, _ := n.workers() // with an error, no workers are known
	return slices.ContainsFunc(workers, func(w worker) bool {
		return !w.old && uint64(w.files) >= workerConnections()*7/8 //nolint:gosec // a count
	})
}

// fullest is the number of open files of the worker with the most open files.
func (n *nginx) fullest() int {
	workers, _ := n.workers() // with an error, no workers are known
	most := 0
	for _, w := range workers {
		most = max(most, w.files)
	}
	return most
}

// worker is a process of nginx.
type worker struct {
	pid   int
	old   bool // it is shutting down, and takes no new connections
	files int  // open files, mostly connections
	ticks int  // processor time that it has used, in 1/100 s (proc_pid_stat(5))
}

// workedTicks is more processor time than a waiting worker uses between two looks, in 1/100 s.
const workedTicks = 5

// worked tells whether a worker that takes connections has used processor time since before. Then nginx is busy; a worker that hangs uses none.
func (n *nginx) worked(before []worker) bool {
	workers, _ := n.workers() // with an error, no workers are known
	return slices.ContainsFunc(workers, func(now worker) bool {
		return slices.ContainsFunc(before, func(then worker) bool {
			return then.pid == now.pid && !now.old && now.ticks-then.ticks >= workedTicks
		})
	})
}

// workers returns the worker processes of nginx, from /proc; so it needs Linux.
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
			continue // the worker has ended
		}
		w.old = strings.Contains(string(title), "shutting down")
		files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.pid)) // an error means that it has ended
		w.files = len(files)
		w.ticks = ticks(w.pid)
		workers = append(workers, w)
	}
	return workers, nil
}

// ticks is the sum of the 14th and 15th field of stat. The second field, a name, can contain spaces, and ends with the last bracket.
func ticks(pid int) int {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // an error means that it has ended
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}
