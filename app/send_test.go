package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// The memory of a sender does not grow with the number of files.
func TestWalkInBoundedMemory(t *testing.T) {
	t.Parallel()
	count := 100_000
	if raceDetector { // the receiver takes ten times as long
		count = 30_000
	}
	if os.Getenv("STOWRS_TEST_FILES") != "" {
		count, _ = strconv.Atoi(os.Getenv("STOWRS_TEST_FILES"))
	}
	folder, r := t.TempDir(), newReceiver(t)
	for n := range count {
		name := filepath.Join(folder, strconv.Itoa(n/50_000), fmt.Sprintf("a-name-as-long-as-those-that-archives-have-%08d.dcm", n))
		write(t, name, instanceOf("1.2."+strconv.Itoa(n+1), nil))
	}
	journal := filepath.Join(t.TempDir(), "journal")
	output, code, peak := runMeasured(t, "send", "--url", r.URL, "--journal", journal, "--batch", "500", folder)
	t.Logf("%d files: %d MiB", count, peak)
	if instances, times := r.stored(); code != 0 || instances != count || times != count {
		t.Errorf("exit %d, %d stored, %d times; want %d\n%s", code, instances, times, count, output)
	}
	if peak == 0 || peak > 64 {
		t.Errorf("peak memory is %d MiB, want 64 at most", peak)
	}
	output, code, peak = runMeasured(t, "send", "--url", r.URL, "--journal", journal, folder)
	if _, times := r.stored(); code != 0 || times != count || peak > 64 {
		t.Errorf("the second run: exit %d, %d sent, %d MiB\n%s", code, times-count, peak, output)
	}
}

// A zip bomb is unpacked neither into memory nor to disk.
func TestZipBombInBoundedMemory(t *testing.T) {
	t.Parallel()
	folder, r := t.TempDir(), newReceiver(t)
	file, err := os.Create(filepath.Join(folder, "bomb.zip"))
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(file)
	zeros, mib := make([]byte, 1<<20), 512
	if raceDetector { // the receiver takes ten times as long
		mib = 70
	}
	for _, head := range [][]byte{nil, instanceOf("1.2.1", nil), instanceOf("1.2.2", nil)} {
		entry, err := w.Create(fmt.Sprintf("%d.dcm", len(head)))
		if err == nil {
			_, err = entry.Write(head)
		}
		for range mib {
			if err == nil {
				_, err = entry.Write(zeros)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	output, _, peak := runMeasured(t, "send", "--url", r.URL, folder)
	t.Logf("%d MiB\n%s", peak, output)
	if peak == 0 || peak > 64 {
		t.Errorf("peak memory is %d MiB, want 64 at most", peak)
	}
}

// A sender that is killed at any moment continues where it was, also within archives: everything arrives, and
// only what was being sent is sent twice.
func TestKilledSenderGoesOn(t *testing.T) {
	t.Parallel()
	const files, packed, batch, parallel = 1500, 500, 10, 4
	folder, r := t.TempDir(), newReceiver(t)
	for n := range files {
		write(t, filepath.Join(folder, fmt.Sprintf("%05d.dcm", n)), instanceOf("1.2."+strconv.Itoa(n+1), make([]byte, 100)))
	}
	var content bytes.Buffer
	w := zip.NewWriter(&content)
	for n := range packed {
		entry, err := w.Create(fmt.Sprintf("%05d.dcm", n))
		if err == nil {
			_, err = entry.Write(instanceOf("1.3."+strconv.Itoa(n+1), make([]byte, 100)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "a.zip"), content.Bytes())
	r.meet(func(http.ResponseWriter, int) bool { time.Sleep(10 * time.Millisecond); return false })

	journal := filepath.Join(t.TempDir(), "journal")
	arguments := []string{"send", "--url", r.URL, "--journal", journal, "--batch", strconv.Itoa(batch), "--parallel", strconv.Itoa(parallel), folder}
	killed := 0
	for range 15 {
		cmd := stowrs(t.Context(), arguments...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20*time.Millisecond + time.Duration(rand.IntN(80))*time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if cmd.ProcessState.ExitCode() == -1 {
			killed++
		}
		if size, err := os.Stat(journal); err == nil && size.Size() > 200 && rand.IntN(2) == 0 {
			_ = os.Truncate(journal, size.Size()-1-rand.Int64N(100))
		}
	}
	output, code, _ := runMeasured(t, arguments...)
	instances, times := r.stored()
	t.Logf("%d kills, %d instances stored, %d sent", killed, instances, times)
	if code != 0 || instances != files+packed {
		t.Errorf("exit %d, %d stored, want %d\n%s", code, instances, files+packed, output)
	}
	if most := files + packed + (killed+1)*(parallel+1)*batch; times > most {
		t.Errorf("%d were sent, want %d at most", times, most)
	}
	output, code, _ = runMeasured(t, arguments...)
	if _, again := r.stored(); code != 0 || again != times {
		t.Errorf("a run with nothing left: exit %d, %d sent\n%s", code, again-times, output)
	}
}

// If requests consist mostly of latency, the sender increases their number.
func TestSenderFindsItsSpeed(t *testing.T) {
	t.Parallel()
	const count, latency = 1200, 40 * time.Millisecond
	folder, r := t.TempDir(), newReceiver(t)
	for n := range count {
		write(t, filepath.Join(folder, fmt.Sprintf("%05d.dcm", n)), instanceOf("1.2."+strconv.Itoa(n+1), nil))
	}
	r.meet(func(http.ResponseWriter, int) bool { time.Sleep(latency); return false })
	start := time.Now()
	output, code, _ := runMeasured(t, "send", "--url", r.URL, "--batch", "1", folder)
	instances, _ := r.stored()
	t.Logf("%s; at most %d requests at the same time; 4 would have taken %s", time.Since(start), r.most, count*latency/4)
	if code != 0 || instances != count || r.most <= 4 {
		t.Errorf("exit %d, %d stored, %d requests at the same time\n%s", code, instances, r.most, output)
	}
}

// The output for people and scripts when the service is not available, or refuses.
func TestExitCodesOfSend(t *testing.T) {
	t.Parallel()
	folder, r := t.TempDir(), newReceiver(t)
	write(t, filepath.Join(folder, "1.dcm"), instanceOf("1.2.1", nil))
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(refusing.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, test := range map[string]struct {
		arguments []string
		want      int
	}{
		"stored":           {[]string{"--url", r.URL, folder}, 0},
		"nothing":          {[]string{"--url", r.URL, t.TempDir()}, 1},
		"no path":          {[]string{"--url", r.URL}, 2},
		"not there":        {[]string{"--url", r.URL, folder + "/none"}, 2},
		"no service":       {[]string{"--url", gone.URL, "--max-wait", "1s", folder}, 3},
		"refused":          {[]string{"--url", refusing.URL, folder}, 3},
		"check, there":     {nil, 0},
		"check, not there": {nil, 3},
		"check, refusing":  {nil, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arguments := append([]string{"send"}, test.arguments...)
			switch name {
			case "check, there":
				arguments = []string{"check", "--url", r.URL}
			case "check, not there":
				arguments = []string{"check", "--url", gone.URL}
			case "check, refusing":
				arguments = []string{"check", "--url", refusing.URL}
			}
			if output, code, _ := runMeasured(t, arguments...); code != test.want {
				t.Errorf("exit %d, want %d\n%s", code, test.want, output)
			}
		})
	}
}
