package config

import (
	"slices"
	"strings"
)

// Partition is the second word of an ARN in the region: aws, aws-cn, aws-us-gov or aws-eusc.
// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	case strings.HasPrefix(region, "eusc-"):
		return "aws-eusc"
	default:
		return "aws"
	}
}

// fargateZones are the ids of the zones to use in regions where other zones exist as well. The same id has another name in each account.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AWS_Fargate-Regions.html
func fargateZones() map[string]string {
	return map[string]string{
		"us-west-1":      "Fargate has usw1-az1 and usw1-az3 only",
		"ap-northeast-1": "Fargate has apne1-az1, apne1-az2 and apne1-az4 only",
		"us-east-1":      "use1-az3 lacks services that came later",
	}
}

// NeedsECSEndpoints says whether Fargate tasks without a route to the internet reach ECS only through the interface
// endpoints ecs, ecs-agent and ecs-telemetry: so it is in regions introduced since 23 December 2023.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
func NeedsECSEndpoints(region string) bool {
	return slices.Contains([]string{
		"ca-west-1", "ap-southeast-5", "ap-southeast-7", "mx-central-1", "ap-east-2", "ap-southeast-6", "eusc-de-east-1",
	}, region)
}

// hasFIPSEndpoints says whether S3 has endpoints in the region whose cryptography is validated by FIPS 140.
// https://aws.amazon.com/compliance/fips/
func hasFIPSEndpoints(region string) bool {
	return strings.HasPrefix(region, "us-") || strings.HasPrefix(region, "ca-")
}
