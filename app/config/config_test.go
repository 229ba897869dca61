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
		BucketName: "dicom", LogLevel: "WARNING", ThreadCount: 16, MemoryBudget: 256 << 20, HeadWindow: 32 << 20, MetadataLimit: 16 << 20, MinRate: 16 << 10,
		MaxRequests: 256, OnDuplicate: "overwrite", StopTimeout: 110 * time.Second, SweepAge: 7 * 24 * time.Hour,
		ListenAddress: ":8080", AdminAddress: ":9090",
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

// Every violation is reported, at once, with its variable, value and rule.
func TestViolations(t *testing.T) {
	bad := map[string]string{
		"BUCKETNAME": "dicom/folder", "PREFIX": "a//b", "OBJECTSUFFIX": "/x", "WADOURL": "wado.example.org", "STORAGECLASS": "CHEAP", "LOGLEVEL": "LOUD",
		"RESPONSEDELAY": "soon", "THREADCOUNT": "0", "MEMORYBUDGET": "256MiB", "HEADWINDOW": "255MiB", "METADATALIMIT": "1KiB", "MINRATE": "fast", "MAXREQUESTS": "many",
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
		if variable != "MEMORYBUDGET" { // the measure of HEADWINDOW
			want = append(want, variable)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("violations differ (-want +got):\n%s\n%v", diff, err)
	}
	_, err = config.Load(map[string]string{"BUCKETNAME": "b", "MEMORYBUDGET": "1MiB"})
	if err == nil || !strings.HasPrefix(err.Error(), "MEMORYBUDGET") || strings.Contains(err.Error(), "HEADWINDOW") {
		t.Errorf("a budget too small is one violation: got error %v", err)
	}
	if _, err := config.Load(nil); err == nil || !strings.Contains(err.Error(), "BUCKETNAME") {
		t.Errorf("without BUCKETNAME: got error %v", err)
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

// The table of docs/design.md is that of the code.
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
