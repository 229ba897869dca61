package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// service is a service to measure.
type service struct {
	name, binary string
	environment  []string
}

// services returns each binary with each number of threads.
func (r run) services() (all []service) {
	for _, binary := range r.Stowrs {
		name := "service"
		if len(r.Stowrs) > 1 {
			name += " " + binary
		}
		if len(r.Threads) == 0 {
			all = append(all, service{name: name, binary: binary})
		}
		for _, n := range r.Threads {
			all = append(all, service{fmt.Sprintf("%s, %d threads", name, n), binary, []string{fmt.Sprintf("THREADCOUNT=%d", n)}})
		}
	}
	return all
}

// startService starts the service with its defaults, except for s.environment, and returns its address.
func (m meter) startService(ctx context.Context, s service) (*process, string, error) {
	listen, admin, err := twoAddresses(ctx)
	if err != nil {
		return nil, "", err
	}
	command := exec.CommandContext(ctx, s.binary) //nolint:gosec // what is measured
	command.Env = append(append(append(os.Environ(), m.store.environment...), s.environment...), "LISTENADDRESS="+listen, "ADMINADDRESS="+admin, "LOGLEVEL=ERROR")
	command.Stderr = m.log
	p, err := start(ctx, command, func(ctx context.Context) bool { return answers(ctx, "http://"+admin+"/readyz") })
	return p, listen, err
}

// startSidecar starts certsync, with nginx, in front of the service at the address service, and returns its own address. It has a
// self-signed certificate, and accepts every client.
func (m meter) startSidecar(ctx context.Context, service string) (*process, string, error) {
	binary := filepath.Join(m.dir, "certsync")
	if err := build(ctx, binary, "stowrs-to-s3/nginx"); err != nil {
		return nil, "", err
	}
	listen, health, err := twoAddresses(ctx)
	if err != nil {
		return nil, "", err
	}
	command := exec.CommandContext(ctx, binary) //nolint:gosec // built just now
	command.Env = append(os.Environ(), "AUTH_MODE=anonymous", "CERT_MODE=ACM", "TLS_ADDRESS="+listen, "HEALTH_ADDRESS="+health,
		"APP_ADDRESS="+service, "RUN_FOLDER="+filepath.Join(m.dir, "sidecar-"+service))
	if _, err := exec.LookPath("nginx"); err != nil {
		command.Env = append(command.Env, "NGINX_PROGRAM=/usr/sbin/nginx") // the place of Debian, which is not in the PATH of users
	}
	command.Stdout, command.Stderr = m.log, m.log
	p, err := start(ctx, command, func(ctx context.Context) bool {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", listen)
		return err == nil && c.Close() == nil
	})
	return p, listen, err
}

// startFloor starts this program as floor, and returns its address.
func (m meter) startFloor(ctx context.Context, w workload, parallel int, sdk bool) (*process, string, error) {
	listen, err := freeAddress(ctx)
	if err != nil {
		return nil, "", err
	}
	command, err := bench(ctx, m.store.environment, "floor", "--workload", w.name, "--listen", listen, "--parallel", strconv.Itoa(parallel), fmt.Sprintf("--sdk=%t", sdk))
	if err != nil {
		return nil, "", err
	}
	p, err := start(ctx, command, func(ctx context.Context) bool { return answers(ctx, "http://"+listen+"/") })
	return p, listen, err
}

func twoAddresses(ctx context.Context) (one, other string, err error) {
	if one, err = freeAddress(ctx); err == nil {
		other, err = freeAddress(ctx)
	}
	return one, other, err
}

// build builds a program of this repository.
func build(ctx context.Context, to, module string) error {
	command := exec.CommandContext(ctx, "go", "build", "-tags", "grpcnotrace", "-o", to, module) //nolint:gosec // our own module; the tag as in make build
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("build %s: %w", module, err)
	}
	return nil
}
