package stowrs

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// foreignApp is another app, without our cdk.json, and with its own context.
func foreignApp(t *testing.T, context map[string]any) awscdk.App {
	t.Helper()
	return awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(t.TempDir()), Context: &context})
}

// foreignStack is a stack of another app, with a resource in it.
func foreignStack(app awscdk.App, region *string) awscdk.Stack {
	stack := awscdk.NewStack(app, jsii.String("Imaging"), &awscdk.StackProps{Env: &awscdk.Environment{Region: region, Account: jsii.String("123456789012")}})
	awssns.NewTopic(stack, jsii.String("Theirs"), nil)
	return stack
}

// resources are those of a stack, in the form for CloudFormation.
func resources(app awscdk.App, stack awscdk.Stack) any {
	return app.Synth(nil).GetStackByName(stack.StackName()).Template().(map[string]any)["Resources"]
}

// In an app with other feature flags, or without any, the deployment is the same.
func TestFlagsOfOthersChangeNothing(t *testing.T) {
	for _, name := range []string{acm, everything, internal} {
		app := foreignApp(t, map[string]any{"@aws-cdk/aws-iam:minimizePolicies": false, "@aws-cdk/aws-s3:createDefaultLoggingPolicy": false})
		made, err := NewStack(app, deployments()[name])
		if err != nil {
			t.Fatal(err)
		}
		var golden struct{ Resources any }
		if err := json.Unmarshal(of(t, name).text, &golden); err != nil {
			t.Fatal(err)
		}
		if got := imageHash.ReplaceAllString(text(resources(app, made.Stack)), ":ASSET"); got != text(golden.Resources) {
			t.Errorf("%s is another deployment", name)
		}
	}
}

// Two deployments fit into one stack of another app, each below its id and with its own tags; the resources that existed before get none of them.
func TestTwoInAForeignStack(t *testing.T) {
	app := foreignApp(t, nil)
	stack := foreignStack(app, jsii.String("us-east-1"))
	for _, name := range []string{"north", "south"} {
		cfg := deployments()[mTLS]
		cfg.AppName, cfg.Region, cfg.Storage.DicomBucket = name, "", name+"-dicom"
		cfg.Network.AvailabilityZones = []string{"us-east-1b", "us-east-1c"}
		if _, err := New(stack, name, cfg); err != nil {
			t.Fatal(err)
		}
	}
	count := map[string]int{}
	for id, resource := range resources(app, stack).(map[string]any) {
		for _, name := range []string{"north", "south"} {
			if strings.HasPrefix(id, name) {
				count[name]++
			}
			if tagged := strings.Contains(text(resource), `{"Key":"deployment","Value":"`+name+`"}`); tagged && !strings.HasPrefix(id, name) {
				t.Errorf("%s has the tag of %s", id, name)
			}
		}
	}
	if want := len(of(t, mTLS).Resources); count["north"] != want || count["south"] != want {
		t.Errorf("got %v resources, want %d each", count, want)
	}
	// CloudWatch Logs names the log group when it uses the key; the names of log groups begin with the name of the stack.
	if key := text(resources(app, stack)); !strings.Contains(key, `:log-group:Imaging-*`) {
		t.Error("the records key is not for log groups of this stack")
	}
}

// If the stack or the app does not fit the configuration, the error says why.
func TestForeignStackThatDoesNotFit(t *testing.T) {
	for name, row := range map[string]struct {
		region *string
		edit   func(*config.Config)
		want   string
	}{
		"without a region":  {nil, func(*config.Config) {}, "must be that of the stack Imaging, which names none"},
		"another region":    {jsii.String("eu-west-1"), func(*config.Config) {}, "must be that of the stack Imaging, which has eu-west-1"},
		"another account":   {jsii.String("us-east-1"), func(c *config.Config) { c.Account = "210987654321" }, "which has 123456789012"},
		"nothing at all":    {jsii.String("us-east-1"), func(c *config.Config) { *c = config.Config{} }, "AppName"},
		"names that clash":  {jsii.String("us-east-1"), func(c *config.Config) { c.AppName = "" }, "AppName"},
		"an id that exists": {jsii.String("us-east-1"), func(c *config.Config) { c.AppName = "theirs" }, "There is already a Construct with name 'Theirs'"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := deployments()[acm]
			row.edit(&cfg)
			made, err := New(foreignStack(foreignApp(t, nil), row.region), "Theirs", cfg)
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), ".js") || made.Storage.Dicom != nil {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

// CDK's custom synthesizers: the role that deploys contains the qualifier, and the policies of keys must name it.
func TestQualifierOfOthers(t *testing.T) {
	for name, row := range map[string]struct {
		context     map[string]any
		synthesizer awscdk.StackSynthesizer
		want        string
		refused     string
	}{
		"of the context": {map[string]any{"@aws-cdk/core:bootstrapQualifier": "hospital"}, nil, "role/cdk-hospital-cfn-exec-role-", ""},
		"of the stack":   {nil, awscdk.NewDefaultStackSynthesizer(&awscdk.DefaultStackSynthesizerProps{Qualifier: jsii.String("imaging")}), "", "put the qualifier into the context"},
		"by hand":        {nil, awscdk.NewCliCredentialsStackSynthesizer(nil), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := foreignApp(t, row.context)
			props := &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String("us-east-1")}}
			if row.synthesizer != nil {
				props.Synthesizer = row.synthesizer
			}
			stack := awscdk.NewStack(app, jsii.String("Imaging"), props)
			_, err := New(stack, "Archive", deployments()[everything])
			if row.refused != "" {
				if err == nil || !strings.Contains(err.Error(), row.refused) {
					t.Errorf("got %v, want %s", err, row.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := text(resources(app, stack)); strings.Contains(got, "-cfn-exec-role-") != (row.want != "") || !strings.Contains(got, row.want) {
				t.Errorf("policies of keys do not name %q", row.want)
			}
		})
	}
}

// A single environment need not be named; of several, one must be chosen: -c gives text, cdk.json and cdk.context.json any value.
func TestEnvironments(t *testing.T) {
	one := map[string]config.Config{"default": {AppName: "a"}}
	two := map[string]config.Config{"production": {AppName: "a"}, "test": {AppName: "b"}}
	for _, row := range []struct {
		of   map[string]config.Config
		name any
		want string // AppName; empty: refused
	}{
		{one, nil, "a"}, {one, "default", "a"}, {one, "production", ""}, {one, "", ""}, {one, 7.0, ""}, {one, true, ""}, {one, []any{"default"}, ""}, {one, map[string]any{"default": true}, ""},
		{two, "test", "b"}, {two, nil, ""}, {two, "", ""}, {two, "tset", ""}, {two, "Test", ""}, {nil, nil, ""}, {nil, "default", ""},
	} {
		cfg, err := choose(row.of, row.name)
		if cfg.AppName != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%#v of %d: got %q, error %v, want %q", row.name, len(row.of), cfg.AppName, err, row.want)
		}
		if err != nil && row.of != nil && !strings.Contains(err.Error(), "cdk deploy -c environment=") {
			t.Errorf("%#v: the error does not say how: %v", row.name, err)
		}
	}
}

// With any value in any field, and any context, the result is a template or an error in words: never a panic, and never
// the stack trace of Node.js.
func TestWrongValuesEndInWords(t *testing.T) {
	check := func(t *testing.T, what string, cfg config.Config, context map[string]any) {
		t.Helper()
		folder := t.TempDir()
		err := Synth(map[string]config.Config{"default": cfg}, &awscdk.AppProps{Outdir: &folder, Context: &context})
		if err != nil && (strings.TrimSpace(err.Error()) == "" || strings.Contains(err.Error(), ".js:") || strings.Contains(err.Error(), "goroutine")) {
			t.Errorf("%s: %v", what, err)
		}
		if _, missing := os.Stat(folder + "/manifest.json"); (missing == nil) == (err != nil) {
			t.Errorf("%s: error %v, and there is a template: %v", what, err, missing == nil)
		}
	}
	cfg := deployments()[existing]
	walk(reflect.ValueOf(&cfg).Elem(), "", func(path string, field reflect.Value) {
		before := reflect.ValueOf(field.Interface())
		for _, wrong := range wrongValues(field) {
			field.Set(wrong)
			check(t, fmt.Sprintf("%s = %#v", path, wrong), cfg, nil)
		}
		field.Set(before)
	})
	for key, values := range map[string][]any{
		"environment":                                              {"", "other", 7, true, []any{}, map[string]any{}},
		"@aws-cdk/core:bootstrapQualifier":                         {7, "", "with space", map[string]any{}},
		"@aws-cdk/core:permissionsBoundary":                        {7, map[string]any{"name": 7}, map[string]any{}},
		"availability-zones:account=123456789012:region=us-east-1": {"us-east-1a", 7, []any{7}},
		"@aws-cdk/aws-iam:minimizePolicies":                        {"yes", 7, map[string]any{}},
		"aws:cdk:bundling-stacks":                                  {7, "x"},
	} {
		for _, value := range values {
			cfg := deployments()[acm]
			cfg.Account = "123456789012"
			check(t, fmt.Sprintf("context %s = %#v", key, value), cfg, map[string]any{key: value})
		}
	}
	if err := guard(func() { panic(errors.New("Error: it is so\n    at Object.x (/tmp/x.js:1:2)")) }); err == nil || err.Error() != "CDK refuses this: Error: it is so" {
		t.Errorf("got %v", err)
	}
}

// walk visits all fields that are not structs.
func walk(value reflect.Value, path string, visit func(path string, field reflect.Value)) {
	for i := range value.NumField() {
		field, name := value.Field(i), path+value.Type().Field(i).Name
		if field.Kind() == reflect.Struct {
			walk(field, name+".", visit)
			continue
		}
		visit(name, field)
	}
}

// wrongValues are values of the type of a field that are valid only in few fields.
func wrongValues(field reflect.Value) []reflect.Value {
	var values []any
	switch field.Kind() {
	case reflect.String:
		for _, s := range []string{" ", "${Token[TOKEN.7]}", "a\x00\xff日本\"", strings.Repeat("x", 2000)} {
			values = append(values, s)
		}
	case reflect.Int, reflect.Int64:
		values = []any{-1, math.MaxInt64, -1888154589708923199} // the last number is how CDK encodes a token
	case reflect.Slice:
		if field.Type().Elem().Kind() == reflect.String {
			values = []any{[]string{""}, []string{"x", "x"}, []string{"${Token[TOKEN.7]}"}}
		}
	case reflect.Map:
		values = []any{map[string]string{"": ""}, map[string]string{"a": "${Token[TOKEN.7]}"}, map[string]string{"A": "\x00"}}
	default:
	}
	var converted []reflect.Value
	for _, v := range values {
		converted = append(converted, reflect.ValueOf(v).Convert(field.Type()))
	}
	return converted
}
