package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/prometheus/procfs"
)

// printMachine prints on which machine, and with which Go, the figures were measured.
func printMachine(dir string) {
	model := "unknown processor"
	if fs, err := procfs.NewDefaultFS(); err == nil {
		if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 {
			model = cpus[0].ModelName
		}
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	fmt.Printf("machine  %s, %d cores, %s %s\n", model, runtime.NumCPU(), runtime.GOOS, strings.TrimSpace(string(kernel)))
	fmt.Printf("go       %s\n", runtime.Version())
	fmt.Printf("data     %s\n", dir)
}

// printWorkload prints the medians of each way, and its ratio to the
// first way, straight, in each round. MB and GB are decimal.
func printWorkload(w workload, ways []*way) error {
	fmt.Printf("\n%s (medians of %d)\n\n", w.title, len(ways[0].runs))
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\tMB/s\tinstances/s\tCPU s/GB: sender\tsidecar\tservice\tS3 server\tpeak MiB of service")
	gigabytes := float64(w.bytes()) / 1e9
	for _, y := range ways {
		seconds := y.median(func(f figures) float64 { return f.seconds })
		cpu, front, peak := "-", "-", "-"
		if y.service != nil {
			bytes, err := y.service.peakBytes()
			if err != nil {
				return err
			}
			cpu = fmt.Sprintf("%.2f", y.median(func(f figures) float64 { return f.serviceCPU })/gigabytes)
			peak = fmt.Sprint(bytes >> 20)
		}
		if y.front != nil {
			front = fmt.Sprintf("%.2f", y.median(func(f figures) float64 { return f.frontCPU })/gigabytes)
		}
		fmt.Fprintf(table, "%s\t%.0f\t%.1f\t%.2f\t%s\t%s\t%.2f\t%s\n", y.name, gigabytes*1000/seconds, float64(w.instances)/seconds,
			y.median(func(f figures) float64 { return f.senderCPU })/gigabytes, front, cpu,
			y.median(func(f figures) float64 { return f.s3CPU })/gigabytes, peak)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	fmt.Println()
	straight := ways[0]
	for _, y := range ways[1:] {
		ratios, all := make([]float64, len(y.runs)), make([]string, len(y.runs))
		for i, f := range y.runs {
			ratios[i] = straight.runs[i].seconds / f.seconds
			all[i] = fmt.Sprintf("%.3f", ratios[i])
		}
		fmt.Printf("%s / straight   median %.3f   pairs %s\n", y.name, median(ratios), strings.Join(all, " "))
	}
	return nil
}

func (y *way) median(of func(figures) float64) float64 {
	values := make([]float64, len(y.runs))
	for i, f := range y.runs {
		values[i] = of(f)
	}
	return median(values)
}

// median is the mean of the two middle values if their number is even.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// printFailures prints the service's records, except for the
// audit records of requests.
func printFailures(log string) {
	records, err := os.ReadFile(log) //nolint:gosec // written by this run
	if err != nil {
		return
	}
	for record := range strings.Lines(string(records)) {
		if !strings.Contains(record, `"store transaction"`) {
			fmt.Fprint(os.Stderr, record)
		}
	}
}
