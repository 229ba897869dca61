package stowrs

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/infra/config"
)

var update = flag.Bool("update", false, "rewrite the golden templates in infra/testdata/templates")

// Every change of a template changes a golden file, so a review sees it in the form for CloudFormation.
func TestGoldenTemplates(t *testing.T) {
	each(t, func(t *testing.T, got template, _ config.Config) {
		file := filepath.Join("..", "testdata", "templates", filepath.Base(t.Name())+".json")
		if *update {
			if err := os.WriteFile(file, got.text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.text, want) {
			t.Errorf("differs from %s; if it should, run go test ./infra -run TestGolden -update and look at git diff (-want +got):\n%s", file, cmp.Diff(string(want), string(got.text)))
		}
	})
}
