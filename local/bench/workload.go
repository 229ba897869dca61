package main

import (
	"fmt"
	"slices"
)

// workload describes what is sent: instances of one size.
type workload struct {
	name       string
	title      string
	instances  int
	sizeBytes  int64 // of each instance
	perRequest int   // instances in one request
	clients    int   // concurrent requests
}

var workloads = []workload{
	{"ct", "1000 CT-sized instances of 512 KiB, 50 a request, 4 clients", 1000, 512 << 10, 50, 4},
	{"small", "4000 instances of 8 KiB, 100 a request, 4 clients", 4000, 8 << 10, 100, 4},
	{"single", "1000 of 512 KiB, one a request, 64 clients", 1000, 512 << 10, 1, 64},
	{"turn", "500 of 512 KiB, 50 a request, one client, which sends them in turn", 500, 512 << 10, 50, 1},
	{"middle", "24 of 64 MiB, one a request, 4 clients", 24, 64 << 20, 1, 4},
	{"large", "one instance of 2 GiB, one client", 1, 2 << 30, 1, 1},
}

func (w workload) bytes() int64 { return int64(w.instances) * w.sizeBytes }

// check fails unless number and total size of the objects are those of the workload.
func (w workload) check(objects int, bytes int64) error {
	if objects != w.instances || bytes != w.bytes() {
		return fmt.Errorf("the bucket holds %d objects of %d bytes in all, not %d of %d", objects, bytes, w.instances, w.bytes())
	}
	return nil
}

func findWorkload(name string) (workload, error) {
	i := slices.IndexFunc(workloads, func(w workload) bool { return w.name == name })
	if i < 0 {
		return workload{}, fmt.Errorf("no workload %q", name)
	}
	return workloads[i], nil
}

// maxPixelsBytes limits the memory of an instance. It is more than processor caches
// can store, so that larger instances, which repeat it, are also read from memory.
const maxPixelsBytes = 128 << 20

// generate makes the instances. They do not share pixels, so that a
// sender reads each of them from memory.
func (w workload) generate() []instance {
	each := min(w.sizeBytes, maxPixelsBytes)
	pixels := noise(int64(w.instances) * each)
	made := make([]instance, w.instances)
	for i := range made {
		made[i] = newInstance(i, w.sizeBytes, pixels[int64(i)*each:int64(i+1)*each])
	}
	return made
}
