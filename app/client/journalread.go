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

// read takes in what earlier runs have written, and begins a journal that is empty. A last
// line without its end was torn by a kill, and is cut off.
func (j *journal) read(service string) error {
	total, err := countLines(j.file)
	if err == nil {
		_, err = j.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	j.stored = make([]fingerprint, 0, total/2) // an instance has two; growing would hold it twice
	lines := bufio.NewReaderSize(j.file, longestLine)
	var whole int64 // bytes of whole lines
	for n := 1; ; n++ {
		line, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF):
			slices.SortFunc(j.stored, fingerprint.compare)
			return j.repair(line, n, whole, service)
		case err != nil:
			return fmt.Errorf("line %d: %w", n, err)
		case n == 1:
			err = j.readOpening(line, service)
		default:
			err = j.readRecord(line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		whole += int64(len(line))
	}
}

func countLines(from io.Reader) (lines int, err error) {
	buffer := make([]byte, longestLine)
	for {
		n, err := from.Read(buffer)
		lines += bytes.Count(buffer[:n], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// readLine gives a line, or io.EOF with what is left without an end. That may be longer than any line: a machine that failed
// can leave zeros there.
func readLine(lines *bufio.Reader) ([]byte, error) {
	line, err := lines.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = lines.ReadSlice('\n')
	}
	if err == nil {
		err = errDamagedLine
	}
	return []byte{0}, err // which begins no line
}

// repair cuts off a torn line, and writes the first line where it is missing.
func (j *journal) repair(torn []byte, n int, whole int64, service string) error {
	first := appendLine(nil, opening{Journal: journalName, URL: service, Sums: true})
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

func (j *journal) readOpening(line []byte, service string) error {
	var o opening
	if err := json.Unmarshal(line, &o); err != nil || o.Journal != journalName {
		return errNoJournal
	}
	j.sums = o.Sums
	if err := j.checkLine(line); err != nil {
		return err
	}
	if o.URL != service {
		return fmt.Errorf("the journal is of %s; another service needs another journal", o.URL)
	}
	return nil
}

func (j *journal) readRecord(line []byte) error {
	if err := j.checkLine(line); err != nil {
		return err
	}
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("%w: %w", errNoJournal, err)
	}
	f := r.fingerprint()
	delete(j.sent, f)
	switch r.Outcome {
	case outcomeStored, outcomeUnverified:
		j.stored = append(j.stored, f)
	case outcomeSending:
		j.sent[f] = struct{}{}
	}
	return nil
}

// fingerprint is that of the file that the record is of.
func (r record) fingerprint() fingerprint {
	path := r.Path
	if r.PathBytes != nil {
		path = string(r.PathBytes)
	}
	return fingerprintOf(placed(path, r.Offset), r.Size, r.Modified.UnixNano())
}

func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}
