// Command infra describes the AWS deployment of stowrs-to-s3 for the cdk CLI. What is deployed is said in config.go,
// what it is made of in stack.go, and each part in the file of its name.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil) // the CLI brings the feature flags of cdk.json, and -c
	chosen, _ := app.Node().TryGetContext(jsii.String("environment")).(string)
	cfg, err := choose(environments(), chosen)
	if err != nil {
		fmt.Fprintln(os.Stderr, "\n"+err.Error())
		os.Exit(1)
	}
	warnings, violations := Validate(cfg)
	for _, warning := range warnings {
		fmt.Fprintln(os.Stderr, "\nWARNING: "+warning)
	}
	if len(violations) > 0 {
		fmt.Fprintln(os.Stderr, "\ninfra/config.go cannot be deployed:")
		for _, violation := range violations {
			fmt.Fprintln(os.Stderr, "  "+violation.Error())
		}
		os.Exit(1)
	}
	newStack(app, cfg)
	app.Synth(nil)
}

// choose is the configuration of the environment that -c environment=NAME names; with a single one nothing has to be named.
func choose(environments map[string]Config, name string) (Config, error) {
	names := slices.Sorted(maps.Keys(environments))
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	cfg, found := environments[name]
	if !found {
		return Config{}, fmt.Errorf("-c environment=%s: infra/config.go has %s; choose one of them, as in: cdk deploy -c environment=%s", name, strings.Join(names, ", "), names[0])
	}
	return cfg, nil
}
