package config_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/config"
)

func TestDefaults(t *testing.T) {
	got, err := config.Load(map[string]string{"BUCKETNAME": "dicom"})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		BucketName: "dicom", LogLevel: "WARNING", ThreadCount: 256, MemoryBudget: 256 << 20, HeadWindow: 32 << 20, MetadataLimit: 16 << 20, MinRate: 16 << 10,
		MaxRequests: 512, RetryTime: time.Minute, OnDuplicate: "overwrite", Commitment: "on", StopTimeout: 110 * time.Second, SweepAge: 30 * time.Minute,
		ListenAddress: ":8080", AdminAddress: "127.0.0.1:9090",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration differs (-want +got):\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	got, err := config.Load(map[string]string{
		"BUCKETNAME": " dicom ", "PREFIX": "/in/box/", "WADOURL": "https://wado.example.org/dicomweb/", "RESPONSEDELAY": "1.5",
		"MEMORYBUDGET": "1GiB", "MINRATE": "0", "CORSORIGINS": "https://a.example.org, https://b.example.org", "TRUSTEDPROXY": "127.0.0.1,10.0.0.0/8",
		"STORAGECLASS": "INTELLIGENT_TIERING", "LOGLEVEL": "",
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"spaces are trimmed":         {got.BucketName, "dicom"},
		"no slash around the prefix": {got.Prefix, "in/box"},
		"no slash behind the URL":    {got.WADOURL, "https://wado.example.org/dicomweb"},
		"seconds may be decimal":     {time.Duration(got.ResponseDelay), 1500 * time.Millisecond},
		"units":                      {int64(got.MemoryBudget), int64(1 << 30)},
		"zero":                       {int64(got.MinRate), int64(0)},
		"lists":                      {strings.Join(got.CORSOrigins, "|"), "https://a.example.org|https://b.example.org"},
		"networks":                   {len(got.TrustedPrefixes()), 2},
		"empty is the default":       {got.LogLevel, "WARNING"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
}

// All violations are reported at once, with variable, value and rule.
func TestViolations(t *testing.T) {
	bad := map[string]string{
		"BUCKETNAME": "dicom/folder", "PREFIX": "a//b", "OBJECTSUFFIX": "/x", "WADOURL": "wado.example.org", "KMSKEYID": "a\nb", "STORAGECLASS": "CHEAP", "LOGLEVEL": "LOUD",
		"RESPONSEDELAY": "soon", "THREADCOUNT": "-1", "MEMORYBUDGET": "1MiB", "HEADWINDOW": "1KiB", "METADATALIMIT": "1KiB", "MINRATE": "fast", "MAXREQUESTS": "many", "RETRYTIME": "2h",
		"MAXINSTANCESIZE": "-1", "ONDUPLICATE": "maybe", "STRICTACCEPT": "perhaps", "CORSORIGINS": "viewer", "TRUSTEDPROXY": "localhost",
		"STOPTIMEOUT": "110", "SWEEPAGE": "0s", "LISTENADDRESS": "8080", "ADMINADDRESS": "host:99999",
	}
	_, err := config.Load(bad)
	if err == nil {
		t.Fatal("got no error")
	}
	var got []string
	for line := range strings.Lines(err.Error()) {
		variable, rest, _ := strings.Cut(strings.TrimSpace(line), "=")
		got = append(got, variable)
		if !strings.Contains(rest, `"`) || !strings.Contains(rest, ": ") {
			t.Errorf("%q has no value and rule", line)
		}
	}
	slices.Sort(got)
	var want []string
	for variable := range bad {
		want = append(want, variable)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("violations differ (-want +got):\n%s\n%v", diff, err)
	}
	if _, err := config.Load(nil); err == nil || !strings.Contains(err.Error(), "BUCKETNAME") {
		t.Errorf("without BUCKETNAME: got error %v", err)
	}
}

// Limits that depend on each other, at their borders: memory, because each limit reserves a part of
// MEMORYBUDGET, and keys, because S3 allows 1,024 bytes.
func TestLimitsTogether(t *testing.T) {
	letters := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct {
		variables string
		violation string // its beginning; empty: there is none
		says      string
	}{
		{"MEMORYBUDGET=64MiB", "", ""}, // with all other defaults
		{"MEMORYBUDGET=65519KiB MAXREQUESTS=511", "MEMORYBUDGET=", "METADATALIMIT (16 MiB), HEADWINDOW (32 MiB, 16 MiB at least), 16 KiB for each of MAXREQUESTS (511), and 8.0 MiB"},
		{"MEMORYBUDGET=1MiB", "MEMORYBUDGET=", "must be at least 64 MiB"},
		{"MEMORYBUDGET=32MiB METADATALIMIT=4MiB HEADWINDOW=64KiB MAXREQUESTS=256", "", ""},
		{"MEMORYBUDGET=31MiB METADATALIMIT=64KiB HEADWINDOW=64KiB MAXREQUESTS=1", "MEMORYBUDGET=", "must be at least 32 MiB"},
		{"MEMORYBUDGET=48MiB HEADWINDOW=64KiB MAXREQUESTS=384", "", ""},
		{"MEMORYBUDGET=256MiB METADATALIMIT=200MiB HEADWINDOW=40MiB", "", ""},
		{"MEMORYBUDGET=256MiB METADATALIMIT=200MiB HEADWINDOW=41MiB", "MEMORYBUDGET=", "must be at least 257 MiB"},
		{"METADATALIMIT=4EiB HEADWINDOW=4EiB", "MEMORYBUDGET=", "METADATALIMIT (4.0 EiB)"},
		{"MAXREQUESTS=1024", "", ""},
		{"MAXREQUESTS=1025", "MAXREQUESTS=", "between 1 and 1024"},
		{"MAXREQUESTS=2147483647", "MAXREQUESTS=", "between 1 and 1024"},
		{"MAXREQUESTS=1024 MEMORYBUDGET=128MiB", "", ""},
		{"MAXREQUESTS=1024 MEMORYBUDGET=127MiB", "MAXREQUESTS=", "must be at most 1016 with MEMORYBUDGET=127 MiB"},
		{"THREADCOUNT=1024", "", ""},
		{"THREADCOUNT=1025", "THREADCOUNT=", "between 1 and 1024"},
		{"THREADCOUNT=512 MEMORYBUDGET=128MiB", "", ""},
		{"THREADCOUNT=512 MEMORYBUDGET=127MiB", "THREADCOUNT=", "must be at most 508 with MEMORYBUDGET=127 MiB"},
		{"PREFIX=a/../b", "PREFIX=", "no folder that is empty, . or .."},
		{"PREFIX=.", "PREFIX=", "no folder that is empty, . or .."},
		{"PREFIX=a..b/.c", "", ""},
		{"WADOURL=https://u:p@pacs.example.org/", "WADOURL=", "without query and password"},
		{"WADOURL=https://pacs.example.org/é", "WADOURL=", "without query and password"},
		{"WADOURL=https://pacs.example.org/\"b", "WADOURL=", "without query and password"},
		{"CORSORIGINS=https://viewer.example.org,http://viewer:3000", "", ""},
		{"CORSORIGINS=https://viewer.example.org/", "CORSORIGINS=", "no path"},
		{"CORSORIGINS=https://Viewer.example.org", "CORSORIGINS=", "lower case"},
		{"CORSORIGINS=https://viewer.example.org:443", "CORSORIGINS=", "the scheme's own"},
		{"BUCKETNAME=Old_Bucket.2010", "", ""},
		{"BUCKETNAME=arn:aws:s3:eu-central-1:123456789012:accesspoint:dicom", "", ""},
		{"BUCKETNAME=..", "BUCKETNAME=", "begins with a letter or digit"},
		{"BUCKETNAME=a?b", "BUCKETNAME=", "letters, digits and - _ ."},
		{"BUCKETNAME=dicom/in", "BUCKETNAME=", "put folders into PREFIX"},
		{"MINRATE=100MiB", "", ""},
		{"MINRATE=1PB", "MINRATE=", "at most 100 MiB a second"},
		{"RETRYTIME=1s", "", ""},
		{"RETRYTIME=999ms", "RETRYTIME=", "between 1s and 1h"},
		{"SWEEPAGE=1s", "", ""},
		{"SWEEPAGE=999ms", "SWEEPAGE=", "10m or more is sensible"},
		{"PREFIX=" + letters(829), "", ""}, // the slash after the prefix, and three UIDs of 64 characters with two slashes
		{"PREFIX=" + letters(830), "PREFIX=", "829 characters at most"},
		{"OBJECTSUFFIX=.dcm PREFIX=" + letters(825), "", ""},
		{"OBJECTSUFFIX=.dcm PREFIX=/" + letters(826) + "/", "PREFIX=", "825 characters at most"},
	} {
		environment := map[string]string{"BUCKETNAME": "b"}
		for _, variable := range strings.Fields(test.variables) {
			name, value, _ := strings.Cut(variable, "=")
			environment[name] = value
		}
		_, err := config.Load(environment)
		switch {
		case test.violation == "" && err != nil:
			t.Errorf("%.80s: got error %v", test.variables, err)
		case test.violation != "" && err == nil:
			t.Errorf("%.80s: got no error, want one of %s", test.variables, test.violation)
		case test.violation != "" && (!strings.HasPrefix(err.Error(), test.violation) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%.80s: got error %v, want one that begins with %s and says %q", test.variables, err, test.violation, test.says)
		}
	}
}

func TestPrintNamesEveryVariable(t *testing.T) {
	c, err := config.Load(map[string]string{"BUCKETNAME": "dicom"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	c.Print(&b)
	for _, variable := range config.Variables() {
		if !strings.Contains(b.String(), variable+" ") {
			t.Errorf("%s is not printed", variable)
		}
	}
}

// The table in docs/design.md agrees with the code.
func TestEveryVariableIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "## Environment of the service")
	if !found {
		t.Fatal("docs/design.md has no table of the environment")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	var documented []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z0-9, ]+) \|`).FindAllStringSubmatch(table, -1) {
		documented = append(documented, strings.Split(row[1], ", ")...)
	}
	got, want := slices.Sorted(slices.Values(documented)), slices.Sorted(slices.Values(config.Variables()))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documented variables differ (-code +docs):\n%s", diff)
	}
}

// With few threads, the throughput would be low if S3 answers only after 200 ms; but each thread needs memory.
func TestThreadCountGoesWithTheMemory(t *testing.T) {
	for budget, want := range map[string]int{"64MiB": 64, "256MiB": 256, "1GiB": 512} {
		c, err := config.Load(map[string]string{"BUCKETNAME": "dicom", "MEMORYBUDGET": budget})
		if err != nil || c.ThreadCount != want {
			t.Errorf("MEMORYBUDGET=%s: %d threads, error %v; want %d", budget, c.ThreadCount, err, want)
		}
	}
}

// S3 requests need memory as well; with a small budget, the buffers keep what they need.
func TestThreadsTakeFromTheBuffers(t *testing.T) {
	for variables, want := range map[string]int64{
		"MEMORYBUDGET=256MiB THREADCOUNT=1":   232<<20 - 192<<10,
		"MEMORYBUDGET=256MiB":                 184 << 20,
		"MEMORYBUDGET=256MiB THREADCOUNT=512": 136 << 20,
		"MEMORYBUDGET=64MiB":                  40 << 20,
	} {
		environment := map[string]string{"BUCKETNAME": "dicom"}
		for variable := range strings.FieldsSeq(variables) {
			name, value, _ := strings.Cut(variable, "=")
			environment[name] = value
		}
		c, err := config.Load(environment)
		if err != nil || c.BufferBytes() != want {
			t.Errorf("%s: %d bytes, error %v; want %d", variables, c.BufferBytes(), err, want)
		}
	}
}
