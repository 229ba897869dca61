package documents

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testName    = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	testFolder  = regexp.MustCompile("^(?:app|infra|local|nginx|kubernetes)(?:/[a-z0-9]+)*$")
	declaration = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
)

// testsBelow returns the names of all tests and fuzz targets in a folder and below it.
func testsBelow(t *testing.T, folder string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, f := range declaration.FindAllStringSubmatch(string(source), -1) {
			names[f[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Each threat of SECURITY.md names tests, and each of them exists: in the folder before its name, or in that of the previous name.
func TestThreatsHaveTests(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(document), "| threat | where it is stopped | test |\n|---|---|---|\n")
	if !found {
		t.Fatal("SECURITY.md has no table of threats")
	}
	threats := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 {
			t.Fatalf("not a row of three cells: %s", line)
		}
		if strings.HasPrefix(strings.TrimSpace(cells[0]), "**") { // the title of a group
			continue
		}
		threats++
		names := 0
		var folder string
		for item := range strings.SplitSeq(cells[2], ",") {
			if word, _, _ := strings.Cut(strings.TrimSpace(item), " "); testFolder.MatchString(word) {
				folder = word
			}
			for _, name := range testName.FindAllStringSubmatch(item, -1) {
				names++
				if !testsBelow(t, folder)[name[1]] {
					t.Errorf("SECURITY.md names %s of %q, which is not there", name[1], folder)
				}
			}
		}
		if reason := strings.TrimSpace(cells[2]); names == 0 && !strings.HasPrefix(reason, "no test: ") && !strings.HasPrefix(reason, "no Go test: ") {
			t.Errorf("no test is named, and no reason why there is none: %s", line)
		}
	}
	if threats < 30 {
		t.Errorf("only %d threats were found", threats)
	}
}
