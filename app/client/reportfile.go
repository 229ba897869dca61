package client

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// report is the file of --report: one line of JSON for each file that was not stored, or stored with a
// remark. A nil report accepts everything and writes nothing. Safe for concurrent use.
type report struct {
	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	err  error
}

// openReport replaces an existing file; an empty name gives nil.
func openReport(name string) (*report, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // documented: no report
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fmt.Errorf("--report: %w", err)
	}
	return &report{file: file, out: bufio.NewWriter(file)}, nil
}

func (r *report) write(o Outcome) {
	if r == nil {
		return
	}
	if o.Reason != 0 {
		o.Detail = o.String()
	}
	o.Path, o.PathBytes = jsonPath(o.Path)
	line, err := json.Marshal(o)
	if err != nil {
		panic(err) // impossible: the values are strings and numbers
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		_, r.err = r.out.Write(append(line, '\n'))
	}
}

// close closes the file, and returns the first error of a write.
func (r *report) close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.out.Flush(); r.err == nil {
		r.err = err
	}
	if err := r.file.Close(); r.err == nil {
		r.err = err
	}
	if r.err != nil {
		return fmt.Errorf("--report: %w", r.err)
	}
	return nil
}
