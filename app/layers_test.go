package main

import (
	"os/exec"
	"strings"
	"testing"
)

// layers lists the packages from the bottom up. In this module, each package imports only packages of lower layers (docs/design.md, Packages).
var layers = []string{
	"memory trace related storeresponse dicom compose/metadata compose/bulkdata",
	"compose s3store commitment/references",
	"stow config",
	"commitment client",
	"server",
}

func TestImportsPointDown(t *testing.T) {
	layer := map[string]int{}
	for n, names := range layers {
		for name := range strings.FieldsSeq(names) {
			layer[name] = n
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "stowrs-to-s3/app/"
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		importer := strings.TrimPrefix(fields[0], module)
		if importer == strings.TrimSuffix(module, "/") || importer == "s3test" || importer == "dicomtest" {
			continue
		}
		above, known := layer[importer]
		if !known {
			t.Errorf("%s is in no layer", importer)
		}
		seen++
		for _, imported := range fields[1:] {
			name, own := strings.CutPrefix(imported, module)
			if below, known := layer[name]; own && (!known || below >= above) {
				t.Errorf("%s imports %s, which is not in a lower layer", importer, name)
			}
		}
	}
	if want := strings.Count(strings.Join(layers, " "), " ") + 1; seen != want {
		t.Errorf("%d packages, want %d", seen, want)
	}
}

// Packages for tests are not part of the program.
func TestProgramHasNoTestPackages(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if name == "testing" || strings.HasPrefix(name, "stowrs-to-s3/app/") && strings.HasSuffix(name, "test") {
			t.Errorf("the program imports %s", name)
		}
	}
}
