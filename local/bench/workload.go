package main

import (
	"fmt"
	"slices"
)

// workload is what is sent: instances of one size.
type workload struct {
	name       string
	title      string
	instances  int
	sizeBytes  int64 // of each instance
	perRequest int   // instances in one request
	clients    int   // requests at the same time
}

var workloads = []workload{
	{"ct", "500 CT-sized instances of 512 KiB, 50 a request, 4 clients", 500, 512 << 10, 50, 4},
	{"small", "2000 instances of 8 KiB, 50 a request, 4 clients", 2000, 8 << 10, 50, 4},
	{"large", "one instance of 2 GiB, one client", 1, 2 << 30, 1, 1},
}

func (w workload) bytes() int64 { return int64(w.instances) * w.sizeBytes }

func findWorkload(name string) (workload, error) {
	i := slices.IndexFunc(workloads, func(w workload) bool { return w.name == name })
	if i < 0 {
		return workload{}, fmt.Errorf("no workload %q", name)
	}
	return workloads[i], nil
}

// maxPixelsBytes is what an instance has in memory. It is more than the caches
// of processors hold, so that larger instances, which repeat it, are read from memory too.
const maxPixelsBytes = 128 << 20

// generate makes the instances. Pixels are never shared between instances: a
// sender of many reads each of them from memory.
func (w workload) generate() []instance {
	each := min(w.sizeBytes, maxPixelsBytes)
	pixels := noise(int64(w.instances) * each)
	made := make([]instance, w.instances)
	for i := range made {
		made[i] = newInstance(i, w.sizeBytes, pixels[int64(i)*each:int64(i+1)*each])
	}
	return made
}
