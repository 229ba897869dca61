package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// journalRecord is the part of a journal line that the tests read.
type journalRecord struct{ Path, Outcome string }

// wantJournalOnce checks that each of so many files is recorded as stored exactly once, and as sending never after that. It returns how
// often files were recorded as sending.
func wantJournalOnce(t *testing.T, journal string, files int) (onTheirWay int) {
	t.Helper()
	content, err := os.Open(journal)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	stored := map[string]bool{}
	lines := bufio.NewScanner(content)
	for n := 1; lines.Scan(); n++ {
		var record journalRecord
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			t.Errorf("line %d of the journal is torn: %v", n, err)
		}
		switch {
		case record.Outcome != "" && stored[record.Path]:
			t.Errorf("line %d: %s is stored already, and is %s again", n, record.Path, record.Outcome)
		case record.Outcome == "sending":
			onTheirWay++
		case record.Outcome == "stored":
			stored[record.Path] = true
		case strings.HasPrefix(record.Outcome, "walk"): // about a run
		case n > 1:
			t.Errorf("line %d: the outcome of %s is %q", n, record.Path, record.Outcome)
		}
	}
	if lines.Err() != nil || len(stored) != files {
		t.Errorf("the journal has %d stored files, want %d (%v)", len(stored), files, lines.Err())
	}
	return onTheirWay
}

// storedBy counts the instances that the services have reported as stored.
func storedBy(services []*service) int {
	total := 0
	for _, s := range services {
		for _, record := range s.records("store transaction") {
			n, _ := record["stored"].(float64)
			total += int(n)
		}
	}
	return total
}

// Sender, service and S3 are killed at random, alone and together, while many small instances are sent. The sender continues where it
// was, until everything is stored, byte for byte. What was confirmed is never sent again. Sent twice is at most what was in flight when
// the sender or the service was killed, because its answers were lost. Killing S3 costs only time.
func TestSendThroughKillsOfEverything(t *testing.T) {
	long(t)
	const batch, parallel = 20, 4
	count, kills := 6000, 12
	if fullScale {
		count, kills = 20_000, 60
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	folder, instances := archive(t, count)
	b := startGateway(t)
	addresses := []string{"LISTENADDRESS=" + freeAddress(t), "ADMINADDRESS=" + freeAddress(t)}
	services := []*service{startService(t, b, addresses...)}
	journal := filepath.Join(t.TempDir(), "journal")
	args := []string{"send", "--url", services[0].url(), "--journal", journal, "--batch", fmt.Sprint(batch), "--parallel", fmt.Sprint(parallel), folder}

	everything := []string{"sender", "service", "S3"}
	sender := start(t, nil, binaries.stowrsRace, args...)
	killed := map[string]int{}
	for n := range kills {
		before, more := sizeOf(journal), random.Int64N(int64(2*count/kills*journalBytes))
		eventually(t, time.Minute, "more is stored", func() bool { return sizeOf(journal)-before > more || sender.hasExited() })
		if sender.hasExited() {
			break
		}
		<-time.After(time.Duration(random.IntN(30)) * time.Millisecond)
		victims := victimsOf(n, everything, random)
		for _, victim := range victims {
			map[string]*process{"sender": sender, "service": services[len(services)-1].process, "S3": b.process}[victim].kill()
			killed[victim]++
		}
		<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
		if slices.Contains(victims, "S3") {
			b.startAgain(t)
		}
		if slices.Contains(victims, "service") {
			services = append(services, startService(t, b, addresses...))
		}
		if slices.Contains(victims, "sender") {
			sender = start(t, nil, binaries.stowrsRace, args...)
		}
	}
	if code := sender.exitCode(t, 3*time.Minute); code != 0 {
		t.Fatalf("stowrs send: exit %d\n%s%s", code, sender.stdout, sender.stderr)
	}
	b.wantExactly(t, instances...)

	onTheirWay, sent := wantJournalOnce(t, journal, count), storedBy(services)
	t.Logf("%d instances; killed %v; %d on their way again in another run of the sender; %d stored by the services' own count", count, killed, onTheirWay-count, sent)
	if most := killed["sender"] * batch * parallel; onTheirWay-count > most {
		t.Errorf("%d instances were on their way again after a kill of the sender, want %d at most", onTheirWay-count, most)
	}
	if most := count + (killed["sender"]+killed["service"])*batch*parallel; sent > most {
		t.Errorf("%d instances were stored, want %d at most", sent, most)
	}
	for _, victim := range everything {
		if killed[victim] == 0 {
			t.Errorf("the %s was never killed: the test does not show what it should", victim)
		}
	}

	// A run in which nothing is left sends nothing, and S3 has the bytes of the checksums in the journal.
	code, stdout, _ := run(t, nil, binaries.stowrsRace, args...)
	if code != 0 || !strings.Contains(stdout, "stored before") {
		t.Errorf("a run with nothing left: exit %d\n%s", code, stdout)
	}
	if again := storedBy(services); again != sent {
		t.Errorf("%d instances were sent again, want none", again-sent)
	}
	code, stdout, stderr := run(t, b.environ(), binaries.stowrsRace, "verify", "--url", services[0].url(), "--journal", journal, "--checksums")
	if code != 0 {
		t.Errorf("stowrs verify: exit %d\n%.2000s%s", code, stdout, stderr)
	}
}

// victimsOf returns what the n-th kill ends: one of all in turn, and each of the others at random.
func victimsOf(n int, all []string, random *rand.Rand) []string {
	victims := []string{all[n%len(all)]}
	for _, other := range all {
		if other != victims[0] && random.IntN(4) == 0 {
			victims = append(victims, other)
		}
	}
	return victims
}

// journalBytes is about the size of an instance in a journal.
const journalBytes = 700

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0 // it is not yet begun
	}
	return info.Size()
}
