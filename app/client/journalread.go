package client

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// longestLine bounds a line of a journal: a path of 4 KiB, escaped, and the rest.
const longestLine = 1 << 16

// typicalBytes is what the two lines of an instance take, or a little less.
const typicalBytes = 500

// read takes in what earlier runs have written, and begins a journal that is empty. A last
// line without its end was torn by a kill, and is cut off.
func (j *journal) read(service string) error {
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	j.stored = make([]fingerprint, 0, info.Size()/typicalBytes) // growing would hold it twice
	lines := bufio.NewReaderSize(j.file, longestLine)
	var whole int64 // bytes of whole lines
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			slices.SortFunc(j.stored, fingerprint.compare)
			return j.repair(line, n, whole, service)
		case err != nil:
			return fmt.Errorf("line %d: %w", n, err)
		case n == 1:
			err = readOpening(line, service)
		default:
			err = j.readRecord(line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		whole += int64(len(line))
	}
}

// repair cuts off a torn line, and writes the first line where it is missing.
func (j *journal) repair(torn []byte, n int, whole int64, service string) error {
	first := appendLine(nil, opening{Journal: journalName, URL: service})
	if n == 1 && !bytes.HasPrefix(first, torn) {
		return errNoJournal // and not to be cut
	}
	if len(torn) > 0 {
		if err := j.file.Truncate(whole); err != nil {
			return err
		}
	}
	if n == 1 {
		return j.append(first)
	}
	return nil
}

var errNoJournal = errors.New("the file is not a journal of stowrs send")

func readOpening(line []byte, service string) error {
	var o opening
	if err := json.Unmarshal(line, &o); err != nil || o.Journal != journalName {
		return errNoJournal
	}
	if o.URL != service {
		return fmt.Errorf("the journal is of %s; another service needs another journal", o.URL)
	}
	return nil
}

func (j *journal) readRecord(line []byte) error {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("%w: %w", errNoJournal, err)
	}
	if r.PathBytes != nil {
		r.Path = string(r.PathBytes)
	}
	f := fingerprintOf(r.Path, r.Size, r.Modified.UnixNano())
	delete(j.sent, f)
	switch r.Outcome {
	case outcomeStored, outcomeUnverified:
		j.stored = append(j.stored, f)
	case outcomeSending:
		j.sent[f] = struct{}{}
	}
	return nil
}

func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}
