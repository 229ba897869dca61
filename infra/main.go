// Command infra describes the AWS deployment of stowrs-to-s3 for the cdk CLI. What is deployed is said in config.go,
// what it is made of in stack.go, and each part in the file of its name.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	defer jsii.Close()
	cfg := configuration()
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
	app := awscdk.NewApp(nil) // the CLI brings the feature flags of cdk.json
	newStack(app, cfg)
	app.Synth(nil)
}
