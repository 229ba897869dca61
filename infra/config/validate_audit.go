package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxRoles keeps the policies that name the roles well below S3's limit of 20 kB, and the 32 kB of KMS.
const maxRoles = 20

// roleArn is that of one role, with its path: a condition on aws:PrincipalArn compares all of it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
var roleArn = regexp.MustCompile(`^arn:([a-z-]+):iam::[0-9]{12}:role/[\w+=,.@/-]+$`)

func (v *validation) audit(c Config) {
	const field = "Audit."
	v.roles(field+"BreakGlassRoles", c.Audit.BreakGlassRoles, c.Region)
	v.roles(field+"KeyAdministrators", c.Audit.KeyAdministrators, c.Region)
	for i, arn := range c.Audit.KeyAdministrators {
		v.rule(!slices.Contains(c.Audit.BreakGlassRoles, arn), fmt.Sprintf("%sKeyAdministrators[%d]", field, i), arn,
			"is in BreakGlassRoles as well: an administrator may not use the keys, and could write no object that they encrypt", "write another role into one of the two")
		v.rule(c.Account == "" || strings.Contains(arn, ":"+c.Account+":"), fmt.Sprintf("%sKeyAdministrators[%d]", field, i), arn,
			"is not a role of Account, "+c.Account, "write a role of the account, which people of others may assume")
	}
	v.trailLock(field+"TrailLockDays", c)
	v.existingTrail(field+"ExistingTrailArn", c)
	v.rule(!c.Audit.ManagementEvents || c.MakesTrail(), field+"ManagementEvents", c.Audit.ManagementEvents,
		"is for the trail that the stack makes, and it makes none: Storage.CloudTrailDataEvents is false, or there is an ExistingTrailArn",
		"set it to false, and make sure that a trail of the account records management events: without one nobody is told of changes of keys and buckets")
	v.rule(len(c.Audit.BreakGlassRoles) == 0 || c.Storage.ExistingDicomBucket == "", field+"BreakGlassRoles", c.Audit.BreakGlassRoles,
		"is for the policy of a new bucket, and ExistingDicomBucket keeps its own", "delete them, and name them in the policy of the bucket itself")
}

// trailOf is the ARN of a trail. That of an organisation is of another account, and may have another home region.
var trailOf = regexp.MustCompile(`^arn:([a-z-]+):cloudtrail:[a-z0-9-]+:[0-9]{12}:trail/[A-Za-z0-9][A-Za-z0-9._-]{1,126}[A-Za-z0-9]$`)

func (v *validation) existingTrail(field string, c Config) {
	arn := c.Audit.ExistingTrailArn
	if arn == "" {
		return
	}
	parts := trailOf.FindStringSubmatch(arn)
	v.rule(parts != nil && parts[1] == Partition(c.Region), field, arn, "is not the ARN of a trail",
		fmt.Sprintf("write arn:%s:cloudtrail:%s:123456789012:trail/NAME, from `aws cloudtrail describe-trails --region %[2]s --query 'trailList[].TrailARN'`", Partition(c.Region), c.Region))
	v.rule(c.Storage.CloudTrailDataEvents, field, arn, "says who records data events, and Storage.CloudTrailDataEvents is false: none are to be", "set CloudTrailDataEvents to true, or write nothing here")
}

// trailLock prevents that a typing error locks files for ever: nobody could undo that.
func (v *validation) trailLock(field string, c Config) {
	days := c.Audit.TrailLockDays
	if days == 0 {
		return
	}
	v.rule(days > 0 && days <= c.Observability.LogRetentionDays, field, days,
		fmt.Sprintf("must lie between 0 and Observability.LogRetentionDays (%d), after which files of the trail are deleted: a longer lock could never be taken back", c.Observability.LogRetentionDays),
		"write 0 for no lock, or keep logs for longer")
	v.rule(c.MakesTrail(), field, days, "locks the files of the trail that the stack makes, and it makes none: Storage.CloudTrailDataEvents is false, or there is an ExistingTrailArn",
		"set it to 0, and lock the bucket of the existing trail itself")
	v.rule(c.Storage.Retention != Destroy, field, days, "locks files, and Retention Destroy is for trials that leave little behind", "set Retention to Retain, or TrailLockDays to 0")
}

// roles checks a list of IAM roles.
func (v *validation) roles(field string, arns []string, region string) {
	v.rule(len(arns) <= maxRoles, field, len(arns), fmt.Sprintf("has more than %d roles", maxRoles), "let people take fewer roles")
	for i, arn := range arns {
		path, parts := fmt.Sprintf("%s[%d]", field, i), roleArn.FindStringSubmatch(arn)
		v.rule(parts != nil && parts[1] == Partition(region), path, arn, "is not the ARN of an IAM role",
			fmt.Sprintf("write arn:%s:iam::123456789012:role/NAME, with the path if it has one, from `aws iam get-role --role-name NAME --query Role.Arn`; no wildcards", Partition(region)))
		v.rule(!slices.Contains(arns[:i], arn), path, arn, "is there twice", "delete one")
	}
}
