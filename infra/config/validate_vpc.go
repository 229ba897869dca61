package config

import (
	"fmt"
	"regexp"
	"slices"
)

// Ids of EC2: eight digits in the oldest, seventeen in those of today.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html
var (
	vpcID        = regexp.MustCompile(`^vpc-([0-9a-f]{8}|[0-9a-f]{17})$`)
	subnetID     = regexp.MustCompile(`^subnet-([0-9a-f]{8}|[0-9a-f]{17})$`)
	routeTableID = regexp.MustCompile(`^rtb-([0-9a-f]{8}|[0-9a-f]{17})$`)
)

// existingVpc checks ids by their form, and lists by their length: one entry for each zone.
func (v *validation) existingVpc(field string, c Config) {
	n := c.Network
	vpc := n.ExistingVpc
	if vpc.VpcID == "" {
		for _, list := range []struct {
			name string
			ids  []string
		}{{"TaskSubnets", vpc.TaskSubnets}, {"TaskRouteTables", vpc.TaskRouteTables}, {"LoadBalancerSubnets", vpc.LoadBalancerSubnets}} {
			v.rule(len(list.ids) == 0, field+list.name, list.ids, "is of an existing VPC, and VpcID names none", "write its id into VpcID, or nothing here")
		}
		return
	}
	v.rule(vpcID.MatchString(vpc.VpcID), field+"VpcID", vpc.VpcID, "is not the id of a VPC", "write one such as vpc-0123456789abcdef0, from `aws ec2 describe-vpcs`")
	if !v.rule(len(n.AvailabilityZones) > 0, "Network.AvailabilityZones", n.AvailabilityZones, "is required with ExistingVpc: the zones of its subnets, in their order", findSubnets(vpc.VpcID)) {
		return
	}
	v.perZone(field+"TaskSubnets", vpc.TaskSubnets, n, subnetID)
	v.distinct(field+"TaskSubnets", vpc.TaskSubnets, nil)
	if n.Egress == Existing {
		v.rule(len(vpc.TaskRouteTables) == 0, field+"TaskRouteTables", vpc.TaskRouteTables, "is where the stack puts its S3 endpoint, and with Egress Existing it makes none", "write nothing, or set Egress to Endpoints")
	} else {
		v.perZone(field+"TaskRouteTables", vpc.TaskRouteTables, n, routeTableID)
	}
	if c.LoadBalancer.Scheme == Internal && len(vpc.LoadBalancerSubnets) == 0 {
		return // those of the tasks
	}
	v.perZone(field+"LoadBalancerSubnets", vpc.LoadBalancerSubnets, n, subnetID)
	v.distinct(field+"LoadBalancerSubnets", vpc.LoadBalancerSubnets, vpc.TaskSubnets)
}

// findSubnets is the command that lists the subnets of a VPC with their zones.
func findSubnets(vpc string) string {
	return fmt.Sprintf("copy them from `aws ec2 describe-subnets --filters Name=vpc-id,Values=%s --query 'Subnets[].[AvailabilityZone,SubnetId,CidrBlock]' --output table`", vpc)
}

// perZone requires an id for each zone.
func (v *validation) perZone(field string, ids []string, n NetworkConfig, form *regexp.Regexp) {
	what, find := "subnet, such as subnet-0123456789abcdef0", findSubnets(n.ExistingVpc.VpcID)
	if form == routeTableID {
		what = "route table, such as rtb-0123456789abcdef0"
		find = fmt.Sprintf("copy them from `aws ec2 describe-route-tables --filters Name=vpc-id,Values=%s --query 'RouteTables[].[RouteTableId,Associations[].SubnetId]'`; a subnet that is in none has the main one", n.ExistingVpc.VpcID)
	}
	v.rule(len(ids) == len(n.AvailabilityZones), field, ids, fmt.Sprintf("has %d ids, and must have one for each of AvailabilityZones, %d, in their order", len(ids), len(n.AvailabilityZones)), find)
	for i, id := range ids {
		v.rule(form.MatchString(id), fmt.Sprintf("%s[%d]", field, i), id, "is not the id of a "+what, find)
	}
}

// distinct requires that each subnet occurs once, and is not one of the tasks' subnets.
func (v *validation) distinct(field string, ids, tasks []string) {
	for i, id := range ids {
		path := fmt.Sprintf("%s[%d]", field, i)
		v.rule(!slices.Contains(ids[:i], id), path, id, "is there twice", "write the subnet of each zone")
		v.rule(!slices.Contains(tasks, id), path, id, "is a subnet of the tasks as well", "write a public subnet for an InternetFacing load balancer, or no LoadBalancerSubnets for an Internal one that shares those of the tasks")
	}
}
