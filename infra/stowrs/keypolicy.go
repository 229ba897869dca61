package stowrs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// keyPolicy separates the administration of a key from its use: KeyAdministrators, CloudFormation and the root user administer it, and IAM
// policies decide who else uses it. Nil without KeyAdministrators: then IAM policies decide about both, which is the default of KMS.
//
// Both statements name the account, and its roles in a condition. A role that is deleted and created again is still an administrator, which
// it would not be as a principal, and a role that does not exist does not fail the deployment. Each role also needs IAM policies.
//
// Nobody is locked out: the root user can always give the key another policy. CloudFormation must be one of the administrators, because KMS
// refuses a policy that its author could not change again, and because later deployments change it.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
func keyPolicy(scope constructs.Construct, cfg config.Config) awsiam.PolicyDocument {
	if len(cfg.Audit.KeyAdministrators) == 0 {
		return nil
	}
	stack := awscdk.Stack_Of(scope)
	rootUser := stack.FormatArn(&awscdk.ArnComponents{ // as aws:PrincipalArn only the root user, not the account
		Service: jsii.String("iam"), Region: jsii.String(""), Resource: jsii.String("root"), ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME,
	})
	statement := func(sid string, actions []string, operator string, roles []*string) awsiam.PolicyStatement {
		s := allow(sid, actions, jsii.String("*")) // in a key's policy: this key
		s.AddPrincipals(awsiam.NewAccountRootPrincipal())
		s.AddCondition(jsii.String(operator), map[string]any{"aws:PrincipalArn": roles})
		return s
	}
	administrators := append(*jsii.Strings(cfg.Audit.KeyAdministrators...), rootUser)
	if role, _ := executionRole(stack); role != nil {
		administrators = append(administrators, role)
	}
	// No kms:CreateGrant, because a grant would allow use of the key.
	administer := statement("Administer", []string{
		"kms:Describe*", "kms:Get*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Enable*", "kms:Disable*", "kms:RevokeGrant", "kms:CreateAlias", "kms:DeleteAlias",
		"kms:TagResource", "kms:UntagResource", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
	}, "ArnEquals", administrators)
	use := statement("Use", []string{
		"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*",
		"kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListKeyPolicies", "kms:ListResourceTags", "kms:ListGrants", // to look at it
	}, "ArnNotEquals", *jsii.Strings(cfg.Audit.KeyAdministrators...))
	return awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &[]awsiam.PolicyStatement{administer, use}})
}

// executionRole is the role with which CloudFormation deploys, as `cdk bootstrap` creates it with the qualifier of the stack. It is nil if the stack
// is deployed in another way, and an error if jsii hides the qualifier, which it does for a synthesizer that was made in Go.
// A deployment with --role-arn, or with a user's own credentials, has another role, which must be in KeyAdministrators.
func executionRole(stack awscdk.Stack) (role *string, err error) {
	if synthesizer, has := stack.Synthesizer().(awscdk.DefaultStackSynthesizer); has {
		err = guard(func() { role = awscdk.Fn_Sub(synthesizer.CloudFormationExecutionRoleArn(), nil) })
	}
	return role, err
}
