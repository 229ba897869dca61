package client

import "strings"

// line names an instance for people: the path, and its UIDs.
func (a *asked) line() string {
	if a.instance == "" { // the journal has no UIDs of a file that could not be identified
		return a.path
	}
	return a.path + " " + a.study + "/" + a.series + "/" + a.instance
}

func (v *verifier) missing(a *asked, why string) {
	v.tell(func(r *Verified) { r.Missing++ }, "missing    "+a.line()+": "+why)
}

func (v *verifier) fail(path, why string) {
	v.tell(func(r *Verified) { r.Failed++ }, "not known  "+path+": "+strings.TrimPrefix(why, notSent))
}

func (v *verifier) skip(path, why string) {
	v.tell(func(r *Verified) { r.Skipped++ }, "skipped    "+path+": "+why)
}

func (v *verifier) tell(change func(*Verified), line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.verified)
	v.out.print(line)
}

func (v *verifier) count(change func(*Verified)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.verified)
}

func (v *verifier) note(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes.print(text)
}

func describeVerified(r Verified, checksums bool) string {
	text := count(r.There, "instance is stored", "instances are stored")
	if checksums {
		text = count(r.There, "instance is stored with these bytes", "instances are stored with these bytes")
	}
	text += ", " + comma(r.Missing) + " missing"
	if r.Unverified > 0 {
		text += ", " + comma(r.Unverified) + " not verified"
	}
	if checksums {
		text += ", " + comma(r.Different) + " different"
	}
	return strings.Join([]string{text, comma(r.Failed) + " not known", count(r.Skipped, "file skipped", "files skipped")}, ", ")
}

// describeByName says what storage commitment does not prove.
const describeByName = "asked by UIDs: that the bytes are the same, only --checksums can tell"

// describeUnverified is why an instance whose UIDs are stored does not count as stored.
const describeUnverified = "an instance of these UIDs was there before, and its bytes were never compared: --checksums does"

// describeUnended is for a run of send whose end is not in the journal.
const describeUnended = "it has not come to its end (or still runs), so that files may be missing of which the journal does not tell: give its command again"

// Answers of a service that end the run.
const (
	describeNoCommitment = "the service has no storage commitment at this address: is --url right, and is COMMITMENT on?"
	describeLongAnswer   = "the answer is longer than 16 MiB: give a smaller --batch"
	describeLater        = "the service answers HTTP 202: the result comes later, for which this command does not wait"
)
