package main

import (
	"os/exec"
	"strings"
	"testing"
)

// floors are the packages from the ground up. Each imports of this module only what is below it (docs/design.md, Rooms).
var floors = []string{
	"memory related storeresponse dicom compose/metadata compose/bulkdata",
	"compose s3store",
	"stow config",
	"server client",
}

func TestImportsPointDown(t *testing.T) {
	floor := map[string]int{}
	for n, names := range floors {
		for name := range strings.FieldsSeq(names) {
			floor[name] = n
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
		if importer == strings.TrimSuffix(module, "/") || importer == "s3test" {
			continue
		}
		above, known := floor[importer]
		if !known {
			t.Errorf("%s has no floor", importer)
		}
		seen++
		for _, imported := range fields[1:] {
			name, own := strings.CutPrefix(imported, module)
			if below, known := floor[name]; own && (!known || below >= above) {
				t.Errorf("%s imports %s, which is not below it", importer, name)
			}
		}
	}
	if want := strings.Count(strings.Join(floors, " "), " ") + 1; seen != want {
		t.Errorf("%d packages, want %d", seen, want)
	}
}
