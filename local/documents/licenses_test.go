package documents

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/licensecheck"
)

// Licenses that only require a user of the binaries to pass them on.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// licensesOf returns the licenses of all modules, except our own, in the program of a folder.
func licensesOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", ".")
	list.Dir, list.Env = filepath.Join(root, folder), append(os.Environ(), "GOWORK=off")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	licenses := map[string]string{}
	for line := range strings.Lines(string(out)) {
		module, dir, found := strings.Cut(strings.TrimSpace(line), " ")
		if found && licenses[module] == "" {
			licenses[module] = licenseOf(t, dir)
		}
	}
	return licenses
}

// licenseOf recognises the licenses of a module by the text of its license files.
func licenseOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[Ll][Ii][Cc][Ee][Nn][SsCc][Ee]*"))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range licensecheck.Scan(text).Match {
			ids[match.ID] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(ids)), ", ")
}

// docs/licenses.md lists the license of each module in the two binaries, and all of them are allowed.
// With UPDATE=1, as in make licenses, the list is written.
func TestLicenses(t *testing.T) {
	var want strings.Builder
	fmt.Fprintf(&want, "# Licenses\n\nThis project is under the [Apache License 2.0](../LICENSE). Its two programs are made of these modules besides, by the text of their license files. `make licenses` writes the list,\nand a test holds it to what is built; it refuses licenses other than %s.\n", strings.Join(allowed, ", "))
	for _, program := range []struct{ folder, name string }{{"app", "stowrs"}, {"nginx", "certsync"}} {
		fmt.Fprintf(&want, "\n## %s\n\n| module | license |\n|---|---|\n", program.name)
		licenses := licensesOf(t, program.folder)
		if len(licenses) < 10 {
			t.Errorf("%s: only %d modules were found", program.folder, len(licenses))
		}
		for _, module := range slices.Sorted(maps.Keys(licenses)) {
			fmt.Fprintf(&want, "| %s | %s |\n", module, licenses[module])
			for id := range strings.SplitSeq(licenses[module], ", ") {
				if !slices.Contains(allowed, id) {
					t.Errorf("%s: the license of %s is %q", program.folder, module, id)
				}
			}
		}
	}
	path := filepath.Join(root, "docs", "licenses.md")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want.String() {
		t.Errorf("docs/licenses.md is not what is built: make licenses writes it (error %v)", err)
	}
}
