package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// newStack is the architecture: what there is, and what knows of what. The stack has the name AppName, with which
// CloudFormation begins the names that it generates. Its account is that of the credentials it is deployed with.
func newStack(scope constructs.Construct, cfg Config) awscdk.Stack {
	tags := map[string]*string{"deployment": jsii.String(cfg.AppName)}
	for key, value := range cfg.ResourceTags {
		tags[key] = jsii.String(value)
	}
	stack := awscdk.NewStack(scope, jsii.String(cfg.AppName), &awscdk.StackProps{
		Description:           jsii.String("STOW-RS (DICOM PS3.18) to Amazon S3"),
		Env:                   deployedTo(cfg),
		TerminationProtection: jsii.Bool(cfg.Protection),
		Tags:                  &tags, // of the stack itself
	})
	lookUpNoZones(stack, cfg)
	for key, value := range tags {
		awscdk.Tags_Of(stack).Add(jsii.String(key), value, nil) // of what is in it
	}

	if arn := cfg.PermissionsBoundary; arn != "" {
		boundary := awsiam.ManagedPolicy_FromManagedPolicyArn(stack, jsii.String("PermissionsBoundary"), jsii.String(arn))
		awsiam.PermissionsBoundary_Of(stack).Apply(boundary)
	}
	records := newRecordsKey(stack, cfg)
	logs := newLogs(stack, cfg, records)
	storage := newStorage(stack, cfg, records)
	if cfg.makesTrail() {
		newTrail(stack, cfg, storage, logs, records)
	}
	network := newNetwork(stack, cfg.Network, cfg.LoadBalancer.Scheme, logs.Flows)
	endpoints := newEndpoints(stack, cfg, network, storage)
	loadBalancer := newLoadBalancer(stack, cfg, network, storage.AccessLogs)
	newRecord(stack, cfg, loadBalancer)
	service := newService(stack, cfg, network, storage, logs, loadBalancer, endpoints)
	newObservability(stack, cfg, logs, storage, service, loadBalancer, records)
	newOutputs(stack, cfg, network, storage, logs, loadBalancer, service)
	suppress(stack, cfg)
	return stack
}

// deployedTo is the account and region of the stack.
func deployedTo(cfg Config) *awscdk.Environment {
	env := &awscdk.Environment{Region: jsii.String(cfg.Region)}
	if cfg.Account != "" {
		env.Account = jsii.String(cfg.Account)
	}
	return env
}
