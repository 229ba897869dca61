// Package documents tests that the documents of the repository are correct: links, licenses, and names of tests.
package documents

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// notOurs are folders with files of others, or with results of runs.
var notOurs = []string{".git", "node_modules", ".venv", "bin", "data", "testdata"}

func documents(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(notOurs, d.Name()):
			return fs.SkipDir
		case filepath.Ext(path) == ".md":
			found = append(found, path)
		}
		return nil
	})
	if err != nil || len(found) < 10 {
		t.Fatalf("found %q, error %v", found, err)
	}
	return found
}

var (
	link      = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	indented  = regexp.MustCompile("(?m)^    .*$|`[^`\n]*`") // code blocks and quoted code
	unslugged = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors returns the anchors that GitHub gives to the headings of a document.
func anchors(document string) []string {
	var all []string
	for _, h := range heading.FindAllStringSubmatch(document, -1) {
		all = append(all, strings.ReplaceAll(unslugged.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return all
}

// Every link within the repository leads to an existing file and, if it names one, to an existing heading.
func TestLinks(t *testing.T) {
	count := 0
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range link.FindAllStringSubmatch(indented.ReplaceAllString(string(text), ""), -1) {
			file, anchor, _ := strings.Cut(l[1], "#")
			if strings.Contains(file, "://") || strings.HasPrefix(file, "mailto:") {
				continue
			}
			count++
			target := document
			if file != "" {
				target = filepath.Join(filepath.Dir(document), file)
			}
			linked, err := os.ReadFile(target)
			if info, statErr := os.Stat(target); statErr == nil && info.IsDir() {
				err = nil
			}
			if err != nil {
				t.Errorf("%s links to %s: %v", document, l[1], err)
			} else if anchor != "" && !slices.Contains(anchors(string(linked)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", document, l[1])
			}
		}
	}
	if count < 50 {
		t.Errorf("only %d links were found", count)
	}
}

// docs/README.md lists all documents of its folder.
func TestDocumentsAreListed(t *testing.T) {
	contents, err := os.ReadFile(filepath.Join(root, "docs", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range documents(t) {
		if name := filepath.Base(document); filepath.Base(filepath.Dir(document)) == "docs" && name != "README.md" && !strings.Contains(string(contents), "]("+name+")") {
			t.Errorf("docs/README.md does not list %s", name)
		}
	}
}
