package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// kickSignal makes certsync kick.
const kickSignal = syscall.SIGUSR1

// pidName is the file in RUN_FOLDER that has the process of certsync.
const pidName = "certsync.pid"

// kick is the subcommand: it tells the certsync of this machine.
func kick(c settings) int {
	path := filepath.Join(c.RunFolder, pidName)
	content, err := os.ReadFile(path) //nolint:gosec // the folder is configured
	if err == nil {
		var pid int
		if pid, err = strconv.Atoi(strings.TrimSpace(string(content))); err == nil {
			err = syscall.Kill(pid, kickSignal)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "certsync: no certsync can be told by %s: %v\n", path, err)
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
		if w.old && syscall.Kill(w.pid, syscall.SIGTERM) == nil {
			ended++
		}
	}
	return ended, err
}

// full tells whether every worker that takes connections has hardly any left: then nginx is busy, and not dead, though it does not answer.
func (n *nginx) full() bool {
	workers, err := n.workers()
	if err != nil {
		return false
	}
	accepting := 0
	for _, w := range workers {
		if w.old {
			continue
		}
		accepting++
		if uint64(w.files) < workerConnections()*7/8 { //nolint:gosec // a count
			return false
		}
	}
	return accepting > 0
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
		workers = append(workers, w)
	}
	return workers, nil
}
