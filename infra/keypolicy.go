package main

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// keyPolicy keeps the administration of a key apart from its use: KeyAdministrators, CloudFormation and the root user administer it, and IAM
// policies decide who else uses it. Nil without KeyAdministrators: IAM policies then decide about both, as KMS has it by default.
//
// Both statements name the account, and its roles in a condition. A role that is deleted and made again goes on to be an administrator, which
// it would not as a principal, and one that is not there does not fail the deployment. Each role needs IAM policies for what it does besides.
//
// Nobody is locked out: the root user can always give the key another policy. CloudFormation has to be among the administrators, since KMS
// refuses a policy with which whoever sets it could not change it again, and since later deployments change it.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
func keyPolicy(scope constructs.Construct, cfg Config) awsiam.PolicyDocument {
	if len(cfg.Audit.KeyAdministrators) == 0 {
		return nil
	}
	stack := awscdk.Stack_Of(scope)
	rootUser := stack.FormatArn(&awscdk.ArnComponents{ // as aws:PrincipalArn the user alone, and not the account
		Service: jsii.String("iam"), Region: jsii.String(""), Resource: jsii.String("root"), ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME,
	})
	statement := func(sid string, actions []string, operator string, roles []*string) awsiam.PolicyStatement {
		s := allow(sid, actions, jsii.String("*")) // in a key's policy: this key
		s.AddPrincipals(awsiam.NewAccountRootPrincipal())
		s.AddCondition(jsii.String(operator), map[string]any{"aws:PrincipalArn": roles})
		return s
	}
	administrators := *jsii.Strings(cfg.Audit.KeyAdministrators...)
	// No kms:CreateGrant, which would be a way to use the key.
	administer := statement("Administer", []string{
		"kms:Describe*", "kms:Get*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Enable*", "kms:Disable*", "kms:RevokeGrant", "kms:CreateAlias", "kms:DeleteAlias",
		"kms:TagResource", "kms:UntagResource", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
	}, "ArnEquals", append(administrators, rootUser, executionRole(stack)))
	use := statement("Use", []string{
		"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*",
		"kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListKeyPolicies", "kms:ListResourceTags", "kms:ListGrants", // to look at it
	}, "ArnNotEquals", *jsii.Strings(cfg.Audit.KeyAdministrators...))
	return awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &[]awsiam.PolicyStatement{administer, use}})
}

// executionRole is the role with which CloudFormation deploys, as `cdk bootstrap` makes it. A deployment with --role-arn, or with the
// credentials of somebody, has another one, which has to be in KeyAdministrators.
func executionRole(stack awscdk.Stack) *string {
	qualifier := *awscdk.DefaultStackSynthesizer_DEFAULT_QUALIFIER()
	if custom, is := stack.Node().TryGetContext(jsii.String("@aws-cdk/core:bootstrapQualifier")).(string); is {
		qualifier = custom
	}
	return awscdk.Fn_Sub(jsii.String(strings.ReplaceAll(*awscdk.DefaultStackSynthesizer_DEFAULT_CLOUDFORMATION_ROLE_ARN(), "${Qualifier}", qualifier)), nil)
}
