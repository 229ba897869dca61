package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stowrs-to-s3/local/gateway"
)

// run measures all workloads and prints what it found.
type run struct {
	Pairs       int      `default:"5" help:"How often each workload is sent each way."`
	Quick       bool     `help:"One pair only."`
	Workload    []string `default:"ct,small,large" help:"Which of ct, small and large."`
	Dir         string   `type:"path" help:"Folder for the S3 server's data; default: that for temporary files. A folder in memory such as /dev/shm takes the disk's part away."`
	Stowrs      []string `type:"path" help:"Binaries of the service to measure; several are compared in one run. Default: it is built."`
	SDKDefaults bool     `name:"sdk-defaults" help:"Also put with the SDK as it comes, which hashes every body with SHA-256 over plain HTTP."`
}

// Run needs a few seconds a pair, and up to 4 GiB of disk.
func (r run) Run(ctx context.Context) (err error) {
	if r.Quick {
		r.Pairs = 1
	}
	dir, err := os.MkdirTemp(r.Dir, "stowrs-bench-")
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if len(r.Stowrs) == 0 {
		binary := filepath.Join(dir, "stowrs")
		build := exec.CommandContext(ctx, "go", "build", "-o", binary, "stowrs-to-s3/app") //nolint:gosec // the folder was made here
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build the service: %w", err)
		}
		r.Stowrs = []string{binary}
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	server := s3server{Dir: filepath.Join(dir, "data"), Listen: address}
	command, err := bench(ctx, nil, "s3", "--dir", server.Dir, "--listen", server.Listen)
	if err != nil {
		return err
	}
	holds := bucket{client: gateway.Client(server.config()), name: bucketName}
	s3process, err := start(ctx, command, func(ctx context.Context) bool {
		_, err := holds.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &holds.name})
		return err == nil
	})
	if err != nil {
		return err
	}
	defer s3process.stop()
	printMachine(dir)
	log, err := os.Create(filepath.Join(dir, "stowrs.log")) //nolint:gosec // the folder was made here
	if err != nil {
		return fmt.Errorf("log of the service: %w", err)
	}
	defer log.Close()
	m := meter{s3: s3process, bucket: holds, environment: gateway.Environ(server.config()), log: log}
	for _, name := range r.Workload {
		w, err := findWorkload(name)
		if err != nil {
			return err
		}
		if err := r.measure(ctx, m, w); err != nil {
			printFailures(log.Name())
			return err
		}
	}
	return nil
}

// measure sends one workload each way, r.Pairs times, and prints the result. Who
// is first changes from round to round, so that no way profits from its place.
func (r run) measure(ctx context.Context, m meter, w workload) error {
	ways := []*way{{name: "straight", arguments: []string{"put", "--workload", w.name}}}
	if r.SDKDefaults {
		ways = append(ways, &way{name: "SDK's defaults", arguments: []string{"put", "--workload", w.name, "--defaults"}})
	}
	for _, binary := range r.Stowrs { // a new process for each workload: its peak memory is the workload's
		service, url, err := m.startService(ctx, binary)
		if err != nil {
			return err
		}
		defer service.stop()
		name := "service"
		if len(r.Stowrs) > 1 {
			name += " " + binary
		}
		ways = append(ways, &way{name: name, service: service, arguments: []string{"post", "--workload", w.name, "--url", url}})
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

// way is one of the ways into S3 that are compared.
type way struct {
	name      string
	arguments []string // of the sending process
	service   *process // nil: straight
	runs      []figures
}

// figures of one run.
type figures struct {
	seconds                      float64
	senderCPU, serviceCPU, s3CPU float64 // seconds
}

// meter runs one workload one way and measures it.
type meter struct {
	s3          *process
	bucket      bucket
	environment []string // with which a process stores into the S3 server
	log         *os.File // of the service
}

func (m meter) once(ctx context.Context, w workload, y *way) error {
	syscall.Sync() // what the run before left to write must not cost this one
	before, err := m.cpu(y)
	if err != nil {
		return err
	}
	result, err := send(ctx, m.environment, y.arguments...)
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
		s3CPU:      after.s3CPU - before.s3CPU,
	})
	return m.bucket.settle(ctx, w)
}

func (m meter) cpu(y *way) (f figures, err error) {
	if f.s3CPU, err = m.s3.cpuSeconds(); err == nil && y.service != nil {
		f.serviceCPU, err = y.service.cpuSeconds()
	}
	return f, err
}

// startService starts the service with its defaults, and returns the URL of its studies.
func (m meter) startService(ctx context.Context, binary string) (*process, string, error) {
	listen, err := freeAddress(ctx)
	if err != nil {
		return nil, "", err
	}
	admin, err := freeAddress(ctx)
	if err != nil {
		return nil, "", err
	}
	command := exec.CommandContext(ctx, binary)
	command.Env = append(append(os.Environ(), m.environment...), "LISTENADDRESS="+listen, "ADMINADDRESS="+admin, "LOGLEVEL=ERROR")
	command.Stderr = m.log
	service, err := start(ctx, command, func(ctx context.Context) bool { return answers(ctx, "http://"+admin+"/readyz") })
	return service, "http://" + listen + "/studies", err
}
