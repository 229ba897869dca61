package stowrs_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
	"stowrs-to-s3/infra/stowrs"
)

// hospital is the configuration in another app: the defaults, with an image of its own pipeline, and its senders.
func hospital() config.Config {
	c := config.Default()
	c.Certificate.CertificateArn = "arn:aws:acm:eu-central-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
	c.LoadBalancer.AllowedPeers = []string{"198.51.100.0/24"}
	c.Network.AvailabilityZones = []string{"eu-central-1a", "eu-central-1b"}
	c.Service.App.Image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/stowrs@sha256:" + strings.Repeat("0", 64)
	c.Service.Nginx.Image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/stowrs-nginx@sha256:" + strings.Repeat("1", 64)
	return c
}

// Another app has a stack with a role of its viewer. It adds the deployment to this stack, and lets the role read what is stored.
func ExampleNew() {
	folder, err := os.MkdirTemp("", "cdk.out") // a real app leaves that to the cdk CLI
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(folder)})
	imaging := awscdk.NewStack(app, jsii.String("Imaging"), &awscdk.StackProps{
		Env: &awscdk.Environment{Account: jsii.String("123456789012"), Region: jsii.String("eu-central-1")},
	})
	viewer := awsiam.NewRole(imaging, jsii.String("Viewer"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("ecs-tasks.amazonaws.com"), nil),
	})

	archive, err := stowrs.New(imaging, "Archive", hospital())
	if err != nil {
		fmt.Println(err)
		return
	}
	archive.Storage.Dicom.GrantRead(viewer, nil)

	template := app.Synth(nil).GetStackByName(jsii.String("Imaging")).Template().(map[string]any)
	resources := template["Resources"].(map[string]any)
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		switch resource := fmt.Sprint(resources[id]); {
		case strings.HasSuffix(resource, "Type:AWS::ECS::Service]"), strings.HasPrefix(id, "Viewer") && strings.Contains(resource, "s3:GetObject* s3:GetBucket* s3:List*"):
			fmt.Println(id[:len(id)-8])
		}
	}

	// A configuration that cannot be deployed is described in words.
	elsewhere := hospital()
	elsewhere.Region = "eu-west-1"
	_, err = stowrs.New(imaging, "Elsewhere", elsewhere)
	fmt.Println(err)
	// Output:
	// ArchiveService
	// ViewerDefaultPolicy
	// this configuration cannot be deployed:
	//   Region = "eu-west-1": must be that of the stack Imaging, which has eu-central-1
	//     give the stack an Env with it, and write nothing or the same
}

// A stage of a pipeline deploys a stack in the account and region of the stage.
func ExampleNewStack() {
	folder, err := os.MkdirTemp("", "cdk.out")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(folder)})
	for _, account := range []string{"123456789012", "210987654321"} {
		stage := awscdk.NewStage(app, jsii.String("In"+account), &awscdk.StageProps{
			Env: &awscdk.Environment{Account: jsii.String(account), Region: jsii.String("eu-central-1")},
		})
		archive, err := stowrs.NewStack(stage, hospital())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(*archive.Stack.StackName(), "in", *archive.Stack.Account())
	}
	app.Synth(nil)
	// Output:
	// stowrs-to-s3 in 123456789012
	// stowrs-to-s3 in 210987654321
}
