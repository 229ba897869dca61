package client

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// report is the file of --report: a JSON object a line for each file that was not simply
// stored. Without a file, nil, it takes everything and writes nothing. Safe for concurrent use.
type report struct {
	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	err  error
}

// openReport replaces a file of that name; an empty name gives none.
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
		panic(err) // strings and numbers
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		_, r.err = r.out.Write(append(line, '\n'))
	}
}

// close gives the first error of writing.
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
