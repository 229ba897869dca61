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

// readJournal asks about what a journal says is stored. What it says has failed, or was on its way, and is not said to be stored
// further down, in this version or a later one, is missing: whoever deletes by a journal deletes that, too. What it calls unverified is asked about, but does not count
// as stored unless its bytes are compared. Of a run of send that has not come to its end nobody knows which files it would have found. A last line that is not whole is passed over, so that the
// journal may be in use.
//
// In memory are only the instances that are not stored yet.
func (v *verifier) readJournal(ctx context.Context) error {
	file, err := os.Open(v.options.Journal)
	if err != nil {
		return fmt.Errorf("--journal: %w", err)
	}
	defer file.Close()
	lines := bufio.NewReaderSize(file, longestLine)
	open := map[fingerprint]*asked{}
	var run fingerprint // of the inputs of the run that the lines are of
	var runs int        // so far
	var batch []*asked
	var j journal // of which only the checksums are wanted
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
		f := fingerprintOf(placed(r.Path, r.Offset), 0, 0) // whatever version of the file: only the last one can still be deleted
		a := &asked{path: r.Path, study: r.Study, series: r.Series, instance: r.Instance, crc64nvme: r.CRC64NVME, outcome: r.Outcome}
		switch r.Outcome {
		case outcomeStored, outcomeUnverified:
			delete(open, f)
			batch = append(batch, a)
		case outcomeWalked: // it has looked again at all that an earlier run of the same could not read or name
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

// readOpening makes sure that the file is a journal, and where --url says who is asked, that of the same service.
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
