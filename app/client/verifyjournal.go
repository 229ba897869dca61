package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
)

// readJournal asks about the instances that a journal records as stored or unverified. A file that the journal records as failed or
// sending, and in no later line as stored, in this or another version, is missing, because a user who deletes
// the files that the journal names would delete it as well. A run of send that has not ended is reported as not known, because it may not have found all
// files. An incomplete last line is ignored, so the journal may be in use.
//
// Only the instances that are not recorded as stored are kept in memory.
func (v *verifier) readJournal(ctx context.Context) error {
	file, err := os.Open(v.options.Journal)
	if err != nil {
		return fmt.Errorf("--journal: %w", err)
	}
	defer file.Close()
	lines := bufio.NewReaderSize(file, longestLine)
	open := map[fingerprint]*asked{}
	var run fingerprint // the inputs of the run that wrote the lines
	var runs int        // so far
	var batch []*asked
	var j journal // only for checkLine
	for n := 1; ; n++ {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			break
		}
		var r record
		switch {
		case err != nil:
		case n == 1:
			err = v.readOpening(&j, line)
		default:
			if err = j.checkLine(line); err != nil {
				break
			}
			if err = json.Unmarshal(line, &r); err != nil {
				err = fmt.Errorf("%w: %w", errNoJournal, err)
			}
		}
		if err != nil {
			return fmt.Errorf("--journal: %s: line %d: %w", v.options.Journal, n, err)
		}
		if n == 1 {
			continue
		}
		if r.PathBytes != nil {
			r.Path = string(r.PathBytes)
		}
		f := fingerprintOf(placed(r.Path, r.Offset), 0, 0) // without size and time: only the last version of a file still exists
		a := &asked{path: r.Path, study: r.Study, series: r.Series, instance: r.Instance, crc64nvme: r.CRC64NVME, outcome: r.Outcome}
		switch r.Outcome {
		case outcomeStored, outcomeUnverified:
			delete(open, f)
			batch = append(batch, a)
		case outcomeWalked: // this run has read again all files that earlier runs with the same inputs could not read or identify
			delete(open, f)
			maps.DeleteFunc(open, func(_ fingerprint, a *asked) bool { return a.instance == "" && a.run == run && a.runs < runs })
		case outcomeWalking:
			run, runs = f, runs+1
			fallthrough
		default:
			a.run, a.runs = run, runs
			open[f] = a
		}
		if len(batch) == v.options.Batch {
			v.hand(ctx, batch)
			batch = nil
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	v.hand(ctx, batch)
	for _, a := range open {
		if a.outcome == outcomeWalking {
			v.fail(a.path, describeUnended)
			continue
		}
		v.missing(a, "the journal does not say that it is stored, but "+a.outcome)
	}
	return nil
}

// readOpening checks that the file is a journal and, if --url is given, that it is of this service.
func (v *verifier) readOpening(j *journal, line []byte) error {
	if v.base != nil {
		return j.readOpening(line, urlOf(v.target))
	}
	var o opening
	if err := json.Unmarshal(line, &o); err != nil || o.Journal != journalName {
		return errNoJournal
	}
	j.sums = o.Sums
	return j.checkLine(line)
}
