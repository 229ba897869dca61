package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// run measures all workloads and prints what it found.
type run struct {
	Pairs       int             `default:"5" help:"How often each workload is sent each way."`
	Quick       bool            `help:"One pair only."`
	Workload    []string        `default:"ct,small,large" help:"Which of ct, small, single, turn, middle and large."`
	Latency     []time.Duration `help:"Store not into a gateway on this machine, but into an S3 that verifies what it gets, keeps nothing, and answers so much later; several are measured in turn."`
	TLS         bool            `name:"tls" help:"With --latency: S3 over TLS."`
	Threads     []int           `placeholder:"N" help:"THREADCOUNT of the service; several are compared in one run. Default: the service's."`
	Floor       bool            `help:"Also a program that receives and puts, and does nothing else: with --latency by net/http, and always by the SDK."`
	Sidecar     bool            `help:"Also behind the sidecar: TLS 1.3, one more process on this machine. Needs nginx."`
	Dir         string          `type:"path" help:"Folder for the S3 server's data; default: that for temporary files. A folder in memory such as /dev/shm takes the disk's part away."`
	Stowrs      []string        `type:"path" help:"Binaries of the service to measure; several are compared in one run. Default: it is built."`
	SDKDefaults bool            `name:"sdk-defaults" help:"Also put with the SDK as it comes, which hashes every body with SHA-256 over plain HTTP."`
}

// Run takes a few seconds for each pair, and needs up to 4 GiB of disk.
func (r run) Run(ctx context.Context) (err error) {
	if r.Quick {
		r.Pairs = 1
	}
	dir, err := os.MkdirTemp(r.Dir, "stowrs-bench-")
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the workers of nginx are others than root, who has started them
		return fmt.Errorf("data folder: %w", err)
	}
	if len(r.Stowrs) == 0 {
		r.Stowrs = []string{filepath.Join(dir, "stowrs")}
		if err := build(ctx, r.Stowrs[0], "stowrs-to-s3/app"); err != nil {
			return err
		}
	}
	printMachine(dir)
	if len(r.Latency) == 0 {
		store, err := startGateway(ctx, dir)
		if err != nil {
			return err
		}
		return r.all(ctx, store, dir, straightOnOneMachine)
	}
	for _, latency := range r.Latency {
		store, err := startStandIn(ctx, dir, latency, r.TLS)
		if err != nil {
			return err
		}
		fmt.Printf("\nS3 answers after %v\n", latency)
		if err := r.all(ctx, store, dir, straightAt(latency)); err != nil {
			return err
		}
	}
	return nil
}

// straightOnOneMachine is the number of concurrent requests above which an S3 server on the same machine does not become faster.
const straightOnOneMachine = 16

// straightAt is the number of concurrent requests above which more do not help. It was measured as
// 128 at 40 ms, and is proportional to the latency: the number in flight is the rate times the latency (Little's law).
func straightAt(latency time.Duration) int {
	return min(512, max(straightOnOneMachine, int(128*latency/(40*time.Millisecond))))
}

// all measures all workloads with one store, and stops it.
func (r run) all(ctx context.Context, store *store, dir string, straight int) error {
	defer store.process.stop()
	log, err := os.Create(filepath.Join(dir, "stowrs.log")) //nolint:gosec // the folder was made here
	if err != nil {
		return fmt.Errorf("log of the service: %w", err)
	}
	defer log.Close()
	m := meter{store: store, dir: dir, log: log}
	for _, name := range r.Workload {
		w, err := findWorkload(name)
		if err != nil {
			return err
		}
		if err := r.measure(ctx, m, w, straight); err != nil {
			printFailures(log.Name())
			return err
		}
	}
	return nil
}

// measure sends one workload each way, r.Pairs times, and prints the result. The order
// changes from round to round, so that no way profits from its place.
func (r run) measure(ctx context.Context, m meter, w workload, straight int) error {
	put := []string{"put", "--workload", w.name, "--parallel", strconv.Itoa(straight)}
	ways := []*way{{name: fmt.Sprintf("straight, %d parallel", straight), arguments: put}}
	if r.SDKDefaults {
		ways = append(ways, &way{name: "SDK's defaults", arguments: append(put[:len(put):len(put)], "--defaults")})
	}
	for _, s := range r.services() { // a new process for each workload, so that its peak memory is that of the workload
		service, url, err := m.startService(ctx, s)
		if err != nil {
			return err
		}
		defer service.stop()
		arguments := []string{"post", "--workload", w.name, "--url"}
		ways = append(ways, &way{name: s.name, service: service, arguments: append(arguments, "http://"+url+"/studies")})
		if r.Sidecar {
			front, secure, err := m.startSidecar(ctx, url)
			if err != nil {
				return err
			}
			defer front.stop()
			ways = append(ways, &way{name: s.name + " behind the sidecar", service: service, front: front, arguments: append(arguments, "https://"+secure+"/studies")})
		}
	}
	for _, sdk := range r.floors(w) {
		floor, url, err := m.startFloor(ctx, w, straight, sdk)
		if err != nil {
			return err
		}
		defer floor.stop()
		name := "floor"
		if sdk {
			name += ", with the SDK"
		}
		arguments := []string{"post", "--blindly", "--workload", w.name, "--url"}
		ways = append(ways, &way{name: name, service: floor, arguments: append(arguments, "http://"+url+"/studies")})
		if r.Sidecar {
			front, secure, err := m.startSidecar(ctx, url)
			if err != nil {
				return err
			}
			defer front.stop()
			ways = append(ways, &way{name: name + ", behind the sidecar", service: floor, front: front, arguments: append(arguments, "https://"+secure+"/studies")})
		}
	}
	for round := range r.Pairs {
		for i := range ways {
			if err := m.once(ctx, w, ways[(round+i+1)%len(ways)]); err != nil {
				return err
			}
		}
	}
	return printWorkload(w, ways)
}

// floors says which floors there are, those with the SDK being true. The one without is possible only with the stand-in, and with single requests.
func (r run) floors(w workload) []bool {
	switch {
	case !r.Floor:
		return nil
	case len(r.Latency) == 0, w.sizeBytes > partBytes:
		return []bool{true}
	}
	return []bool{false, true}
}

// way is one of the ways into S3 that are compared.
type way struct {
	name      string
	arguments []string // of the sending process
	service   *process // nil: straight
	front     *process // nil: none
	runs      []figures
}

// figures are the results of one run.
type figures struct {
	seconds                                float64
	senderCPU, frontCPU, serviceCPU, s3CPU float64 // seconds
}

// meter runs one workload one way and measures it.
type meter struct {
	store *store
	dir   string
	log   *os.File // of the services
}

func (m meter) once(ctx context.Context, w workload, y *way) error {
	syscall.Sync() // the unwritten data of the previous run must not slow this one
	before, err := m.cpu(y)
	if err != nil {
		return err
	}
	result, err := send(ctx, m.store.environment, y.arguments...)
	if err != nil {
		return err
	}
	after, err := m.cpu(y)
	if err != nil {
		return err
	}
	y.runs = append(y.runs, figures{
		seconds:    result.Seconds,
		senderCPU:  result.CPUSeconds,
		serviceCPU: after.serviceCPU - before.serviceCPU,
		frontCPU:   after.frontCPU - before.frontCPU,
		s3CPU:      after.s3CPU - before.s3CPU,
	})
	return m.store.settle(ctx, w)
}

func (m meter) cpu(y *way) (f figures, err error) {
	for _, of := range []struct {
		process *process
		to      *float64
	}{{m.store.process, &f.s3CPU}, {y.service, &f.serviceCPU}, {y.front, &f.frontCPU}} {
		if of.process != nil && err == nil {
			*of.to, err = of.process.cpuSeconds()
		}
	}
	return f, err
}
