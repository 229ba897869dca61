// Package stowrs is the AWS deployment as CDK constructs: NewStack creates a separate stack, as infra and stages of a pipeline need it; New
// adds the constructs to an existing stack. Package config says what is deployed.
//
// Each part is a construct with its own id, so that logical ids say what they belong to and two deployments in one stack do not collide:
//
//	Storage        buckets and the KMS keys that encrypt them
//	Network        the VPC, or the parts of an existing one, and the connections from the tasks to AWS
//	Front          the load balancer, its certificate and its name
//	Service        the Fargate service, with nginx and the app, and their logs
//	Observability  the trail, metrics, alarms, the dashboard, and messages about changes
//
// The ids of Storage, of log groups and of the trail's bucket must not change: CloudFormation would replace the resources that hold the archive.
package stowrs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// Deployment is what was created, so that others can add to it: a viewer that reads Storage.Dicom, an alarm of Service.Fargate.
type Deployment struct {
	Stack         awscdk.Stack
	Storage       Storage
	Network       Network
	Front         Front
	Service       Service
	Observability Observability
}

// NewStack creates a stack with the name AppName, in an app or a stage of a pipeline, whose region and account it uses if the configuration
// has none. For a configuration that cannot be deployed, the error is a config.Violations, and the scope is not changed; other errors of CDK are returned
// with their text. Nothing panics.
func NewStack(scope constructs.Construct, cfg config.Config) (Deployment, error) {
	return described(func(d *Deployment) config.Violations {
		stage, is := scope.(awscdk.Stage)
		if !is {
			stage = awscdk.Stage_Of(scope) // of a stage: the one around it
		}
		if stage != nil {
			take(&cfg.Region, stage.Region())
			take(&cfg.Account, stage.Account())
		}
		if _, violations := config.Validate(cfg); len(violations) > 0 {
			return violations
		}
		env := &awscdk.Environment{Region: jsii.String(cfg.Region)}
		if cfg.Account != "" {
			env.Account = jsii.String(cfg.Account)
		}
		d.Stack = awscdk.NewStack(scope, jsii.String(cfg.AppName), &awscdk.StackProps{
			StackName:             jsii.String(cfg.AppName), // also in a stage, which would add its own name in front
			Description:           jsii.String("STOW-RS (DICOM PS3.18) to Amazon S3"),
			Env:                   env,
			TerminationProtection: jsii.Bool(cfg.Protection),
			Tags:                  tags(cfg), // of the stack itself
		})
		return d.build(d.Stack, "", cfg)
	})
}

// New adds a deployment to an existing stack, below a construct of this id. The stack names its region, which the configuration need not
// repeat, nor the account. Protection applies only to the load balancer: termination protection belongs to the stack. Errors are as those of NewStack.
// Each deployment in one account and region needs its own AppName, because the names of trail, keys and alarms begin with it; and each
// in one stack its own Storage.DicomBucket, because the name ends in the stack's id.
func New(scope constructs.Construct, id string, cfg config.Config) (Deployment, error) {
	return described(func(d *Deployment) config.Violations {
		d.Stack = awscdk.Stack_Of(scope)
		take(&cfg.Region, d.Stack.Region())
		take(&cfg.Account, d.Stack.Account())
		if elsewhere := elsewhere(d.Stack, cfg); len(elsewhere) > 0 {
			return elsewhere
		}
		if _, violations := config.Validate(cfg); len(violations) > 0 {
			return violations
		}
		return d.build(scope, id, cfg)
	})
}

// described is a deployment, or the errors of its configuration.
func described(describe func(*Deployment) config.Violations) (Deployment, error) {
	var made Deployment
	var violations config.Violations
	if err := guard(func() { violations = describe(&made) }); err != nil {
		return Deployment{}, err
	}
	if len(violations) > 0 {
		return Deployment{}, violations
	}
	return made, nil
}

// take fills in what is known about the place of the stack.
func take(field, known *string) {
	if *field == "" && known != nil && !*awscdk.Token_IsUnresolved(known) {
		*field = *known
	}
}

// elsewhere returns statements of the configuration about the place of the stack that are wrong.
func elsewhere(stack awscdk.Stack, cfg config.Config) (violations config.Violations) {
	for _, of := range []struct {
		field, value string
		is           *string
	}{{"Region", cfg.Region, stack.Region()}, {"Account", cfg.Account, stack.Account()}} {
		unknown := *awscdk.Token_IsUnresolved(of.is)
		if of.value == *of.is || unknown && of.field == "Account" {
			continue
		}
		is := "has " + *of.is
		if unknown {
			is = "names none"
		}
		violations = append(violations, config.Violation{
			Field: of.field, Value: fmt.Sprintf("%q", of.value), Rule: fmt.Sprintf("must be that of the stack %s, which %s", *stack.StackName(), is),
			Do: "give the stack an Env with it, and write nothing or the same",
		})
	}
	return violations
}

// build is the architecture: the parts, and their connections. It is below a construct of the id, or in the scope itself.
func (d *Deployment) build(scope constructs.Construct, id string, cfg config.Config) config.Violations {
	if _, err := executionRole(d.Stack); err != nil && len(cfg.Audit.KeyAdministrators) > 0 {
		return config.Violations{{
			Field: "Audit.KeyAdministrators", Value: fmt.Sprintf("%q", cfg.Audit.KeyAdministrators),
			Rule: "needs the name of the role with which CloudFormation deploys, and a synthesizer that is made in Go does not tell it",
			Do:   "put the qualifier into the context @aws-cdk/core:bootstrapQualifier instead, or leave KeyAdministrators empty",
		}}
	}
	lookUpNoZones(d.Stack, cfg)
	if id != "" {
		scope = newScope(scope, id)
	}
	for _, flag := range flags() {
		scope.Node().SetContext(jsii.String(flag), true)
	}
	warnings, _ := config.Validate(cfg)
	for _, warning := range warnings {
		awscdk.Annotations_Of(scope).AddWarningV2(jsii.String(warning.ID), jsii.String(warning.Text))
	}
	for key, value := range *tags(cfg) {
		awscdk.Tags_Of(scope).Add(jsii.String(key), value, nil)
	}
	if arn := cfg.PermissionsBoundary; arn != "" {
		boundary := awsiam.ManagedPolicy_FromManagedPolicyArn(scope, jsii.String("PermissionsBoundary"), jsii.String(arn))
		awsiam.PermissionsBoundary_Of(scope).Apply(boundary)
	}
	d.Storage = newStorage(scope, cfg)
	d.Network = newNetwork(scope, cfg, d.Storage)
	d.Front = newFront(scope, cfg, d.Network, d.Storage.AccessLogs)
	d.Service = newService(scope, cfg, d.Network, d.Storage, d.Front)
	d.Observability = newObservability(scope, cfg, d.Storage, d.Service, d.Front)
	newOutputs(scope, cfg, *d)
	suppress(scope, cfg)
	return nil
}

// flags are the feature flags of CDK without which the deployment would differ or fail. They are set here, so that it is the same in an
// app with other flags.
func flags() []string {
	return []string{
		"@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy", // of buckets without access lists
		"@aws-cdk/aws-iam:minimizePolicies",
		"@aws-cdk/aws-ecs:disableExplicitDeploymentControllerForCircuitBreaker",
		"@aws-cdk/aws-ecs:removeDefaultDeploymentAlarm",
		"@aws-cdk/core:enablePartitionLiterals",
	}
}

// newScope is a construct that holds others.
func newScope(scope constructs.Construct, id string) constructs.Construct {
	return constructs.NewConstruct(scope, jsii.String(id))
}

// tags are those of every resource.
func tags(cfg config.Config) *map[string]*string {
	tags := map[string]*string{"deployment": jsii.String(cfg.AppName)}
	for key, value := range cfg.ResourceTags {
		tags[key] = jsii.String(value)
	}
	return &tags
}
