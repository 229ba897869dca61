package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// Each line of a journal ends with a checksum, its last member: the CRC-32C of everything
// before sumStart, in hexadecimal digits. A line that was damaged on the disk, or edited, may
// still be valid JSON; only the checksum shows the change.
const (
	sumStart  = `,"sum":"`
	sumLength = len(sumStart) + 8 + len(`"}`)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamagedLine = errors.New("the line is damaged; take it out, and what it tells of is sent again")

func appendLine(lines []byte, value any) []byte {
	line, err := json.Marshal(value)
	if err != nil {
		panic(err) // impossible: the values are strings, numbers and times
	}
	line = bytes.TrimSuffix(line, []byte("}"))
	return fmt.Appendf(append(lines, line...), "%s%08x\"}\n", sumStart, crc32.Checksum(line, castagnoli))
}

// checkLine compares a line, with or without its line break, with its checksum.
func (j *journal) checkLine(line []byte) error {
	line = bytes.TrimSuffix(line, []byte("\n"))
	at := len(line) - sumLength
	if at < 0 || !bytes.HasPrefix(line[at:], []byte(sumStart)) {
		if j.sums {
			return errDamagedLine
		}
		return nil
	}
	if want := fmt.Appendf(nil, "%s%08x\"}", sumStart, crc32.Checksum(line[:at], castagnoli)); !bytes.Equal(line[at:], want) {
		return errDamagedLine
	}
	return nil
}
