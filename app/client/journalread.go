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

// longestLine limits a line of a journal, in bytes: an escaped path (see longestName) and the other members.
const longestLine = 1 << 16

// read reads what earlier runs have written. An empty journal gets its first line. A last
// line without a line break is the result of a kill, and is cut off.
func (j *journal) read(service string) error {
	total, err := countLines(j.file)
	if err == nil {
		_, err = j.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	j.stored = make([]fingerprint, 0, total/2) // an instance has two lines; a slice that grows would need its memory twice
	lines := bufio.NewReaderSize(j.file, longestLine)
	var whole int64 // bytes of complete lines
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

// readLine returns a line, or io.EOF with what follows the last line break. That can be longer than longestLine: a machine
// that failed can leave zeros there.
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
	return []byte{0}, err // a byte that no line begins with
}

// repair cuts off an incomplete last line, and writes the first line if it is missing.
func (j *journal) repair(torn []byte, n int, whole int64, service string) error {
	first := appendLine(nil, opening{Journal: journalName, URL: service, Sums: true})
	if n == 1 && !bytes.HasPrefix(first, torn) {
		return errNoJournal // so the file must not be truncated
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

var errNoJournal = errors.New("the file is not a journal of stowrs send; give the path of one, or of a new file")

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

// fingerprint is the fingerprint of the file of this record.
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
