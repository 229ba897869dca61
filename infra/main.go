// Command infra describes the AWS deployment of stowrs-to-s3 for the cdk CLI. The configuration is in config.go, and the constructs are
// in the folder stowrs.
package main

import (
	"fmt"
	"os"

	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/stowrs"
)

func main() {
	err := stowrs.Synth(environments(), nil)
	jsii.Close()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\n"+err.Error())
		os.Exit(1)
	}
}
