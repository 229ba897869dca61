package main

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// sent is the output of a sending process, after the workload was stored.
type sent struct {
	Seconds    float64
	CPUSeconds float64 // of the sending process, in user and kernel mode
}

// timed does the work of a sending process. Only the calls of send are measured: the
// instances are made before. At most parallel calls run at the same time.
func timed(w workload, parallel, batch int, send func([]instance) error) error {
	instances := w.generate()
	cpuBefore, err := ownCPUSeconds()
	if err != nil {
		return err
	}
	start := time.Now()
	var group errgroup.Group
	group.SetLimit(parallel)
	for len(instances) > 0 {
		n := min(batch, len(instances))
		these := instances[:n:n]
		group.Go(func() error { return send(these) })
		instances = instances[n:]
	}
	if err := group.Wait(); err != nil {
		return err
	}
	result := sent{Seconds: time.Since(start).Seconds()}
	cpu, err := ownCPUSeconds()
	if err != nil {
		return err
	}
	result.CPUSeconds = cpu - cpuBefore
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		return fmt.Errorf("print result: %w", err)
	}
	return nil
}

func ownCPUSeconds() (float64, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds(), nil
}
