package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "stowrs-to-s3/infra/config" // config.go, which is tested here, does this too
)

// The lines that the installation guide tells people to edit.
func TestShippedLiteral(t *testing.T) {
	source, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"\t\t\tAuthMode: Anonymous,\n", "\t\t\tCertificateMode: ACM,\n", "\t\t\tCertificateArn: \"\",\n", "\t\t\tCertificateBucket: \"stowrstos3-certs\",\n",
		"\t\t\tAllowedPeers: []string{\n\t\t\t\t\"0.0.0.0/0\",\n\t\t\t},\n",
	} {
		if got := strings.Count(string(source), line); got != 1 {
			t.Errorf("config.go has %q %d times, want once", line, got)
		}
	}
}

// Apps that import the constructs start from Default, which must equal the literal.
func TestLiteralIsTheDefault(t *testing.T) {
	t.Setenv("CDK_DEFAULT_REGION", "")
	if diff := cmp.Diff(Default(), configuration()); diff != "" {
		t.Errorf("config.go differs from config/default.go (-default +literal):\n%s", diff)
	}
}

func TestRegion(t *testing.T) {
	t.Setenv("CDK_DEFAULT_REGION", "")
	c := configuration()
	if _, violations := Validate(c); c.Region != "" || !slices.ContainsFunc(violations, func(v Violation) bool { return v.Field == "Region" }) {
		t.Errorf("without CDK_DEFAULT_REGION: got region %q and violations %v, want that a region is missing", c.Region, violations)
	}
	t.Setenv("CDK_DEFAULT_REGION", "eu-central-1")
	if got := configuration().Region; got != "eu-central-1" {
		t.Errorf("with CDK_DEFAULT_REGION: got region %q, want eu-central-1", got)
	}
}

// stackVariables are set by the stack; the comment of AppEnv gives the reasons.
func stackVariables() []string {
	return []string{"BUCKETNAME", "LISTENADDRESS", "ADMINADDRESS", "TRUSTEDPROXY"}
}

// Every variable of the service has a field, or is set by the stack.
func TestEveryVariableHasAField(t *testing.T) {
	table := section(t, "../docs/design.md", "## Environment of the service")
	var want []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z0-9, ]+) \|`).FindAllStringSubmatch(table, -1) {
		want = append(want, strings.Split(row[1], ", ")...)
	}
	got := stackVariables()
	for field := range reflect.TypeFor[AppEnv]().Fields() {
		got = append(got, field.Tag.Get("env"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variables differ (-docs/design.md +AppEnv and the stack):\n%s", diff)
	}
}

func TestVariables(t *testing.T) {
	env := configuration().Service.App.Env
	env.Prefix, env.CORSOrigins, env.StrictAccept = "instance1", []string{"https://a.example.org", "https://b.example.org"}, true
	env.MaxInstanceSize = 3*GiB + 1
	want := map[string]string{
		"PREFIX": "instance1", "LOGLEVEL": "WARNING", "RESPONSEDELAY": "0s", "THREADCOUNT": "0", "RETRYTIME": "1m0s", "MEMORYBUDGET": "1GiB", "HEADWINDOW": "32MiB",
		"METADATALIMIT": "16MiB", "MINRATE": "16KiB", "MAXREQUESTS": "512", "MAXINSTANCESIZE": "3221225473", "MAXREQUESTSIZE": "0", "ONDUPLICATE": "overwrite",
		"STRICTACCEPT": "true", "CORSORIGINS": "https://a.example.org,https://b.example.org", "STOPTIMEOUT": "1m50s", "SWEEPAGE": "30m0s", "PPROF": "false",
	}
	if diff := cmp.Diff(want, env.Variables()); diff != "" {
		t.Errorf("environment differs (-want +got):\n%s", diff)
	}
	if got := (2 * GiB).String(); got != "2GiB" {
		t.Errorf("2 GiB is written %q", got)
	}
}

// The table in docs/aws.md contains every field that can be edited, in the order of the literal, with its default.
func TestParametersAreDocumented(t *testing.T) {
	var documented [][2]string
	table := section(t, "../docs/aws.md", "## Parameters of the AWS deployment")
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Za-z.]+)` \\| (.+) \\| (.+) \\| `(.+)` \\|$").FindAllStringSubmatch(table, -1) {
		documented = append(documented, [2]string{row[1], row[4]})
	}
	shipped := shippedDefaults(t)
	if diff := cmp.Diff(shipped, documented); diff != "" {
		t.Errorf("parameters differ (-config.go +docs/aws.md):\n%s", diff)
	}
	var fields, written []string
	leaves(reflect.TypeFor[Config](), "", &fields)
	for _, parameter := range shipped {
		written = append(written, parameter[0])
	}
	slices.Sort(fields)
	slices.Sort(written)
	if diff := cmp.Diff(fields, written); diff != "" {
		t.Errorf("the literal does not show every field (-types +literal):\n%s", diff)
	}
}

// shippedDefaults are path and Go source of each field in the literal of config.go.
func shippedDefaults(t *testing.T) [][2]string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "config.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var defaults [][2]string
	var walk func(literal *ast.CompositeLit, path string)
	walk = func(literal *ast.CompositeLit, path string) {
		for _, element := range literal.Elts {
			pair := element.(*ast.KeyValueExpr)
			name := path + pair.Key.(*ast.Ident).Name
			nested, isLiteral := pair.Value.(*ast.CompositeLit)
			if isLiteral {
				if _, isStruct := nested.Type.(*ast.Ident); isStruct {
					walk(nested, name+".")
					continue
				}
			}
			var b bytes.Buffer
			if err := printer.Fprint(&b, fset, pair.Value); err != nil {
				t.Fatal(err)
			}
			text := regexp.MustCompile(`,?\n\t*`).ReplaceAllString(b.String(), "")
			defaults = append(defaults, [2]string{name, text})
		}
	}
	for _, declaration := range file.Decls {
		if function, is := declaration.(*ast.FuncDecl); is && function.Name.Name == "configuration" {
			walk(function.Body.List[0].(*ast.ReturnStmt).Results[0].(*ast.CompositeLit), "")
		}
	}
	return defaults
}

// leaves collects the paths of all fields that are not structs.
func leaves(t reflect.Type, path string, paths *[]string) {
	for field := range t.Fields() {
		if field.Type.Kind() == reflect.Struct {
			leaves(field.Type, path+field.Name+".", paths)
			continue
		}
		*paths = append(*paths, path+field.Name)
	}
}

// section is the text of a document below a heading, to the next one of its rank.
func section(t *testing.T, file, heading string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), heading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", file, heading)
	}
	before, _, _ := strings.Cut(after, "\n## ")
	return before
}
